"""Folders of pictures as people have them: every format that is read, in the order of their numbers."""

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from triptych.errors import SourceError

__all__ = ["SUFFIXES", "find_pictures", "in_order", "is_of_the_system", "note_unread", "some", "spellings"]

SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
)
"""Names of the formats that `load_image` reads, in small letters."""

_TEXTS = frozenset({".txt", ".caption", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".csv", ".md"})
_SYSTEM = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"})

_log = logging.getLogger(__name__)


def find_pictures(folder: Path, *, below: bool = False) -> tuple[Path, ...]:
    """Picture files of a folder, those in folders `below` it too, in the order of their numbers: 1, 2, 10.

    What is passed over is named in the log, but for texts. Raises SourceError where there is no picture.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; name one with pictures.")
    pictures: list[Path] = []
    others: list[Path] = []
    for path in _files(folder, below):
        if is_of_the_system(path) or path.is_dir():
            others.append(path)
        elif path.suffix.lower() in SUFFIXES:
            pictures.append(path)
        elif path.suffix.lower() not in _TEXTS:
            others.append(path)
    if others:
        _log.warning("%s: passed over, no pictures that are read: %s.", folder, some([path.name for path in others]))
    if not pictures:
        raise SourceError(f"no pictures in {folder}; put {', '.join(sorted(s[1:] for s in SUFFIXES))} files there.")
    return tuple(sorted(pictures, key=in_order))


def note_unread(folder: Path, read: Iterable[Path]) -> None:
    """Name in the log the pictures below a folder that are not among those `read`, which nothing names."""
    taken = {path.resolve() for path in read}
    left = [
        path.relative_to(folder).as_posix()
        for path in _files(folder, below=True)
        if path.suffix.lower() in SUFFIXES and not is_of_the_system(path) and path.resolve() not in taken
    ]
    if left:
        _log.warning("%s: pictures left out, for nothing names them: %s.", folder, some(left))


def in_order(path: Path) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A key to sort paths by, numbers by their value and letters of either case together."""
    parts = re.split(r"(\d+)", path.as_posix().casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part), path.as_posix()


def spellings(name: str) -> tuple[str, ...]:
    """A file's name as it is, and with its accents composed and apart: systems write equal names in different ways."""
    return tuple(dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))))


def some(names: list[str]) -> str:
    """The first of `names`, and how many more there are."""
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _files(folder: Path, below: bool) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if below and path.is_dir() and not path.is_symlink() and not is_of_the_system(path):
            yield from _files(path, below)
        else:
            yield path


def is_of_the_system(path: Path) -> bool:
    """Whether a file or folder is what an operating system puts beside people's own."""
    return path.name.startswith(".") or path.name.lower() in _SYSTEM
