"""From the user's own pictures to pages: pairs in two folders, numbered sets, side-by-side composites."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from triptych.data.folders import find_pictures, some
from triptych.data.lazy import LazyPages
from triptych.data.wording import Labels, Wording
from triptych.errors import SourceError
from triptych.images import load_answer, load_image
from triptych.page import Page, Panel, Role, condition, slot
from triptych.prompts import find_template, read_prompt

__all__ = ["Wording", "composites", "numbered_sets", "pairs", "pictures_by_name"]

_NUMBERED = re.compile(r"(?P<stem>.+)_(?P<number>\d+)")


def pictures_by_name(folder: Path) -> dict[str, Path]:
    """Picture files of a folder by their names without suffix, in order. Raises SourceError for two of a name.

    Accents are composed, so that a name from macOS, which keeps them apart, is that of its partner from elsewhere.
    """
    found: dict[str, Path] = {}
    for path in find_pictures(folder):
        stem = unicodedata.normalize("NFC", path.stem)
        if stem in found:
            raise SourceError(f"{path} and {found[stem].name} have one name; remove or rename one.")
        found[stem] = path
    return found


def pairs(before: Path, after: Path, *, wording: Wording | None = None, role: Role = Role.EDIT) -> LazyPages:
    """A page for every name in both folders (`a/001.png`, `b/001.png`); texts beside either picture.

    Raises SourceError for pictures without a partner: nothing is dropped silently.
    """
    labels = Labels(wording or Wording())
    given, wanted = pictures_by_name(before), pictures_by_name(after)
    alone = [f"{before.name}/{name}" for name in given if name not in wanted]
    alone += [f"{after.name}/{name}" for name in wanted if name not in given]
    if alone:
        raise SourceError(f"no partner for {some(alone)}; both folders need the same names.")

    def maker(stem: str, first: Path, second: Path) -> Callable[[], Page]:
        texts = (labels.wording.beside(second), labels.wording.beside(first))
        words = labels.of(texts, stem, lambda: (load_image(first), load_image(second)))
        return lambda: Page(
            panels=(condition(load_image(first), role=role), slot(words(), answer=load_answer(second))), page_id=stem
        )

    makers = [maker(stem, path, wanted[stem]) for stem, path in given.items()]
    labels.note(before, after)
    return LazyPages(makers, unlabelled=labels.unlabelled)


def numbered_sets(
    folder: Path, *, conditions: int = 1, wording: Wording | None = None, role: Role = Role.SUBJECT
) -> LazyPages:
    """A page for every set `001_0.png, 001_1.png, ...`: the first `conditions` are given, the others are slots.

    The text of a slot is in `001_1.txt`, the text of the whole page in `001.txt`.
    """
    labels = Labels(wording or Wording())
    groups: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for stem, path in pictures_by_name(folder).items():
        match = _NUMBERED.fullmatch(stem)
        if match is None:
            raise SourceError(f"{path} has no number at its end; sets are named like 001_0.png, 001_1.png.")
        groups[match["stem"]].append((int(match["number"]), path))

    def maker(stem: str, members: list[tuple[int, Path]]) -> Callable[[], Page]:
        if len({number for number, _ in members}) < len(members):
            names = ", ".join(path.name for _, path in sorted(members))
            raise SourceError(f"set {stem} has two pictures of one number: {names}. Rename or remove one.")
        paths = [path for _, path in sorted(members)]
        if len(paths) <= conditions:
            raise SourceError(f"set {stem} has {len(paths)} pictures; with {conditions} given it needs one more.")
        given, wanted = paths[:conditions], paths[conditions:]
        overview = labels.of_file(labels.wording.named(folder, stem))
        before = len(labels.unlabelled)
        words = [
            labels.of(
                (labels.wording.beside(path),),
                path.stem,
                lambda path=path: tuple(load_image(each) for each in (*given, path)),
            )
            for path in wanted
        ]
        if overview:
            # What is said of the whole page is said of each of its slots.
            del labels.unlabelled[before:]
        return lambda: Page(
            panels=(
                *(condition(load_image(path), role=role) for path in given),
                *(slot(said(), answer=load_answer(path)) for path, said in zip(wanted, words, strict=True)),
            ),
            overview=overview,
            page_id=stem,
        )

    makers = [maker(stem, members) for stem, members in groups.items()]
    labels.note(folder)
    return LazyPages(makers, unlabelled=labels.unlabelled)


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
) -> LazyPages:
    """A page for every stitched picture, cut into `rows` x `columns` panels, the first `conditions` given.

    `caption_px` is the height of a strip of text below each row, cut away. A .txt of the same name is read as a prompt
    with the tags of `template`, or without one as the instruction of the only slot, or as the overview of several.
    Raises SourceError for a picture that does not divide when its page is asked for.
    """
    labels = Labels(wording or Wording())
    cells = columns * rows
    if not 0 <= conditions < cells:
        raise SourceError(f"{conditions} of {cells} panels are given; at least one must be left as a slot.")
    tags = find_template(template) if template else None

    def maker(stem: str, path: Path) -> Callable[[], Page]:
        def cut() -> tuple[Image.Image, ...]:
            return _cut(load_image(path), path, columns, rows, gutter_px, caption_px)

        text = labels.wording.beside(path)
        if tags is not None and text is not None:
            overview, found = read_prompt(labels.of_file(text), tags)
            told = (*found, *[""] * cells)[:cells]
            return lambda: _cut_page(cut(), conditions, role, stem, overview=overview, told=told)
        words = labels.of((text,), stem, cut)
        if cells - conditions > 1:
            return lambda: _cut_page(cut(), conditions, role, stem, overview=words(), told=("",) * cells)
        return lambda: _cut_page(cut(), conditions, role, stem, overview="", told=(*[""] * (cells - 1), words()))

    makers = [maker(stem, path) for stem, path in pictures_by_name(folder).items()]
    labels.note(folder)
    return LazyPages(makers, unlabelled=labels.unlabelled)


def _cut_page(
    cells: tuple[Image.Image, ...], conditions: int, role: Role, stem: str, *, overview: str, told: tuple[str, ...]
) -> Page:
    panels: list[Panel] = []
    for index, (cell, words) in enumerate(zip(cells, told, strict=True)):
        panels.append(condition(cell, words, role=role) if index < conditions else slot(words, answer=cell))
    return Page(panels=tuple(panels), overview=overview, page_id=stem)


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
