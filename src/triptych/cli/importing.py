"""`triptych pages import`: page sets from the user's own pictures and from what other trainers read."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli import console
from triptych.cli.output import Overwrite
from triptych.errors import SourceError
from triptych.page import Page, Role

if TYPE_CHECKING:
    from triptych.data.lazy import LazyPages
    from triptych.data.wording import Wording

__all__ = ["import_pages"]

_OWN = ("pairs", "sets", "composites")

_Folders = Annotated[
    list[Path], typer.Argument(metavar="FOLDER [FOLDER]", help="A folder in the format; two of them for pairs.")
]
_Format = Annotated[
    str, typer.Option("--format", metavar="NAME", help="pairs, sets, composites, or see `triptych pages formats`.")
]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write; must be new.")]
_License = Annotated[str, typer.Option("--license", metavar="NAME", help="As the Hub names it, for the data card.")]
_Role = Annotated[str, typer.Option(metavar="ROLE", help="Of the given pictures: subject, edit, control, example.")]
_Given = Annotated[int, typer.Option(min=0, max=16, help="How many pictures of a set or composite are conditions.")]
_Grid = Annotated[str, typer.Option(metavar="CxR", help="Columns and rows of composites.")]
_Gutter = Annotated[int, typer.Option(min=0, help="Pixels between the panels of composites.")]
_Strip = Annotated[int, typer.Option(min=0, help="Height of a strip of text below each row of composites, cut away.")]
_Template = Annotated[
    str | None, typer.Option(metavar="NAME", help="Texts of composites are prompts with the tags of this template.")
]
_Words = Annotated[
    str, typer.Option(metavar="TEXT", help="Where there is no text: such as 'the same {name} at night'.")
]
_Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of the texts, such as shift_jis; by default UTF-8, or what they seem to be."),
]
_Ending = Annotated[
    list[str] | None,
    typer.Option("--caption-ending", metavar=".EXT", help="Of caption files, besides .txt and .caption."),
]
_Captioner = Annotated[
    str | None, typer.Option(metavar="URL", help="An OpenAI-compatible server that writes missing texts.")
]
_Model = Annotated[str, typer.Option("--captioner-model", metavar="NAME", help="The model on that server.")]
_Key = Annotated[str, typer.Option(envvar="TRIPTYCH_CAPTIONER_KEY", help="Its key.", show_default=False)]
_Watch = Annotated[
    bool, typer.Option("--watch", help="Wait for partners and texts that are missing, name them, then import.")
]


def import_pages(
    folders: _Folders,
    out: _Out,
    format: _Format,
    license: _License = "other",
    role: _Role = "",
    given: _Given = 1,
    grid: _Grid = "2x1",
    gutter: _Gutter = 0,
    strip: _Strip = 0,
    template: _Template = None,
    words: _Words = "",
    encoding: _Encoding = None,
    caption_ending: _Ending = None,
    captioner: _Captioner = None,
    captioner_model: _Model = "default",
    captioner_key: _Key = "",
    watch: _Watch = False,
    overwrite: Overwrite = False,
) -> None:
    """Make a page set of your own pictures, of what another trainer reads, or of a parquet data set.

    Pairs are two folders with equal names; sets are 001_0.png, 001_1.png...; composites are cut into panels. Texts
    are beside the pictures: 001.txt. Pictures that are skipped, or have no text, are listed.

    \b
    Examples:
      triptych pages import before after --format pairs --words "{name}, at night" --out my-pages
      triptych pages import shots --format sets --given 1 --out story --watch
      triptych pages import stitched --format composites --grid 3x1 --given 2 --out my-pages
      triptych pages import from-the-hub --format parquet --out my-pages
    """
    from triptych.data.captioning import remote_captioner
    from triptych.data.wording import CAPTIONS, Wording

    said = remote_captioner(captioner, captioner_model, key=captioner_key) if captioner else None
    endings = tuple("." + ending.removeprefix(".") for ending in caption_ending or ())
    wording = Wording(template=words, captioner=said, encoding=encoding, endings=(*CAPTIONS, *endings))
    reader = _reader(folders, format, wording, role=role, given=given, cells=_cells(grid))
    read = reader(gutter, strip, template)
    pages = _awaited(read) if watch else read()
    _save(pages, folders, format, license, out, overwrite=overwrite)


def _save(pages: "LazyPages", folders: list[Path], format: str, license: str, out: Path, *, overwrite: bool) -> None:
    from triptych.data.datacard import DataCard, PageCount
    from triptych.data.pagesets import save_pageset

    title = " and ".join(folder.resolve().name for folder in folders)
    card = DataCard(title=title, license=license, versions={"imported from": format})
    counted = PageCount()
    with console.progress("pages", total=len(pages)) as bar:

        def seen() -> Iterator[Page]:
            for page in pages:
                counted.add(page)
                yield page
                bar.advance(bar.task_ids[0])

        save_pageset(seen(), out, card=lambda: card.text(counted), overwrite=overwrite)
    console.say(console.counted(len(pages), "page"))
    console.out(str(out))


def _reader(
    folders: list[Path], format: str, wording: "Wording", *, role: str, given: int, cells: tuple[int, int]
) -> "Callable[[int, int, str | None], Callable[[], LazyPages]]":
    """What reads the folders, given gutters, strips and a template."""
    from triptych.data.importing import composites, numbered_sets, pairs
    from triptych.data.interchange import find_format

    wanted = 2 if format == "pairs" else 1
    if len(folders) != wanted:
        raise typer.BadParameter(f"--format {format} takes {console.counted(wanted, 'folder')}, not {len(folders)}.")
    if format not in _OWN and role:
        raise typer.BadParameter(f"pictures of {format} come as `edit`; --role is for pairs, sets and composites.")
    first, columns, rows = folders[0], *cells
    as_role = _role(role or ("subject" if format == "sets" else "edit"))

    def chosen(gutter: int, strip: int, template: str | None) -> "Callable[[], LazyPages]":
        match format:
            case "pairs":
                return lambda: pairs(first, folders[1], wording=wording, role=as_role)
            case "sets":
                return lambda: numbered_sets(first, conditions=given, wording=wording, role=as_role)
            case "composites":
                return lambda: composites(
                    first,
                    columns=columns,
                    rows=rows,
                    conditions=given,
                    gutter_px=gutter,
                    caption_px=strip,
                    template=template,
                    wording=wording,
                    role=as_role,
                )
            case _:
                entry = find_format(format)
                return lambda: entry.read(first)

    return chosen


def _awaited(read: "Callable[[], LazyPages]", every_s: float = 1.0) -> "LazyPages":
    """The pages, as soon as nothing is missing; what is missing is reported whenever it changes."""
    told = ""
    with console.said_once():
        while True:
            try:
                pages = read()
                bare = pages.unlabelled
                missing = f"{console.counted(len(bare), 'text')} missing: {', '.join(bare[:5])}" if bare else ""
            except SourceError as error:
                pages, missing = None, str(error)
            if pages is not None and not missing:
                return pages
            if missing != told:
                console.say(f"waiting: {missing}")
                told = missing
            time.sleep(every_s)


def _role(name: str) -> Role:
    known = [role.value for role in Role if role is not Role.SLOT]
    if name not in known:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(known)}.", param_hint="--role")
    return Role(name)


def _cells(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,2})[xX](\d{1,2})", text.strip())
    if not match or "0" in match.groups():
        raise typer.BadParameter(f"{text!r} is not a valid grid. Write 3x1: columns, then rows.", param_hint="--grid")
    return int(match[1]), int(match[2])
