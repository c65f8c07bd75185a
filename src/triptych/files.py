"""Files: bytes and text read one way, and files written whole or not at all."""

import codecs
import contextlib
import json
import logging
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from triptych.errors import OutputError, TakenError, TextError, TriptychError
from triptych.leftovers import held_folder, remove_leftovers, stage, temporary_path

__all__ = [
    "MAX_TEXT_FILE_BYTES",
    "decode_text",
    "is_folder",
    "is_lfs_pointer",
    "new_folder",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_json",
    "read_text",
    "read_yaml",
    "text_lines",
    "why_unread",
    "why_unwritten",
    "write_all",
    "write_atomic",
]

MAX_TEXT_FILE_BYTES = 512 * 2**20
"""Most that is read of one text file."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks, the longer ones first: UTF-32's begins with that of UTF-16."""

_WINDOWS = "cp1252"

_log = logging.getLogger(__name__)


def read_bytes(
    path: str | Path, *, max_bytes: int, where: str = "", error: type[TriptychError] = TextError, smaller: str = ""
) -> bytes:
    """All of a regular file. Raises `error` beginning with `where`, by default the path.

    `smaller` says what to do about a file of more than `max_bytes`.
    """
    path = Path(path)
    where = where or str(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise error(f"{where} is not a file. Name a file.")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise error(f"{where} does not exist. Check the path.") from None
    except (OSError, ValueError) as cause:
        raise error(f"{where} cannot be read: {cause}.") from cause
    if len(data) > max_bytes:
        raise error(f"{where} has more than {max_bytes // 2**20} MiB. {smaller or 'Split it.'}")
    return data


def is_lfs_pointer(data: bytes) -> bool:
    """Whether `data` is the note that Git LFS leaves where a large file was not fetched."""
    return data.startswith(b"version https://git-lfs.github.com/spec/")


def is_folder(path: str | Path) -> bool:
    """Whether `path` is one; False also for what can be no path, where `Path.is_dir` raises."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def why_unread(path: str | Path, error: Exception) -> str:
    """What a reader of large files says it stumbled over, or that `path` is only the note of Git LFS."""
    try:
        with Path(path).open("rb") as file:
            is_pointer = is_lfs_pointer(file.read(64))
    except (OSError, ValueError):
        is_pointer = False
    return "it is a Git LFS pointer; run `git lfs pull` where it was cloned" if is_pointer else str(error)


def read_text(
    path: str | Path,
    *,
    encoding: str | None = None,
    any_encoding: bool = False,
    max_bytes: int = MAX_TEXT_FILE_BYTES,
    error: type[TriptychError] = TextError,
) -> str:
    """The text of a file as `decode_text` reads it. Raises `error` naming the file, and the byte that is not text."""
    data = read_bytes(path, max_bytes=max_bytes, error=error)
    return decode_text(data, str(path), encoding=encoding, any_encoding=any_encoding, error=error)


def decode_text(
    data: bytes,
    name: str,
    *,
    encoding: str | None = None,
    any_encoding: bool = False,
    error: type[TriptychError] = TextError,
) -> str:
    r"""Text with its byte order mark gone and lines ended by `\n`.

    UTF-8, or what a byte order mark says, or `encoding`. `any_encoding` takes other bytes for Windows-1252 and logs
    that it did. Raises `error` beginning with `name`; a NUL byte is not text.
    """
    if is_lfs_pointer(data):
        raise error(f"{name} is a Git LFS pointer, not the file itself. Run `git lfs pull` where it was cloned.")
    mark, found = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", None))
    body = data[len(mark) :]
    try:
        text = body.decode(found or encoding or "utf-8")
    except LookupError:
        raise error(f"{encoding!r} is not an encoding that Python knows; write utf-8, cp1252 or shift_jis.") from None
    except UnicodeDecodeError as cause:
        at = cause.start + len(mark)
        if found or encoding or not any_encoding:
            asked = found or encoding or "UTF-8"
            line = data.count(b"\n", 0, at) + 1
            raise error(
                f"{name} is not text in {asked} (byte {at}, 0x{data[at]:02x}) in line {line}. Save it as UTF-8."
            ) from cause
        text = _as_windows(body, name, at, error)
    if "\0" in text:
        raise error(f"{name} holds a NUL byte (character {text.index(chr(0))}): no text, or UTF-16. Save it as UTF-8.")
    return text.replace("\r\n", "\n")


def _as_windows(data: bytes, name: str, at: int, error: type[TriptychError]) -> str:
    try:
        text = data.decode(_WINDOWS)
    except UnicodeDecodeError as cause:
        raise error(
            f"{name} is text neither in UTF-8 (byte {at}) nor in Windows-1252 (byte {cause.start}). Save it as UTF-8."
        ) from cause
    _log.warning("%s is not UTF-8 (byte %d); it was read as Windows-1252.", name, at)
    return text


def text_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""The lines that are not blank with their numbers, from 1. Only `\n` ends a line: U+2028 may stand in a string."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line


def parse_json(text: str) -> Any:
    """JSON data. Raises ValueError for bad JSON, for what nests too deep, and for a duplicate key."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as cause:
        raise ValueError("it nests too deep") from cause


def parse_yaml(text: str) -> Any:
    """YAML data. Raises ValueError for bad YAML, for what nests too deep, and for a duplicate key."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as cause:
        raise ValueError(" ".join(str(cause).split()) or "it nests too deep") from cause


def read_json(path: str | Path, *, error: type[TriptychError] = TextError) -> Any:
    """The data in a JSON file. Raises `error` naming the file."""
    try:
        return parse_json(read_text(path, error=error))
    except ValueError as cause:
        raise error(f"{path} is not valid JSON: {cause}.") from cause


def read_yaml(path: str | Path, *, error: type[TriptychError] = TextError) -> Any:
    """The data in a YAML file. Raises `error` naming the file."""
    try:
        return parse_yaml(read_text(path, error=error))
    except ValueError as cause:
        raise error(f"{path} is not valid YAML: {cause}.") from cause


class _Loader(yaml.SafeLoader):
    """Refuses a duplicate key, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                    raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value!r}", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise ValueError(f"duplicate key {key!r}")
        data[key] = value
    return data


