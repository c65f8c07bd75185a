"""Page files: a page as YAML or JSON with its images beside it, or as one self-contained record."""

import base64
import binascii
import hashlib
import json
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeAlias

import yaml
from PIL import Image

from triptych.errors import PageError
from triptych.files import write_atomic
from triptych.images import (
    bare_bytes,
    load_answer,
    load_image,
    picture_format,
    png_bytes,
    read_answer,
    read_image,
)
from triptych.originals import remember
from triptych.page import NamedBox, Page, Panel, Role
from triptych.pageschema import BoxEntry, ExampleEntry, PageEntry, PanelEntry, check_entry, check_suffix, read_entry
from triptych.prompts import template_names

__all__ = [
    "box_records",
    "boxes_of",
    "confined_path",
    "load_page",
    "page_from_entry",
    "page_from_record",
    "page_record",
    "save_page",
]


class _Dumper(yaml.SafeDumper):
    """Escapes line separators and control characters, which PyYAML's plain style loses."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, None if text.isprintable() else '"'),
)

_Encode: TypeAlias = Callable[[Image.Image, str], str]
_Decode: TypeAlias = Callable[[str, str, bool], Image.Image]
"""Of what a picture is named, the place where it is named, and whether it is an answer, which may be transparent."""


def load_page(path: str | Path) -> Page:
    """The page in a .yaml, .yml or .json file, with its images read.

    Raises PageError naming file, panel and key, and ImageError naming file and panel. Image paths are relative to
    the page file and must stay in its folder, symbolic links followed.
    """
    path = Path(path)
    entry = read_entry(path)
    for number, source in enumerate((entry, *entry.context)):
        if source.template not in template_names():
            raise PageError(
                f"{path}: {_place(number)}key 'template': no template {source.template!r}; "
                f"there are {', '.join(template_names())}."
            )

    def decode(value: str, where: str, is_answer: bool) -> Image.Image:
        if value.startswith("data:"):
            return _from_data_uri(value, where, is_answer)
        read = load_answer if is_answer else load_image
        return read(confined_path(path.parent, value, where), panel=where)

    return _page(entry, str(path), decode)


def save_page(page: Page, path: str | Path) -> None:
    """Write the page to a .yaml, .yml or .json file and its images beside it as PNG; `load_page` gives it back.

    Image names hold a digest of the pixels, so that a file saved before keeps its own images, and the page file is
    written last: it never names an image that is not there. Raises PageError, and OutputError for what cannot be
    written.
    """
    path = Path(path)
    check_suffix(path)
    pictures: dict[str, bytes] = {}

    def encode(image: Image.Image, place: str) -> str:
        digest = hashlib.sha256(image.tobytes() + repr(image.size).encode()).hexdigest()[:12]
        name = f"{path.stem}-{place}-{digest}.png"
        pictures[name] = png_bytes(image)
        return name

    data = _dumped(page, encode)
    for name, picture in pictures.items():
        write_atomic(path.with_name(name), picture)
    if path.suffix == ".json":
        text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    else:
        text = yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
    write_atomic(path, text.encode())


def page_record(page: Page, encode: Callable[[Image.Image], str] | None = None) -> dict[str, Any]:
    """The page as plain JSON data with its images inside, in base64; `page_from_record` gives it back.

    JPEG and PNG files are inside as they were, without what cameras wrote into them; other pictures as PNG.
    `encode` may put another text in an image's place, such as a name that the reader can resolve. Raises PageError for
    a text that is longer than `MAX_TEXT_CHARS`.
    """
    return _dumped(page, lambda image, _: encode(image) if encode else _to_data_uri(image))


def page_from_record(record: object, resolve: Callable[[str], Image.Image] | None = None) -> Page:
    """The page of a record. Raises PageError naming panel and key.

    `resolve` makes the picture of an image that is not a data URI; without it such images are refused, so no file is
    ever read.
    """
    return page_from_entry(check_entry(record, "page record"), "page record", resolve)


def page_from_entry(entry: PageEntry, name: str, resolve: Callable[[str], Image.Image] | None = None) -> Page:
    """As `page_from_record`, of a record that was checked; `name` begins the messages of errors."""

    def decode(value: str, where: str, is_answer: bool) -> Image.Image:
        if value.startswith("data:"):
            return _from_data_uri(value, where, is_answer)
        if resolve is None:
            raise PageError(f"{where}: {reprlib.repr(value)} is a path; a page record holds its images as data URIs.")
        return resolve(value)

    return _page(entry, name, decode)


def confined_path(folder: Path, name: str, where: str) -> Path:
    """The file `name` within `folder`, symbolic links followed. Raises PageError beginning with `where`."""
    if not name or PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or PureWindowsPath(name).root:
        raise PageError(f"{where}: {reprlib.repr(name)} is not a relative path. Put the image into {_told(folder)}.")
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise PageError(f"{where}: {reprlib.repr(name)} is not a usable path: {error}.") from error
    if not inside:
        steps = [folder.joinpath(*Path(name).parts[: count + 1]) for count in range(len(Path(name).parts))]
        link = next((step for step in steps if step.is_symlink()), None)
        why = f"; {link.name!r} is a link to {link.resolve()}" if link is not None else ""
        raise PageError(f"{where}: {reprlib.repr(name)} leaves the folder {_told(folder)}{why}. Put the image into it.")
    return path


def _told(folder: Path) -> Path:
    """A folder by a name that says something."""
    return folder if folder.name else folder.resolve()


def _place(example: int) -> str:
    return f"example page {example}, " if example else ""


def _to_data_uri(image: Image.Image) -> str:
    data = bare_bytes(image)
    return f"data:{Image.MIME[picture_format(data)]};base64,{base64.b64encode(data).decode()}"


def _from_data_uri(value: str, where: str, is_answer: bool) -> Image.Image:
    head, _, body = value.partition(",")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        raise PageError(f"{where}: {reprlib.repr(head)} is not an image in base64; write data:image/png;base64,...")
    try:
        data = base64.b64decode(body, validate=True)
        read = read_answer if is_answer else read_image
        return remember(read(data, name="embedded image", panel=where), data)
    except (binascii.Error, ValueError) as error:
        raise PageError(f"{where}: the image is not valid base64: {error}.") from error


def _page(entry: PageEntry, name: str, decode: _Decode) -> Page:
    examples = tuple(
        _page_of(part, f"{name}: {_place(number)}", decode) for number, part in enumerate(entry.context, 1)
    )
    page = _page_of(entry, f"{name}: ", decode)
    try:
        return replace(page, context=examples)
    except PageError as error:
        raise PageError(f"{name}: key 'context': {error}") from error


def _page_of(entry: ExampleEntry, where: str, decode: _Decode) -> Page:
    panels = tuple(_panel(part, f"{where}panel {number}", decode) for number, part in enumerate(entry.panels, 1))
    try:
        return Page(
            panels=panels,
            overview=entry.overview,
            layout=entry.layout,
            gutter_px=entry.gutter_px,
            template=entry.template,
            page_id=entry.page_id,
            rule=entry.rule,
        )
    except PageError as error:
        raise PageError(f"{where}key 'panels': {error}") from error


def _panel(entry: PanelEntry, where: str, decode: _Decode) -> Panel:
    role = entry.role or (Role.SLOT if entry.image is None else Role.SUBJECT)
    wrong = None
    if role is Role.SLOT and entry.image is not None:
        wrong = "image", "a slot cannot have an image. Give the panel a condition's role, or name the picture `answer`"
    elif role is not Role.SLOT and entry.image is None:
        wrong = "image", f"a panel of role {role.value!r} needs one; a panel to be generated has the role 'slot'"
    elif role is not Role.SLOT and entry.answer is not None:
        wrong = "answer", f"only a slot can have an answer, and the role is {role.value!r}"
    elif role is not Role.SLOT and entry.rejected:
        wrong = "rejected", f"only a slot can have rejected pictures, and the role is {role.value!r}"
    elif role is not Role.SLOT and entry.size_px is not None:
        wrong = "size_px", f"only a slot can have a size, and the role is {role.value!r}"
    if wrong:
        raise PageError(f"{where}, key {wrong[0]!r}: {wrong[1]}.")
    try:
        boxes = boxes_of(entry.boxes)
    except PageError as error:
        raise PageError(f"{where}, key 'boxes': {error}") from error
    return Panel(
        role=role,
        image=None if entry.image is None else decode(entry.image, f"{where}, key 'image'", False),
        answer=None if entry.answer is None else decode(entry.answer, f"{where}, key 'answer'", True),
        rejected=tuple(
            decode(name, f"{where}, key 'rejected', picture {number}", True)
            for number, name in enumerate(entry.rejected, 1)
        ),
        instruction=entry.instruction,
        size_px=entry.size_px,
        boxes=boxes,
    )


def boxes_of(entries: Sequence[BoxEntry]) -> tuple[NamedBox, ...]:
    """Boxes from a file's entries; raises PageError for one that cannot be."""
    return tuple(NamedBox(name=box.name, corners=box.corners, words=box.words) for box in entries)


