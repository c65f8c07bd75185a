"""The pictures that a request was given: named by digest in what is made from them, and kept beside it as they were."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from triptych.errors import ImageError
from triptych.images import original_bytes, picture_format, read_image
from triptych.originals import remember

__all__ = ["FOLDER", "InputEntry", "Inputs", "Keep", "MissingInputsError", "find_inputs", "named_images", "reference"]

FOLDER = "inputs"
"""Of the input pictures, beside what was made from them."""

_REFERENCE = re.compile(r"sha256:([0-9a-f]{64})")
_ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "DIB": ".dib", "TIFF": ".tif"}
_Side = Annotated[int, Field(ge=1)]


class Keep(StrEnum):
    """Where the pictures that a request was given are kept."""

    BESIDE = "beside"
    INSIDE = "inside"
    NOWHERE = "nowhere"


class InputEntry(BaseModel):
    """What a record says of one input picture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the file's bytes."""
    bytes: Annotated[int, Field(ge=1)]
    size_px: tuple[_Side, _Side]
    shrunk_px: tuple[_Side, _Side] | None = None
    """The size at which it entered, where that is smaller."""


class MissingInputsError(ImageError):
    """Pictures that something was made from are not where they were sought; `missing` says which."""

    def __init__(self, name: str, missing: str, places: Sequence[Path]) -> None:
        sought = ", ".join(dict.fromkeys(map(str, places)))
        super().__init__(
            f"{name} names the pictures that it was made from but does not hold them. Not found: {missing}. Sought in "
            f"{sought}. Name the pictures, or a folder with them, by --inputs; their file names do not matter."
        )
        self.missing = missing


@dataclass(slots=True, kw_only=True)
class Inputs:
    """Collects input pictures: `encode` gives each its name, `entries` and `files` are what was collected."""

    entries: dict[str, InputEntry] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """By name: the digest, with the ending of the format."""

    def encode(self, image: Image.Image) -> str:
        """The name of a picture in a record."""
        data = original_bytes(image)
        digest = hashlib.sha256(data).hexdigest()
        self.entries[digest] = InputEntry(sha256=digest, bytes=len(data), size_px=image.size)
        self.files[digest + _ENDINGS[picture_format(data)]] = data
        return reference(digest)


def reference(digest: str) -> str:
    """How a record names a picture that is not inside."""
    return f"sha256:{digest}"


def find_inputs(
    page: Mapping[str, Any], entries: Sequence[InputEntry], places: Sequence[Path], name: str
) -> dict[str, Image.Image]:
    """The pictures that a page's data names, by reference, from folders and files.

    A file is known by its bytes, so its name does not matter. Raises ImageError beginning with `name` for pictures that
    are in none of the places.
    """
    known = {entry.sha256: entry for entry in entries}
    wanted: dict[str, list[str]] = {}
    for where, text in named_images(page):
        if (match := _REFERENCE.fullmatch(text)) is not None:
            wanted.setdefault(match[1], []).append(where)
    found: dict[str, Image.Image] = {}
    for path, size in _candidates(places, {entry.bytes for entry in entries}):
        if len(found) == len(wanted):
            break
        if size not in {entry.bytes for entry in entries if entry.sha256 not in found}:
            continue
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest in wanted and digest in known:
            found[digest] = _entered(read_image(data, name=str(path)), known[digest], path)
    if missing := {digest: panels for digest, panels in wanted.items() if digest not in found}:
        raise MissingInputsError(name, _told(missing, known), places)
    return {reference(digest): image for digest, image in found.items()}


def _entered(image: Image.Image, entry: InputEntry, path: Path) -> Image.Image:
    """The picture as it entered."""
    if entry.shrunk_px is None:
        return remember(image, path.absolute())
    return image.resize(entry.shrunk_px, Image.Resampling.LANCZOS, reducing_gap=2.0)


def named_images(page: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every image of a page's data, and where it stands."""
    for number, part in enumerate([page, *(page.get("context") or ())]):
        for panel, entry in enumerate(part["panels"], 1):
            where = f"example page {number}, panel {panel}" if number else f"panel {panel}"
            yield from ((where, entry[key]) for key in ("image", "answer") if isinstance(entry.get(key), str))


def _candidates(places: Sequence[Path], sizes: set[int]) -> Iterator[tuple[Path, int]]:
    """Files of one of these sizes in bytes: the places themselves, and what is in those that are folders."""
    for place in places:
        for path in [place] if place.is_file() else sorted(place.iterdir()) if place.is_dir() else []:
            if path.is_file() and (size := path.stat().st_size) in sizes:
                yield path, size


def _told(missing: Mapping[str, Sequence[str]], known: Mapping[str, InputEntry]) -> str:
    lines = []
    for digest, panels in list(missing.items())[:8]:
        entry = known.get(digest)
        size = f"{entry.size_px[0]}x{entry.size_px[1]} px, {entry.bytes} bytes, " if entry else ""
        lines.append(f"{', '.join(panels)} ({size}sha256 {digest[:16]}...)")
    return "; ".join(lines) + (f"; and {len(missing) - 8} more" if len(missing) > 8 else "")
