"""Writing results: every file whole, and none of a group where one of them fails."""

import contextlib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from triptych.errors import OutputError
from triptych.files import write_atomic

__all__ = ["file_stem", "prepare_folder", "write_group"]


def prepare_folder(folder: Path) -> None:
    """Make `folder` and prove that it can be written, before hours are spent on what goes there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}. Choose another folder.") from error


def write_group(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files by name. If one fails, or Ctrl-C comes, those that were new are removed again."""
    written: list[Path] = []
    new: list[Path] = []
    try:
        for name, data in files.items():
            path = folder / name
            if not path.exists():
                new.append(path)
            write_atomic(path, data)
            written.append(path)
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        raise
    return written


def file_stem(name: str) -> str:
    """`name` as the beginning of a file name that is plain on every system."""
    return re.sub(r"[^\w-]+", "-", name).strip("-")[:60] or "page"
