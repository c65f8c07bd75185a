"""From a command's arguments to the page that is asked for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer

from triptych.cli.panels import PanelArgument, read_panels
from triptych.data.pagesets import load_pageset
from triptych.errors import PageError
from triptych.page import Layout, Page
from triptych.pagefile import load_page

__all__ = ["requested_page"]


def requested_page(
    file: Path | None,
    arguments: Sequence[PanelArgument],
    *,
    overview: str | None,
    layout: Layout | None,
    template: str | None,
    examples: Path | None,
    shots: int | None,
) -> Page:
    """The page of a file, or of the panels on the command line, behind its example pages.

    Raises PageError, ImageError, and typer.BadParameter for arguments that exclude each other.
    """
    if file is not None and arguments:
        raise typer.BadParameter("give a page file, or panels with --condition and --slot; not both.")
    if file is None and not arguments:
        raise typer.BadParameter("give a page file, or at least one --slot; --help shows examples.")
    if shots is not None and examples is None:
        raise typer.BadParameter("--shots counts the pages of --examples DIR; give that too.")
    page = load_page(file) if file is not None else Page(panels=read_panels(arguments))
    asked = {"overview": overview, "layout": layout, "template": template}
    page = replace(page, **{name: value for name, value in asked.items() if value is not None})
    return page if examples is None else page.with_context(*_examples(examples, shots))


def _examples(folder: Path, shots: int | None) -> list[Page]:
    pages = load_pageset(folder)
    if shots is not None and shots > len(pages):
        raise PageError(f"{folder} has {len(pages)} pages; --shots {shots} asks for more.")
    return list(pages[:shots])
