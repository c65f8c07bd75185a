"""Temporary files: named so that what a killed run leaves behind is known, and removed when its owner is gone."""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["held", "held_folder", "remove_leftovers", "stage", "temporary_path"]

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp", re.DOTALL)
_GRACE_S = 60
"""Younger files are left alone: their writers may have no lock yet, or none any more."""


def temporary_path(path: Path) -> Path:
    """A name beside `path` for what is to become it."""
    path = path.resolve() if path.name in ("", "..") else path
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")


def stage(path: Path, data: bytes | bytearray | memoryview) -> Path:
    """Write `data` to the disk in a temporary file that is to become `path`; on any failure nothing stays."""
    temporary = temporary_path(path)
    try:
        with temporary.open("xb") as file, held(file.fileno()):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return temporary


@contextlib.contextmanager
def held(handle: int) -> Iterator[None]:
    """Hold a lock on an open file, which the system lets go when this process ends, however it ends."""
    if fcntl is not None:
        # A file system without locks is not a reason not to write.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield


@contextlib.contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """The same for a folder."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with held(handle):
            yield
    finally:
        os.close(handle)


def remove_leftovers(folder: str | Path) -> None:
    """Remove temporary files and folders in `folder` whose writers are gone; those of running ones stay."""
    try:
        paths = [Path(entry.path) for entry in os.scandir(folder) if _TEMPORARY.fullmatch(entry.name)]
    except OSError:
        return
    for path in paths:
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime < _GRACE_S or path.is_symlink() or _is_held(path):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _is_held(path: Path) -> bool:
    if fcntl is None:
        # Without such locks (Windows) an open file cannot be removed.
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