def box_records(panel: Panel) -> list[dict[str, Any]]:
    """A panel's boxes as data."""
    return [{"name": box.name, "corners": box.corners, "words": box.words} for box in panel.boxes]


def _dumped(page: Page, encode: _Encode) -> dict[str, Any]:
    """The page as checked plain data."""
    data = _entry(page, encode, "") | {
        "context": [_entry(part, encode, f"example-{number}-") for number, part in enumerate(page.context, 1)]
    }
    return check_entry(data, "page").model_dump(mode="json", exclude_defaults=True)


def _entry(page: Page, encode: _Encode, prefix: str) -> dict[str, Any]:
    return {
        "overview": page.overview,
        "layout": page.layout,
        "gutter_px": page.gutter_px,
        "template": page.template,
        "page_id": page.page_id,
        "rule": page.rule,
        "panels": [
            {
                "role": panel.role,
                "image": None if panel.image is None else encode(panel.image, f"{prefix}{number}"),
                "answer": None if panel.answer is None else encode(panel.answer, f"{prefix}{number}-answer"),
                "rejected": [
                    encode(picture, f"{prefix}{number}-rejected-{place}")
                    for place, picture in enumerate(panel.rejected, 1)
                ],
                "instruction": panel.instruction,
                "size_px": panel.size_px,
                "boxes": box_records(panel),
            }
            for number, panel in enumerate(page.panels, 1)
        ],
    }
