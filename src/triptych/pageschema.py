"""What a page file may say: its keys and their types, and errors that name panel and key."""

import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triptych.errors import PageError
from triptych.files import parse_json, parse_yaml, read_text
from triptych.images import MAX_BYTES
from triptych.page import MAX_CONDITIONS, MAX_SLOTS, Layout, Role

__all__ = [
    "MAX_TEXT_CHARS",
    "BoxEntry",
    "ExampleEntry",
    "Name",
    "PageEntry",
    "PanelEntry",
    "Text",
    "check_entry",
    "check_suffix",
    "is_slot",
    "page_schema",
    "problems",
    "read_entry",
]

MAX_TEXT_CHARS = 20_000
"""Longest overview or instruction in a file: as long as the captions that FLUX 3's prompt upsampler may write."""

# YAML is read by a slow parser and never holds images; a JSON record holds them all.
_MAX_FILE_BYTES = {".yaml": 2**20, ".yml": 2**20, ".json": 2 * MAX_BYTES}

# The default depth of 6 spells out a few megabytes of a YAML file that nests aliases.
_brief = reprlib.Repr()
_brief.maxlevel = 2

Name = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS)]
_Side = Annotated[int, Field(strict=True, ge=1, le=16384)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class BoxEntry(_Entry):
    """Where one thing stands in a panel's picture."""

    name: Annotated[str, Field(max_length=64)]
    """What instructions call it, in angle brackets: a letter, then letters, digits and underscores."""
    corners: tuple[float, float, float, float]
    """Left, top, right and bottom, as parts of width and height from 0 to 1."""
    words: Text = ""
    """What stands there."""


class PanelEntry(_Entry):
    """One panel: a condition if it has an image, a slot to be generated if it has none."""

    role: Role | None = None
    """What the panel is for; without it a panel with an image is a subject and one without is a slot."""
    image: str | None = None
    """A condition's image: a path relative to the page file and within its folder, or a data URI."""
    answer: str | None = None
    """A slot's right picture where it is known, like `image`."""
    rejected: Annotated[tuple[str, ...], Field(max_length=64)] = ()
    """Pictures of a slot that the answer was preferred to, like `image`."""
    instruction: Text = ""
    """What this panel shows or should show."""
    size_px: tuple[_Side, _Side] | None = None
    """Width and height wanted of a slot."""
    boxes: Annotated[tuple[BoxEntry, ...], Field(max_length=64)] = ()
    """Where things are wanted in a slot, or stand in a condition, for backbones that read boxes."""


class ExampleEntry(_Entry):
    """A finished page that shows the task; all its slots have answers."""

    panels: Annotated[tuple[PanelEntry, ...], Field(min_length=1, max_length=MAX_CONDITIONS + MAX_SLOTS)]
    """The panels in reading order."""
    overview: Text = ""
    """The text about the whole page."""
    layout: Layout = Layout.AUTO
    """How the panels are arranged on a canvas."""
    gutter_px: Annotated[int, Field(strict=True, ge=0, le=4096)] = 0
    """White between panels."""
    template: Name = "panels"
    """Name of the prompt template."""
    page_id: Name = ""
    """A name for the page, unique in a page set."""
    rule: Name | None = None
    """Name of the rule that made the page, where one did."""


class PageEntry(ExampleEntry):
    """A page for triptych: conditions, slots and instructions."""

    context: Annotated[tuple[ExampleEntry, ...], Field(max_length=16)] = ()
    """Example pages in front of the page."""


def read_entry(path: Path) -> PageEntry:
    """What the .yaml, .yml or .json file at `path` says. Raises PageError naming file, panel and key."""
    return check_entry(_parse(path), str(path))


def check_suffix(path: Path) -> None:
    """Raise PageError unless the name is that of a page file."""
    if path.suffix not in _MAX_FILE_BYTES:
        raise PageError(f"{path}: a page file ends in .yaml, .yml or .json, not {path.suffix or 'nothing'!r}.")


def _parse(path: Path) -> Any:
    check_suffix(path)
    cap = _MAX_FILE_BYTES[path.suffix]
    text = read_text(path, max_bytes=cap, error=PageError)
    try:
        return parse_json(text) if path.suffix == ".json" else parse_yaml(text)
    except ValueError as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise PageError(f"{path} is not valid {kind}: {error}.") from error


def check_entry(data: Any, name: str) -> PageEntry:
    """`data` as a page; a PageError begins with `name`."""
    if not isinstance(data, dict):
        raise PageError(f"{name} has no keys; a page needs at least the key 'panels'.")
    try:
        return PageEntry.model_validate(data)
    except ValidationError as error:
        raise PageError(f"{name}: {'; '.join(list(problems(error))[:5])}.") from error


def _inside(model: type[BaseModel], key: str) -> type[BaseModel]:
    """The model of what lies under a key, where that is known; otherwise the model that has the key."""
    field = model.model_fields.get(key)
    kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)


def problems(error: ValidationError, model: type[BaseModel] = PageEntry) -> Iterator[str]:
    """What pydantic found wrong in data for `model`, one sentence each, naming panel (from 1) and key."""
    for found in error.errors(include_url=False):
        place, keys, known, location = "", [], model, list(found["loc"])
        while location:
            match location.pop(0), location[:1]:
                case "context", [int(index), *_]:
                    place, known = f"example page {index + 1}, ", ExampleEntry
                case "panels", [int(index), *_]:
                    place, known = f"{place}panel {index + 1}, ", PanelEntry
                case "images_file_names" | "roles" | "instructions" as key, [int(index), *_]:
                    place, keys = f"panel {index + 1}, ", [key]
                case str(key), [int(index), *_] if _inside(known, key) is not known:
                    place, known = f"{place}{key} {index + 1}, ", _inside(known, key)
                case str(key), _:
                    keys.append(key)
                    known = _inside(known, key)
        key = f"{place}key {_brief.repr(keys[-1])}" if keys else place.removesuffix(", ")
        match found["type"]:
            case "extra_forbidden":
                yield f"{key} is unknown; known are {', '.join(known.model_fields)}"
            case "string_too_long":
                yield f"{key} has {len(found['input'])} characters; at most {found.get('ctx', {}).get('max_length')}"
            case _:
                yield f"{key}: {found['msg'].lower()}, got {_brief.repr(found['input'])}"


def is_slot(panel: Mapping[str, Any]) -> bool:
    """Whether the data of a panel is that of a slot."""
    return panel.get("role") == Role.SLOT or panel.get("image") is None


def page_schema() -> dict[str, Any]:
    """The JSON schema of page files, published as docs/page.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | PageEntry.model_json_schema()