def write_atomic(path: str | Path, data: bytes | bytearray | memoryview, *, is_new: bool = False) -> None:
    """Write `data` to `path` through a temporary file in the same folder, fsync and replace.

    Missing folders are made. On any failure, Ctrl-C included, `path` is as it was and nothing is left beside it.
    Raises OutputError where the folder cannot be written or the disk is full, and with `is_new` TakenError where
    `path` already exists, however late it came.
    """
    write_all({Path(path): data}, is_new=is_new)


def write_all(files: Mapping[Path, bytes | bytearray | memoryview], *, is_new: bool = False) -> None:
    """Write several files as `write_atomic` does, all or none: each is on the disk before the first gets its name."""
    staged: list[tuple[Path, Path]] = []
    fresh: list[Path] = []
    path = Path()
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged.append((path, stage(path, data)))
        for path, temporary in staged:
            was_there = path.exists()
            if is_new:
                _put_new(temporary, path)
            else:
                temporary.replace(path)
            if not was_there:
                fresh.append(path)
        for folder in {path.parent for path in files}:
            _sync_folder(folder)
    except BaseException as error:
        for left in (*fresh, *(temporary for _, temporary in staged)):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
        if isinstance(error, OSError | ValueError):
            raise _unwritable(path, error) from error
        raise


def _put_new(temporary: Path, path: Path) -> None:
    """Give the file its name unless the name is taken."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise TakenError(f"{path} already exists. Choose another name.") from None
    except OSError:
        # A file system without hard links: a short moment is left in which another may take the name.
        if path.exists():
            raise TakenError(f"{path} already exists. Choose another name.") from None
        temporary.replace(path)
    else:
        temporary.unlink()


@contextlib.contextmanager
def new_folder(folder: str | Path, *, replaces: str | None = None, instead: str = "remove it") -> Iterator[Path]:
    """A temporary folder that becomes `folder` at the end, or vanishes on an error; what killed writers left goes.

    `replaces` names the file by which a folder is known that may be replaced; `instead` tells what to do about one that
    may not. Raises OutputError where the folder has files in it already, or cannot be written.
    """
    folder = Path(folder)
    temporary, old = temporary_path(folder), temporary_path(folder)
    try:
        _check_free(folder, replaces, instead)
        remove_leftovers(temporary.parent)
        temporary.mkdir(parents=True)
        try:
            with held_folder(temporary):
                yield temporary
                _check_free(folder, replaces, instead)
                _swap(temporary, folder, old)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _swap(temporary: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    try:
        temporary.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise


def _check_free(folder: Path, replaces: str | None, instead: str) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if replaces is None:
        raise TakenError(f"{folder} already exists and is not empty. Choose another folder or {instead}.")
    if not (folder / replaces).is_file():
        raise TakenError(f"{folder} already exists and holds no {replaces}; only what was written so is replaced.")


def _unwritable(path: Path, error: Exception) -> OutputError:
    return OutputError(f"{path} cannot be written: {why_unwritten(path, error)}. Free space or choose another folder.")


def why_unwritten(path: Path, error: Exception) -> str:
    """What stands in the way of writing `path`, in words: systems call a file in a folder's place by many names."""
    while not is_folder(path.parent) and path.parent != path.parent.parent:
        path = path.parent
        with contextlib.suppress(OSError, ValueError):
            if path.exists():
                return f"{path} is a file, not a folder"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system can open folders (not on Windows)."""
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
