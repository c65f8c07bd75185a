"""From the user's own pictures to pages: pairs in two folders, numbered sets, side-by-side composites."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from triptych.data.captioning import Captioner
from triptych.errors import SourceError
from triptych.images import load_image
from triptych.page import Page, Panel, Role, condition, slot
from triptych.prompts import read_prompt

__all__ = ["Wording", "composites", "numbered_sets", "pairs"]

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_NUMBERED = re.compile(r"(?P<stem>.+)_(?P<number>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Where instructions come from, in this order: text files, `template`, `captioner`; empty without any.

    In the template `{name}` stands for the file's name in words: `"the same {name} at night"`.
    """

    template: str = ""
    captioner: Captioner | None = None

    def words(self, texts: tuple[Path, ...], stem: str, pictures: tuple[Image.Image, ...]) -> str:
        """The instruction of one slot; of `texts` the first file that is there."""
        for path in texts:
            if path.is_file():
                try:
                    return " ".join(path.read_text().split())
                except (OSError, UnicodeDecodeError) as error:
                    raise SourceError(f"{path} cannot be read as text: {error}. Save it as UTF-8.") from error
        if self.template:
            return self.template.replace("{name}", re.sub(r"[-_]+", " ", stem).strip())
        return self.captioner(pictures) if self.captioner else ""


def _pictures(folder: Path) -> dict[str, Path]:
    """Picture files of a folder by their names without suffix, sorted. Raises SourceError for none or two of a name."""
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder; name one with PNG, JPEG or WebP files.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _SUFFIXES:
            continue
        if path.stem in found:
            raise SourceError(f"{path} and {found[path.stem].name} have one name; remove or rename one.")
        found[path.stem] = path
    if not found:
        raise SourceError(f"no pictures in {folder}; put PNG, JPEG or WebP files there.")
    return found


def _some(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def pairs(before: Path, after: Path, *, wording: Wording | None = None, role: Role = Role.EDIT) -> list[Page]:
    """A page for every name in both folders (`a/001.png`, `b/001.png`); texts beside either picture.

    Raises SourceError for pictures without a partner: nothing is dropped silently.
    """
    wording = wording or Wording()
    given, wanted = _pictures(before), _pictures(after)
    alone = {f"{before.name}/{name}" for name in given.keys() - wanted.keys()}
    alone |= {f"{after.name}/{name}" for name in wanted.keys() - given.keys()}
    if alone:
        raise SourceError(f"no partner for {_some(alone)}; both folders need the same names.")
    pages: list[Page] = []
    for stem, path in given.items():
        first, second = load_image(path), load_image(wanted[stem])
        texts = (wanted[stem].with_suffix(".txt"), path.with_suffix(".txt"))
        words = wording.words(texts, stem, (first, second))
        pages.append(Page(panels=(condition(first, role=role), slot(words, answer=second)), page_id=stem))
    return pages


def numbered_sets(
    folder: Path, *, conditions: int = 1, wording: Wording | None = None, role: Role = Role.SUBJECT
) -> list[Page]:
    """A page for every set `001_0.png, 001_1.png, ...`: the first `conditions` are given, the others are slots.

    The text of a slot is in `001_1.txt`, the text of the whole page in `001.txt`.
    """
    wording = wording or Wording()
    groups: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for stem, path in _pictures(folder).items():
        match = _NUMBERED.fullmatch(stem)
        if match is None:
            raise SourceError(f"{path} has no number at its end; sets are named like 001_0.png, 001_1.png.")
        groups[match["stem"]].append((int(match["number"]), path))
    pages: list[Page] = []
    for stem, members in groups.items():
        paths = [path for _, path in sorted(members)]
        if len(paths) <= conditions:
            raise SourceError(f"set {stem} has {len(paths)} pictures; with {conditions} given it needs one more.")
        images = [load_image(path) for path in paths]
        shown = tuple(images[:conditions])
        panels = [condition(image, role=role) for image in shown]
        for path, image in zip(paths[conditions:], images[conditions:], strict=True):
            panels.append(slot(wording.words((path.with_suffix(".txt"),), stem, (*shown, image)), answer=image))
        overview = Wording().words((folder / f"{stem}.txt",), stem, ())
        pages.append(Page(panels=tuple(panels), overview=overview, page_id=stem))
    return pages


def composites(
    folder: Path,
    *,
    columns: int = 2,
    rows: int = 1,
    conditions: int = 1,
    gutter_px: int = 0,
    caption_px: int = 0,
    template: str | None = None,
    wording: Wording | None = None,
    role: Role = Role.EDIT,
) -> list[Page]:
    """A page for every stitched picture, cut into `rows` x `columns` panels, the first `conditions` given.

    `caption_px` is the height of a strip of text below each row, cut away. A .txt of the same name is read as a prompt
    with the tags of `template`, or without one as the instruction of the only slot, or as the overview of several.
    """
    wording = wording or Wording()
    if not 0 <= conditions < columns * rows:
        raise SourceError(f"{conditions} of {columns * rows} panels are given; at least one must be left as a slot.")
    pages: list[Page] = []
    for stem, path in _pictures(folder).items():
        cells = _cut(load_image(path), path, columns, rows, gutter_px, caption_px)
        text = path.with_suffix(".txt")
        overview, texts = "", ("",) * len(cells)
        if template and text.is_file():
            overview, found = read_prompt(" ".join(text.read_text().split()), template)
            texts = (*found, *texts)[: len(cells)]
        else:
            words = wording.words((text,), stem, cells)
            overview, texts = (words, texts) if len(cells) - conditions > 1 else ("", (*texts[:-1], words))
        panels: list[Panel] = []
        for index, (cell, words) in enumerate(zip(cells, texts, strict=True)):
            panels.append(condition(cell, words, role=role) if index < conditions else slot(words, answer=cell))
        pages.append(Page(panels=tuple(panels), overview=overview, page_id=stem))
    return pages


def _cut(
    image: Image.Image, path: Path, columns: int, rows: int, gutter_px: int, caption_px: int
) -> tuple[Image.Image, ...]:
    """Equal cells in reading order. Raises SourceError where the picture does not divide."""
    width, height = image.width - gutter_px * (columns - 1), image.height - gutter_px * (rows - 1)
    if width % columns or height % rows or height // rows <= caption_px:
        raise SourceError(
            f"{path} is {image.width}x{image.height} px, which does not divide into {columns}x{rows} equal panels with "
            f"{gutter_px} px between them and captions of {caption_px} px. Check columns, rows, gutter and captions."
        )
    wide, high = width // columns, height // rows
    return tuple(
        image.crop((left, top, left + wide, top + high - caption_px))
        for top in (row * (high + gutter_px) for row in range(rows))
        for left in (column * (wide + gutter_px) for column in range(columns))
    )
