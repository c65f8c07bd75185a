"""`triptych build`: a page set from a rule."""

import os
from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import console
from triptych.cli.output import Overwrite, write_results
from triptych.cli.sources import SourceName, find_source
from triptych.events import CancelToken, ctrl_c_cancels
from triptych.images import png_bytes
from triptych.page import Page

__all__ = ["add_to"]

_RuleName = Annotated[str, typer.Argument(metavar="RULE", help="A name, `a+b` for a chain, or file.py:name.")]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the page set; must be new.")]
_Count = Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="How many pages.")]
_Seed = Annotated[int, typer.Option(help="The same seed writes the same bytes.")]
_Size = Annotated[int, typer.Option("--size", min=32, max=1024, help="Side of the panels in pixels.")]
_OneTask = Annotated[bool, typer.Option("--one-task", help="The same colour, angle or map on every page.")]
_Preview = Annotated[bool, typer.Option("--preview", help="Also write DIR-preview.png, a sheet of the first pages.")]
_PREVIEWED = 24


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("build", no_args_is_help=True)(build_pages)


def build_pages(
    rule: _RuleName,
    out: _Out,
    count: _Count = 10,
    seed: _Seed = 0,
    source: SourceName = "shapes",
    size: _Size = 128,
    one_task: _OneTask = False,
    preview: _Preview = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a page set that a rule makes: for training, for evaluation, or as examples in front of a page.

    README.md beside it is a data card: rule, seed, version, sources and their licences.

    \b
    Examples:
      triptych build outline --count 10 --out outlines --preview
      triptych build outline+mirror --source photos --count 100 --seed 3 --out set
      triptych build my_rules.py:double --count 1000 --out doubles
    """
    from triptych.data.build import build, built_card
    from triptych.data.rules import find_rule
    from triptych.data.sheets import contact_sheet

    first: list[Page] = []
    asked = {"count": count, "seed": seed, "source": Path(source).name, "size": size}
    again = " ".join(["triptych build", rule, *(f"--{name} {value}" for name, value in asked.items())])
    found, drawn_from = find_rule(rule, trust_files=True), find_source(source)
    with console.progress("pages", total=count) as bar, ctrl_c_cancels(CancelToken()) as cancel:

        def on_page(page: Page) -> None:
            if len(first) < _PREVIEWED:
                first.append(page)

        # Few pages are made sooner than a second process is.
        workers = min(os.cpu_count() or 1, 1 + count // 100)
        card = built_card(found, drawn_from, seed, command=again + " --one-task" * one_task)
        build(
            found,
            drawn_from,
            count,
            seed,
            out,
            workers=workers,
            size_px=size,
            one_task=one_task,
            card=card,
            on_page=on_page,
            on_event=lambda event: console.advance(bar, event),
            cancel=cancel,
            overwrite=overwrite,
        )
    console.out(str(out))
    if preview:
        (path,) = write_results(
            out.parent, f"{out.name}-preview", {".png": png_bytes(contact_sheet(first))}, overwrite=overwrite
        )
        console.out(str(path))
