"""Page sets on disk: a folder with `metadata.jsonl`, one page a line, that `datasets` reads as it is."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, overload

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triptych.errors import PageError
from triptych.files import new_folder, parse_json, read_text, text_lines, write_atomic
from triptych.images import load_answer, load_image, png_bytes
from triptych.page import Layout, Page, Role, condition, slot
from triptych.pagefile import box_records, boxes_of, confined_path
from triptych.pageschema import BoxEntry, Name, Text, problems

__all__ = ["CARD", "METADATA", "PageSet", "load_pageset", "pageset_problems", "save_pageset"]

METADATA = "metadata.jsonl"
CARD = "README.md"
_MAX_BYTES = 4 * 2**30
"""Of the metadata of a set: that of a million pages with long texts."""
_BLANK = Image.new("RGB", (1, 1))


class _Line(BaseModel):
    """One line of the metadata; the key `images_file_names` becomes the column `images` in `datasets`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page_id: Name
    overview: Text = ""
    images_file_names: tuple[str, ...]
    roles: tuple[Role, ...]
    instructions: tuple[Text, ...]
    # An empty rule stands for none: `datasets` fails on a column whose first 10 MB are all null and whose rest is not.
    rule: Name | None = None
    layout: Layout = Layout.AUTO
    gutter_px: Annotated[int, Field(strict=True, ge=0)] = 0
    template: Name = "panels"
    boxes: tuple[tuple[BoxEntry, ...], ...] = ()
    """Of each panel; empty where no panel has any."""

    def page(self, decode: Callable[[int, str], Image.Image]) -> Page:
        """The page with its pictures from `decode`, which takes the panel's number and the file's name."""
        counts = len(self.images_file_names), len(self.roles), len(self.instructions)
        if len(set(counts)) != 1:
            raise PageError("{} images_file_names, {} roles, {} instructions; give one each a panel.".format(*counts))
        if self.boxes and len(self.boxes) != counts[0]:
            raise PageError(f"boxes of {len(self.boxes)} panels; give a list for each of {counts[0]}, or none at all.")
        panels = []
        boxes = self.boxes or ((),) * counts[0]
        columns = zip(self.images_file_names, self.roles, self.instructions, boxes, strict=True)
        for number, (name, role, instruction, entries) in enumerate(columns, 1):
            picture = decode(number, name)
            own = boxes_of(entries)
            if role is Role.SLOT:
                panels.append(slot(instruction, answer=picture, boxes=own))
            else:
                panels.append(condition(picture, instruction, role=role, boxes=own))
        return Page(
            panels=tuple(panels),
            overview=self.overview,
            layout=self.layout,
            gutter_px=self.gutter_px,
            template=self.template,
            page_id=self.page_id,
            rule=self.rule or None,
        )


if TYPE_CHECKING:
    _Pages = Sequence[Page]
else:
    # Runtime checkers read a random item of a `Sequence[Page]`, which here would read files.
    _Pages = Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSet(_Pages):
    """Answered pages in the order of the file; pictures are read each time a page is asked for."""

    folder: Path
    lines: tuple[tuple[int, _Line], ...]
    """Line number in the file, and what the line says."""

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> Page: ...
    @overload
    def __getitem__(self, index: slice) -> "PageSet": ...
    def __getitem__(self, index: int | slice) -> "Page | PageSet":
        """A page, or a page set of some. Raises ImageError naming file, line and panel."""
        if isinstance(index, slice):
            return replace(self, lines=self.lines[index])
        number, line = self.lines[index]
        where = f"{self.folder / METADATA}, line {number}"

        def decode(panel: int, name: str) -> Image.Image:
            place = f"{where}, panel {panel}"
            read = load_answer if line.roles[panel - 1] is Role.SLOT else load_image
            return read(confined_path(self.folder, name, place), panel=place)

        return line.page(decode)

    @property
    def page_ids(self) -> tuple[str, ...]:
        return tuple(line.page_id for _, line in self.lines)


def load_pageset(folder: str | Path) -> PageSet:
    """The page set in `folder`; every line is checked now, pictures are decoded when a page is asked for.

    Raises PageError naming file and line for what is not a page: unknown or missing keys, wrong types, lists of
    different lengths, no slot, a picture that is missing or outside the folder, a duplicate page_id.
    """
    folder = Path(folder)
    path = folder / METADATA
    seen: dict[str, int] = {}
    lines = []
    for number, row in _rows_in(folder):
        line = _parse(row, folder, f"{path}, line {number}")
        if line.page_id and line.page_id in seen:
            raise PageError(
                f"{path}, line {number}: page_id {line.page_id!r} is that of line {seen[line.page_id]}; "
                "each page needs its own."
            )
        seen[line.page_id] = number
        lines.append((number, line))
    if not lines:
        raise PageError(f"{path} has no pages; write one a line.")
    return PageSet(folder=folder, lines=tuple(lines))


def pageset_problems(folder: str | Path) -> tuple[PageSet | None, tuple[tuple[str, str], ...]]:
    """The lines of a page set that are pages, and where and why the others are none; nothing is raised."""
    folder = Path(folder)
    path = folder / METADATA
    try:
        rows = _rows_in(folder)
    except PageError as error:
        return None, ((str(folder), str(error).removeprefix(str(folder)).lstrip(":, ").removesuffix(".")),)
    lines, found = [], []
    first: dict[str, int] = {}
    for number, row in rows:
        where = f"{path}, line {number}"
        try:
            line = _parse(row, folder, where)
        except PageError as error:
            found.append((where, str(error).removeprefix(where).lstrip(":, ")))
            continue
        if line.page_id and first.setdefault(line.page_id, number) != number:
            found.append((where, f"page_id {line.page_id!r} is that of line {first[line.page_id]}; give it its own"))
        lines.append((number, line))
    return PageSet(folder=folder, lines=tuple(lines)), tuple(found)


