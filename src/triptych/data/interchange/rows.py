"""What the formats of other trainers share: one row is conditions, a text and one answer; pictures are PNG files."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from triptych.data.folders import spellings
from triptych.errors import ImageError, PageError
from triptych.files import parse_json, read_text, text_lines, write_atomic
from triptych.images import load_answer, load_image, png_bytes
from triptych.page import NamedBox, Page, Role, condition, slot
from triptych.pagefile import boxes_of
from triptych.pageschema import BoxEntry

__all__ = [
    "SlotRow",
    "boxes_from",
    "listed",
    "load_images",
    "name_below",
    "page_of",
    "picture_at",
    "read_lines",
    "rows_of",
    "save_picture",
    "toml_text",
    "write_lines",
]


_BOXES = TypeAdapter(list[list[BoxEntry]])


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRow:
    """One slot of a page with all its conditions: as much as the other formats hold."""

    name: str
    conditions: tuple[Image.Image, ...]
    text: str
    answer: Image.Image


def rows_of(pages: Iterable[Page]) -> Iterator[SlotRow]:
    """One row for each slot; the text is the overview and the slot's instruction.

    Raises PageError for a slot without an answer and for example pages.
    """
    for number, page in enumerate(pages, 1):
        where = f"page {number} ({page.page_id!r})"
        if page.context:
            raise PageError(f"{where} has example pages, which this format cannot hold. Export pages without context.")
        images = tuple(panel.image for panel in page.conditions if panel.image is not None)
        stem = re.sub(r"[^A-Za-z0-9._+-]", "_", page.page_id)[:80] or "page"
        for position, panel in enumerate(page.slots, 1):
            if panel.answer is None:
                raise PageError(f"{where} has a slot without an answer; training sets hold finished pages.")
            suffix = f"-{position}" if len(page.slots) > 1 else ""
            text = " ".join(filter(None, (page.overview, panel.instruction)))
            yield SlotRow(name=f"{number:06d}-{stem}{suffix}", conditions=images, text=text, answer=panel.answer)


def page_of(name: str, conditions: Sequence[Path], text: str, answers: Sequence[Path]) -> Page:
    """A page from picture files; conditions get the role `edit`, since these formats know no roles.

    `text` is the instruction of the only slot, or the overview of several.
    """
    shown = (condition(load_image(path), role=Role.EDIT) for path in conditions)
    is_one = len(answers) == 1
    slots = (slot(text if is_one else "", answer=load_answer(path)) for path in answers)
    return Page(panels=(*shown, *slots), overview="" if is_one else text, page_id=name)


def boxes_from(data: object, panels: int, where: str) -> list[tuple[NamedBox, ...]]:
    """The boxes of each of `panels`, from lists of `box_records`; None is no boxes. Raises PageError."""
    try:
        found = [boxes_of(entries) for entries in _BOXES.validate_python([[]] * panels if data is None else data)]
    except (ValidationError, PageError) as error:
        raise PageError(f"{where}: {data!r} are not the boxes of a page's panels.") from error
    if len(found) != panels:
        raise PageError(f"{where}: boxes of {len(found)} panels; give a list for each of {panels}.")
    return found


def load_images(paths: Sequence[Path]) -> tuple[Image.Image, ...]:
    """The pictures of a page that is still without words, for a captioner."""
    return tuple(load_image(path) for path in paths)


def save_picture(image: Image.Image, folder: Path, name: str) -> str:
    """Write `folder/name` as PNG; returns `name`."""
    write_atomic(folder / name, png_bytes(image))
    return name


def toml_text(text: str) -> str:
    """A string as TOML writes it: quotes, backslashes and control characters escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    write_atomic(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode())


def read_lines(path: Path, required: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of every line. Raises PageError naming file and line for bad JSON or a missing text."""
    for number, line in text_lines(read_text(path, error=PageError)):
        where = f"{path}, line {number}"
        try:
            record = parse_json(line)
        except ValueError as error:
            raise PageError(f"{where} is not valid JSON: {error}.") from error
        if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in required):
            raise PageError(f"{where} needs the texts {', '.join(required)}.")
        yield where, record


def listed(value: object, where: str) -> tuple[str, ...]:
    """A path or list of paths as a tuple; None gives an empty one. Raises PageError beginning with `where`."""
    items = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise PageError(f"{where}: {value!r} is neither a path nor a list of paths.")
    return tuple(str(item) for item in items)


def picture_at(folder: Path, name: str, where: str) -> Path:
    """The picture file `name`, absolute or relative to `folder`, never outside of it. Raises PageError and ImageError.

    A set that was moved names files by the path that it had: these are sought below `folder` by their last parts.
    """
    spelt = [folder / each for each in spellings(name)]
    path, home = next((each for each in spelt if each.exists()), spelt[0]), folder.resolve()
    if not path.resolve().is_relative_to(home) and not path.exists():
        parts = Path(name).parts
        ends = (home.joinpath(*parts[-count:]) for count in range(min(len(parts) - 1, 3), 0, -1))
        path = next((end for end in ends if end.is_file()), path)
    if not path.resolve().is_relative_to(home):
        raise PageError(f"{where}: {name!r} leaves the folder {folder}. Move the pictures into it.")
    if not path.exists():
        raise ImageError(f"{where}: {path} does not exist. Check the path.")
    return path


def name_below(folder: Path, path: Path) -> str:
    """The name of a file in `folder`, relative to it, however either is written; links are not followed out of it."""
    home = folder.resolve()
    for whole in (path.resolve(), path.parent.resolve() / path.name, path.absolute()):
        if whole.is_relative_to(home):
            return whole.relative_to(home).as_posix()
    return f"{path.parent.name}/{path.name}"
