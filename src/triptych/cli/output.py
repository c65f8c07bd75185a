"""Writing results: every file whole, none of a group where one of them fails, and none over another."""

import contextlib
import itertools
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import console
from triptych.errors import OutputError, TakenError
from triptych.files import is_folder, why_unwritten, write_all, write_atomic
from triptych.leftovers import remove_leftovers

__all__ = [
    "Overwrite",
    "claim",
    "file_stem",
    "free_path",
    "keep_inputs",
    "prepare_folder",
    "write_group",
    "write_results",
]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]


def prepare_folder(folder: Path) -> None:
    """Make `folder` and prove that it can be written, before hours are spent on what is to go there.

    Temporary files that killed runs left there are removed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = why_unwritten(folder / "a file", error)
        raise OutputError(f"{folder} cannot be written: {why}. Choose another folder.") from error
    remove_leftovers(folder)


def claim(path: Path, *, overwrite: bool, option: str = "--out") -> None:
    """Raise OutputError where `path` already exists and may not be replaced, before work is spent on it."""
    if is_folder(path):
        raise OutputError(f"{path} is a folder. Choose another {option}.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} already exists. Choose another {option}, or replace it with --overwrite.")


def write_results(
    folder: Path, stem: str, endings: Mapping[str, bytes], *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Write files named `stem` and an ending, all or none, under a free name where one of them already exists.

    The free name is printed. The very same bytes are not written twice.
    """
    for tag in itertools.chain([""], (f"-run{number}" for number in itertools.count(2))):
        files = {f"{stem}{tag}{ending}": data for ending, data in endings.items()}
        paths = tuple(folder / name for name in files)
        if not overwrite and all(path.is_file() and path.read_bytes() == files[path.name] for path in paths):
            console.say(f"{paths[0]} already exists, with the same bytes.")
            return paths
        with contextlib.suppress(TakenError):
            write_group(folder, files, overwrite=overwrite)
            if tag:
                console.say(f"{stem} already exists; this is {stem}{tag}. --overwrite replaces files.")
            return paths
    raise AssertionError("names do not end")


def write_group(folder: Path, files: Mapping[str, bytes], *, overwrite: bool = False) -> list[Path]:
    """Write files by name, all or none: if one fails, or Ctrl-C comes, what was there before is there still.

    Raises TakenError for a name that already exists.
    """
    paths = {folder / name: data for name, data in files.items()}
    for path in paths:
        if not overwrite and path.exists():
            raise TakenError(f"{path} already exists. Choose another --out, or add --overwrite.")
    write_all(paths, is_new=not overwrite)
    return list(paths)


def keep_inputs(folder: Path, files: Mapping[str, bytes], *, quiet: bool = False) -> None:
    """Write the pictures that were given, by names that hold their digests; existing ones stay as they are."""
    for name, data in files.items():
        if not (folder / name).exists():
            write_atomic(folder / name, data)
            if not quiet:
                console.say(f"kept {folder / name}")


def free_path(path: Path, *, overwrite: bool = False) -> Path:
    """`path`, or where it already exists, a free name beside it."""
    if overwrite or not path.exists():
        return path
    names = (path.with_name(f"{path.stem}-run{number}{path.suffix}") for number in itertools.count(2))
    return next(name for name in names if not name.exists())


def file_stem(name: str) -> str:
    """`name` as the beginning of a file name that is plain on every system."""
    return re.sub(r"[^\w-]+", "-", name).strip("-")[:60] or "page"
