"""`triptych pages`: check page sets, and exchange them with other trainers and the Hugging Face Hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import console
from triptych.cli.importing import import_pages
from triptych.page import Page

__all__ = ["add_to"]

_PageSet = Annotated[Path, typer.Argument(metavar="PAGESET", help="A folder with metadata.jsonl.")]
_Format = Annotated[str, typer.Option("--format", metavar="NAME", help="See `triptych pages formats`.")]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write; must be new.")]
_License = Annotated[
    str | None,
    typer.Option("--license", metavar="NAME", help="Licence for the data card of parquet, as the Hub names it."),
]
_HeldOut = Annotated[Path | None, typer.Option(metavar="DIR", help="A page set that it must share no pictures with.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Page sets: check, export, import.")
    group.command("check", no_args_is_help=True)(check)
    group.command("formats")(formats)
    group.command("export", no_args_is_help=True)(export)
    group.command("import", no_args_is_help=True)(import_pages)
    app.add_typer(group, name="pages")


def check(pageset: _PageSet, held_out: _HeldOut = None) -> None:
    """List possible problems of a page set with their reasons; nothing is dropped. Exit code 1 if there are any.

    \b
    Examples:
      triptych pages check my-pages
      triptych pages check my-pages --held-out others
    """
    from triptych.data.pagesets import load_pageset
    from triptych.data.validation import find_leaks, survey

    pages = load_pageset(pageset)
    with console.progress("pages", total=len(pages)) as bar:

        def seen() -> Iterator[Page]:
            for page in pages:
                yield page
                bar.advance(bar.task_ids[0])

        looked = survey(seen())
    found = list(looked.findings)
    if held_out is not None:
        found += find_leaks(looked, load_pageset(held_out))
    for finding in found:
        console.out(f"page {finding.page} ({finding.page_id}): {finding.problem}: {finding.reason}")
    console.say(f"{console.counted(len(pages), 'page')}, {console.counted(len(found), 'finding')}")
    if found:
        raise typer.Exit(1)


def formats() -> None:
    """List the formats that page sets are exported to and imported from.

    \b
    Example:
      triptych pages formats
    """
    from triptych.data.interchange import FORMATS

    rows = [(entry.name, "pages" if entry.keeps_pages else "answers", entry.description) for entry in FORMATS.values()]
    console.table(("format", "a row is", "what it is"), rows)
    console.say("what a format cannot hold is named when pages that have it are exported (docs/own-pictures.md)")
    console.say("import also takes your own pictures: pairs (two folders), sets (001_0.png, 001_1.png...), composites")


def export(pageset: _PageSet, out: _Out, format: _Format, license: _License = None) -> None:
    """Write a page set for another trainer, or as parquet with a data card.

    \b
    Examples:
      triptych pages export my-pages --format parquet --license cc-by-4.0 --out for-the-hub
      triptych pages export my-pages --format musubi --out for-musubi
    """
    from triptych.data.datacard import DataCard
    from triptych.data.interchange import find_format, read_back
    from triptych.data.pagesets import load_pageset

    entry = find_format(format)
    if license is not None and not entry.takes_card:
        raise typer.BadParameter(f"{format} has no data card; --license is for parquet.", param_hint="--license")
    pages = load_pageset(pageset)
    card = DataCard(title=pageset.resolve().name, license=license or "other") if entry.takes_card else None
    with console.working(f"writing {len(pages)} pages"):
        entry.write(pages, out, card=card)
    with console.working("reading them back"):
        read_back(entry, pages, out)
    console.out(str(out))