def save_pageset(
    pages: Iterable[Page], folder: str | Path, *, card: Callable[[], str] | None = None, overwrite: bool = False
) -> None:
    """Write answered pages to a new folder, all or nothing; the same pages give the same bytes.

    `card` gives the text of README.md, asked for when all pages are written. What is written is read back before it
    gets its name. Slots take the size of their answers. Raises PageError for a page that a page set cannot hold (no
    answer, example pages, a slot of another size than its answer, a duplicate page_id) and OutputError for a
    folder that has files in it already or cannot be written; `overwrite` replaces a page set, and nothing else.
    """
    replaces = METADATA if overwrite else None
    with new_folder(folder, replaces=replaces, instead="replace it with --overwrite") as temporary:
        lines = [_write_page(page, number, temporary) for number, page in enumerate(pages, 1)]
        write_atomic(temporary / METADATA, "".join(_rows(lines)).encode())
        if card is not None:
            write_atomic(temporary / CARD, card().encode())
        if lines:
            _read_back(temporary, lines)


def _read_back(folder: Path, lines: Sequence[_Line]) -> None:
    """Raise PageError unless the page set in `folder` is what was written."""
    try:
        there = load_pageset(folder).lines
    except PageError as error:
        message = str(error).replace(f"{folder / METADATA}, line", "page")
        raise PageError(f"these pages make no page set: {message}") from error
    for (number, line), wanted in zip(there, lines, strict=True):
        if line.model_copy(update={"rule": line.rule or None}) != wanted.model_copy(
            update={"rule": wanted.rule or None}
        ):
            raise PageError(f"page {number} ({wanted.page_id!r}) does not come back as it was written.")


def _rows_in(folder: Path) -> list[tuple[int, str]]:
    """The lines of a page set's metadata with their numbers. Raises PageError."""
    path = folder / METADATA
    if not path.exists():
        raise PageError(f"{folder} has no {METADATA}; a page set is a folder with one. Check the path.")
    return list(text_lines(read_text(path, max_bytes=_MAX_BYTES, error=PageError)))


def _parse(row: str, folder: Path, where: str) -> _Line:
    try:
        data = parse_json(row)
    except ValueError as error:
        raise PageError(f"{where} is not valid JSON: {error}.") from error
    line = _checked(data, where)

    def decode(panel: int, name: str) -> Image.Image:
        place = f"{where}, panel {panel}, key 'images_file_names'"
        if not confined_path(folder, name, place).is_file():
            raise PageError(f"{place}: there is no file {name!r} in {folder}.")
        return _BLANK

    try:
        line.page(decode)
    except PageError as error:
        message = str(error)
        raise PageError(message if message.startswith(where) else f"{where}: {message}") from error
    return line


def _checked(data: object, where: str) -> _Line:
    try:
        return _Line.model_validate(data)
    except ValidationError as error:
        raise PageError(f"{where}: {'; '.join(list(problems(error, _Line))[:5])}.") from error


def _write_page(page: Page, number: int, folder: Path) -> _Line:
    where = f"page {number} ({page.page_id!r})"
    if page.context:
        raise PageError(f"{where} has example pages; a page set holds single pages. Add them as pages of their own.")
    names = tuple(f"images/{number:06d}-{position}.png" for position in range(1, len(page.panels) + 1))
    line = _checked(
        {
            "page_id": page.page_id,
            "overview": page.overview,
            "images_file_names": names,
            "roles": [panel.role for panel in page.panels],
            "instructions": [panel.instruction for panel in page.panels],
            "rule": page.rule,
            "layout": page.layout,
            "gutter_px": page.gutter_px,
            "template": page.template,
            "boxes": [box_records(panel) for panel in page.panels] if page.has_boxes else [],
        },
        where,
    )
    for position, (panel, name) in enumerate(zip(page.panels, names, strict=True), 1):
        if panel.picture is None:
            raise PageError(f"{where}, panel {position} is a slot without an answer; a page set holds finished pages.")
        if panel.rejected:
            raise PageError(f"{where}, panel {position} has rejected pictures, which only page files can hold.")
        if panel.size_px not in (None, panel.picture.size):
            raise PageError(
                f"{where}, panel {position} asks for {panel.size_px} px and its answer has {panel.picture.size}. "
                "Resample the answer."
            )
        write_atomic(folder / name, png_bytes(panel.picture))
    return line


def _rows(lines: Sequence[_Line]) -> Iterator[str]:
    """Lines of the metadata: all with the same keys, those of `rule` and the canvas only where some page has them."""
    optional = ("rule", "layout", "gutter_px", "template", "boxes")
    default = {key: _Line.model_fields[key].default for key in optional}
    left_out = {key for key in optional if all(getattr(line, key) == default[key] for line in lines)}
    for line in lines:
        row = line.model_dump(mode="json", exclude=left_out)
        if "rule" in row:
            row["rule"] = row["rule"] or ""
        yield json.dumps(row, ensure_ascii=False) + "\n"
