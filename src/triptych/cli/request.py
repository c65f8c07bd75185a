"""From a command's arguments to the request."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from triptych.cli.panels import PanelArgument, read_panels
from triptych.data.pagesets import load_pageset
from triptych.errors import PageError, RequestError
from triptych.files import read_json
from triptych.images import load_image
from triptych.page import Layout, Page, Role
from triptych.pagefile import confined_path, load_page
from triptych.sampling.request import Request

if TYPE_CHECKING:
    from triptych.skill import Skill

__all__ = ["read_request", "requested_page"]


def read_request(file: Path | None) -> Request | None:
    """The request in a .json file; None where the file is not one but may be a page file.

    Its images are data URIs, or paths relative to the file that stay in its folder. Raises RequestError and PageError.
    """
    if file is None or file.suffix != ".json" or not file.is_file():
        return None
    data: Any = read_json(file, error=RequestError)
    if not isinstance(data, dict) or "page" not in data:
        return None
    return Request.from_record(data, resolve=lambda name: load_image(confined_path(file.parent, name, str(file))))


def requested_page(
    file: Path | None,
    arguments: Sequence[PanelArgument],
    *,
    overview: str | None,
    layout: Layout | None,
    template: str | None,
    examples: Path | None,
    shots: int | None,
    skill: str | None = None,
    size_px: tuple[int, int] | int | None = None,
) -> Page:
    """The page of a file, or of the panels on the command line, behind its example pages.

    A `skill` (its name or file) that knows its page gives panels their places: the pictures, and the words if there are
    any, fill it, and `size_px` sizes its slots.

    Raises PageError, ImageError, and typer.BadParameter for arguments that exclude each other.
    """
    if file is not None and arguments:
        raise typer.BadParameter("give a page file, or panels with --condition and --slot; not both.")
    if file is None and not arguments:
        raise typer.BadParameter("give a page file, or at least one --slot; --help shows examples.")
    if shots is not None and examples is None:
        raise typer.BadParameter("--shots counts the pages of --examples DIR; give that too.")
    if file is not None:
        page = load_page(file)
    elif (trained := _with_page(skill)) is not None:
        page, overview = _filled(trained, arguments, overview or "", size_px), None
    else:
        page = Page(panels=read_panels(arguments))
    asked = {"overview": overview, "layout": layout, "template": template}
    page = replace(page, **{name: value for name, value in asked.items() if value is not None})
    return page if examples is None else page.with_context(*_examples(examples, shots))


def _with_page(name: str | None) -> "Skill | None":
    """The skill of that name, if it knows its page."""
    if name is None:
        return None
    from triptych.skill import load_skill

    skill = load_skill(name)
    return skill if skill.card.template.page is not None else None


def _filled(
    skill: "Skill", arguments: Sequence[PanelArgument], overview: str, size_px: tuple[int, int] | int | None
) -> Page:
    """The skill's page with the pictures in its conditions and the texts where its panels of each kind stand."""
    if any(argument.boxes for argument in arguments):
        raise typer.BadParameter(
            f"skill {skill.name!r} fills its own page, where panels get no boxes. Write the page as a file with them."
        )
    given = [argument for argument in arguments if argument.file is not None]
    images = [load_image(argument.file, panel=number) for number, argument in enumerate(given, 1) if argument.file]
    texts = {
        False: [argument.text for argument in given],
        True: [argument.text for argument in arguments if argument.file is None],
    }
    sketches = skill.card.template.page.panels if skill.card.template.page else ()
    slots = sum(sketch.role is Role.SLOT for sketch in sketches)
    if len(texts[True]) > slots:
        raise PageError(f"skill {skill.name!r} makes {slots} pictures; {len(texts[True])} --slot were given.")
    queues = {is_slot: iter(found) for is_slot, found in texts.items()}
    instructions = [next(queues[sketch.role is Role.SLOT], "") for sketch in sketches]
    return skill.page(images, instructions=instructions, overview=overview, size_px=size_px)


def _examples(folder: Path, shots: int | None) -> list[Page]:
    pages = load_pageset(folder)
    if shots is not None and shots > len(pages):
        raise PageError(f"{folder} has {len(pages)} pages; --shots {shots} asks for more.")
    return list(pages[:shots])
