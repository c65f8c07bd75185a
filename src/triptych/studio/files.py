"""Pictures by the SHA-256 of their bytes: checked when they come in, then never changed."""

import hashlib
import io
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from triptych.files import write_atomic
from triptych.images import FORMATS, original_bytes, png_bytes, read_image
from triptych.leftovers import remove_leftovers
from triptych.originals import remember
from triptych.studio.errors import StudioError, not_found
from triptych.studio.store import Store

__all__ = ["MAX_UPLOAD_BYTES", "THUMB_WIDTHS", "FileStore", "StoredFile", "file_id", "references"]

MAX_UPLOAD_BYTES = 64 * 2**20
THUMB_WIDTHS = (64, 128, 256, 512, 1024)
_SHOWN_AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
"""Formats that every browser shows; others are kept as PNG."""
_ID = re.compile(r"[0-9a-f]{64}")
_REFERENCE = re.compile(r"(?:file:|/api/files/)([0-9a-f]{64})(?:\?.*)?")
_LEAST_FREE_BYTES = 200 * 2**20
_DECODED_AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A picture that is there."""

    id: str
    media_type: str
    width: int
    height: int

    @property
    def url(self) -> str:
        return f"/api/files/{self.id}"

    def data(self) -> dict[str, object]:
        """As the API tells it."""
        return {
            "id": self.id,
            "width": self.width,
            "height": self.height,
            "url": self.url,
            "thumb": f"{self.url}?w=256",
        }


def file_id(reference: str) -> str | None:
    """The id in `file:ID` or `/api/files/ID`; None for any other text."""
    match = _REFERENCE.fullmatch(reference)
    return match[1] if match else None


class FileStore:
    """A folder of pictures; names are digests, so that no name from outside ever becomes a path."""

    def __init__(self, root: Path, store: Store, *, limit_bytes: int) -> None:
        self._files, self._thumbs = root / "files", root / "thumbs"
        self._store, self._limit = store, limit_bytes
        self._decoding = threading.BoundedSemaphore(_DECODED_AT_ONCE)
        for folder in (self._files, self._thumbs):
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)

    def add(self, data: bytes) -> StoredFile:
        """Keep a picture from outside. Raises ImageError for anything else, StudioError where the disk is full."""
        if len(data) > MAX_UPLOAD_BYTES:
            raise StudioError(
                f"the file has {len(data) / 2**20:.0f} MiB; at most {MAX_UPLOAD_BYTES // 2**20} MiB. Save it smaller.",
                code="too_large",
                status=413,
            )
        with self._decoding:
            image = read_image(data, name="the file")
            media_type = _shown_as(data)
            if media_type is None:
                data, media_type = png_bytes(image), "image/png"
        return self._keep(data, media_type, image.size)

    def add_made(self, data: bytes, size: tuple[int, int]) -> StoredFile:
        """Keep a PNG that was written here."""
        return self._keep(data, "image/png", size)

    def add_image(self, image: Image.Image) -> StoredFile:
        """Keep a picture in memory, as the file that it was read from where browsers show that."""
        data = original_bytes(image)
        media_type = _shown_as(data)
        if media_type is None:
            data, media_type = png_bytes(image), "image/png"
        return self._keep(data, media_type, image.size)

    def find(self, file: str) -> StoredFile:
        """Raises StudioError where there is no such picture."""
        row = self._store.row("SELECT * FROM files WHERE id = ?", (file,)) if _ID.fullmatch(file) else None
        if row is None:
            raise not_found("file", file)
        return StoredFile(id=row["id"], media_type=row["media_type"], width=row["width"], height=row["height"])

    def path(self, file: str) -> Path:
        """Where a picture is. Raises StudioError where it is missing, or something else is in its place."""
        if not _ID.fullmatch(file):
            raise not_found("file", file)
        path = self._files / file[:2] / file
        if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(self._files.resolve()):
            raise not_found("file", file)
        return path

    def read(self, file: str) -> Image.Image:
        """A picture as upright RGB."""
        path = self.path(file)
        return remember(read_image(path.read_bytes(), name=f"file {file[:12]}"), path)

    def thumb(self, file: str, width: int) -> Path:
        """A WebP of about that width, made when it is first asked for."""
        side = next((each for each in THUMB_WIDTHS if each >= width), THUMB_WIDTHS[-1])
        self.find(file)
        path = self._thumbs / file[:2] / f"{file}-{side}.webp"
        if not path.is_file():
            with self._decoding:
                image = self.read(file)
            image.thumbnail((side, 4 * side))
            buffer = io.BytesIO()
            image.save(buffer, format="WEBP", quality=84, method=2)
            write_atomic(path, buffer.getvalue())
        return path

    def used_bytes(self) -> int:
        """What the pictures take, thumbnails not counted."""
        row = self._store.row("SELECT coalesce(sum(bytes), 0) AS n FROM files")
        assert row is not None
        return row["n"]

    def check_room(self, more: int = 0) -> None:
        """Raises StudioError where no more is to be kept."""
        free = shutil.disk_usage(self._files).free
        if free < _LEAST_FREE_BYTES + more or self.used_bytes() + more > self._limit:
            raise StudioError(
                f"there is no room: pictures take {self.used_bytes() / 2**30:.1f} of {self._limit / 2**30:.0f} GiB, "
                f"and {free / 2**30:.1f} GiB are free on the disk. Delete pictures, empty the bin, or free space.",
                code="disk_full",
                status=507,
            )

    def remove_unused(self, used: frozenset[str], *, older_than_s: float) -> int:
        """Delete pictures that nothing names any more; how many."""
        rows = self._store.rows("SELECT id FROM files WHERE created < ?", (time.time() - older_than_s,))
        unused = [row["id"] for row in rows if row["id"] not in used]
        for file in unused:
            self._store.write("DELETE FROM files WHERE id = ?", (file,))
            (self._files / file[:2] / file).unlink(missing_ok=True)
            for side in THUMB_WIDTHS:
                (self._thumbs / file[:2] / f"{file}-{side}.webp").unlink(missing_ok=True)
        return len(unused)

    def _keep(self, data: bytes, media_type: str, size: tuple[int, int]) -> StoredFile:
        kept = StoredFile(id=hashlib.sha256(data).hexdigest(), media_type=media_type, width=size[0], height=size[1])
        path = self._files / kept.id[:2] / kept.id
        if not path.is_file():
            self.check_room(len(data))
            write_atomic(path, data)
        self._store.write(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET created = excluded.created",
            (kept.id, media_type, *size, len(data), time.time()),
        )
        return kept


def references(value: object) -> Iterator[str]:
    """Ids of all pictures that JSON data names."""
    match value:
        case str():
            if (file := file_id(value)) is not None:
                yield file
        case dict():
            for part in value.values():
                yield from references(part)
        case list():
            for part in value:
                yield from references(part)


def _shown_as(data: bytes) -> str | None:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if getattr(image, "n_frames", 1) > 1:
            # Of an animation only the first picture is used, so only that is kept and shown.
            return None
        return _SHOWN_AS_THEY_ARE.get(image.format or "") if image.mode in ("RGB", "RGBA", "L", "P", "LA") else None
