"""`triptych pages import`: page sets from the user's own pictures and from what other trainers read."""

import contextlib
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
_USED_BY = {
    "given": ("sets", "composites"),
    **dict.fromkeys(("grid", "gutter", "strip", "template"), ("composites",)),
}
"""Options that are of use to some formats; those of words are to all whose texts lie beside the pictures."""

_Folders = Annotated[
    list[Path], typer.Argument(metavar="FOLDER [FOLDER]", help="A folder in the format; two of them for pairs.")
]
_Format = Annotated[
    str, typer.Option("--format", metavar="NAME", help="pairs, sets, composites, or see `triptych pages formats`.")
]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write; must be new.")]
_License = Annotated[
    str, typer.Option("--license", metavar="NAME", help="Licence for the data card, as the Hub names it.")
]
_Role = Annotated[str, typer.Option(metavar="ROLE", help="Role of the conditions: subject, edit, control or example.")]
_Given = Annotated[
    int | None,
    typer.Option(min=0, max=16, help="How many pictures of a set or composite are conditions; by default 1."),
]
_Grid = Annotated[str | None, typer.Option(metavar="CxR", help="Columns and rows of composites; by default 2x1.")]
_Gutter = Annotated[int | None, typer.Option(min=0, help="Pixels between the panels of composites.")]
_Strip = Annotated[
    int | None, typer.Option(min=0, help="Height of a strip of text below each row of composites, cut away.")
]
_Template = Annotated[
    str | None, typer.Option(metavar="NAME", help="Texts of composites are prompts with the tags of this template.")
]
_Words = Annotated[
    str, typer.Option(metavar="TEXT", help="Words where a picture has no text, such as 'the same {name} at night'.")
]
_Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Encoding of the texts, such as shift_jis; by default UTF-8, or what they seem to be."
    ),
]
_Ending = Annotated[
    list[str] | None,
    typer.Option(
        "--caption-ending", metavar=".EXT", help="One more ending of caption files, besides .txt and .caption."
    ),
]
_Captioner = Annotated[
    str | None, typer.Option(metavar="URL", help="An OpenAI-compatible server that writes missing texts.")
]
_Model = Annotated[str, typer.Option("--captioner-model", metavar="NAME", help="The model on that server.")]
_Key = Annotated[
    str, typer.Option(envvar="TRIPTYCH_CAPTIONER_KEY", help="The key for that server.", show_default=False)
]
_Watch = Annotated[
    bool, typer.Option("--watch", help="Name partners and texts that are missing, wait for them, then import.")
]


def import_pages(
    folders: _Folders,
    out: _Out,
    format: _Format,
    license: _License = "other",
    role: _Role = "",
    given: _Given = None,
    grid: _Grid = None,
    gutter: _Gutter = None,
    strip: _Strip = None,
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

    _refuse_unused(
        format,
        {"given": given, "grid": grid, "gutter": gutter, "strip": strip, "template": template}
        | {"words": words, "encoding": encoding, "caption_ending": caption_ending, "captioner": captioner},
    )
    said = remote_captioner(captioner, captioner_model, key=captioner_key) if captioner else None
    endings = tuple("." + ending.removeprefix(".") for ending in caption_ending or ())
    wording = Wording(template=words, captioner=said, encoding=encoding, endings=(*CAPTIONS, *endings))
    reader = _reader(
        folders, format, wording, role=role, given=1 if given is None else given, cells=_cells(grid or "2x1")
    )
    read = reader(gutter or 0, strip or 0, template)
    pages = _awaited(read, folders) if watch else read()
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
                return lambda: entry.read(first, wording) if entry.takes_wording else entry.read(first)

    return chosen


def _awaited(read: "Callable[[], LazyPages]", folders: list[Path], every_s: float = 1.0) -> "LazyPages":
    """The pages, as soon as nothing is missing and nothing is being written; reported whenever it changes."""
    told, seen = "", None
    with console.said_once():
        while True:
            try:
                pages = read()
                bare = pages.unlabelled
                missing = f"{console.counted(len(bare), 'text')} missing: {', '.join(bare[:5])}" if bare else ""
            except SourceError as error:
                pages, missing = None, str(error)
            before, seen = seen, _state(folders)
            if pages is not None and not missing:
                if seen == before:
                    return pages
                missing = "files may still be on their way"
            if missing != told:
                console.say(f"waiting: {missing}")
                told = missing
            time.sleep(every_s)


def _state(folders: list[Path]) -> list[tuple[str, int, int]]:
    """The files of the folders, their sizes and times: a file that is being copied changes between two looks."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                found.append((str(path), facts.st_size, facts.st_mtime_ns))
    return sorted(found)


def _refuse_unused(format: str, options: dict[str, object]) -> None:
    """Raise BadParameter for an option that was given and that the format has no use for."""
    from triptych.data.interchange import FORMATS

    if format not in (*_OWN, *FORMATS):
        raise typer.BadParameter(f"{format!r}: choose {', '.join((*_OWN, *FORMATS))}.", param_hint="--format")
    worded = (*_OWN, *(name for name, entry in FORMATS.items() if entry.takes_wording))
    for name, value in options.items():
        formats = _USED_BY.get(name, worded)
        if value not in (None, "") and format not in formats:
            option = "--" + name.replace("_", "-")
            raise typer.BadParameter(f"{option} is for {', '.join(formats)}; {format} has no use for it.")


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
