"""Parquet files as the Hub's `datasets` reads them: rows of texts, numbers and pictures. Needs pyarrow."""

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from triptych.data.folders import in_order
from triptych.errors import PageError, TriptychError
from triptych.files import is_lfs_pointer

__all__ = ["Column", "count_rows", "part_files", "picture_bytes", "picture_cell", "read_batches", "write_rows"]

_PART = "data/train-00000-of-00001.parquet"
_BATCH = 64
"""Rows that are held in memory at once, with their pictures."""


class Column(StrEnum):
    """What the cells of a column are."""

    TEXT = "text"
    NUMBER = "number"
    PICTURE = "picture"
    TEXTS = "texts"
    PICTURES = "pictures"

    @property
    def feature(self) -> dict[str, Any]:
        """The note by which `datasets` knows the column: without it pictures would be shown as bytes."""
        text, picture = {"dtype": "string", "_type": "Value"}, {"_type": "Image"}
        match self:
            case Column.TEXT:
                return text
            case Column.NUMBER:
                return {"dtype": "int64", "_type": "Value"}
            case Column.PICTURE:
                return picture
            case Column.TEXTS:
                return {"feature": text, "_type": "List"}
            case Column.PICTURES:
                return {"feature": picture, "_type": "List"}

    def kind(self, pyarrow: Any) -> Any:
        """Its type in the file."""
        picture = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
        match self:
            case Column.TEXT:
                return pyarrow.string()
            case Column.NUMBER:
                return pyarrow.int64()
            case Column.PICTURE:
                return picture
            case Column.TEXTS:
                return pyarrow.list_(pyarrow.string())
            case Column.PICTURES:
                return pyarrow.list_(picture)


def picture_cell(data: bytes) -> dict[str, Any]:
    """A picture's file as the cell of a row."""
    return {"bytes": data, "path": None}


def picture_bytes(cell: Any) -> bytes:
    """A picture's file out of a cell, which in the data sets of others may be the bare bytes."""
    return cell["bytes"] if isinstance(cell, Mapping) else cell


def write_rows(
    folder: Path,
    columns: Mapping[str, Column],
    rows: Iterable[Mapping[str, Any]],
    *,
    error: type[TriptychError] = PageError,
) -> int:
    """Write rows to the one part of a data set in `folder` and return how many; raises `error` without pyarrow."""
    pyarrow, count = _pyarrow(error), 0
    features = {name: column.feature for name, column in columns.items()}
    schema = pyarrow.schema(
        [(name, column.kind(pyarrow)) for name, column in columns.items()],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    path = folder / _PART
    path.parent.mkdir(parents=True, exist_ok=True)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        left = iter(rows)
        while some := list(islice(left, _BATCH)):
            writer.write_table(pyarrow.Table.from_pylist(some, schema=schema))
            count += len(some)
    return count


def part_files(place: Path, *, error: type[TriptychError] = PageError) -> tuple[Path, ...]:
    """The parquet files of a data set: of a folder and those in it, or the one that is named. Raises `error`."""
    paths = sorted(place.rglob("*.parquet"), key=in_order) if place.is_dir() else [place]
    if not paths:
        raise error(f"{place} has no parquet files. Name the folder of a data set, or one of its files.")
    return tuple(paths)


def count_rows(path: Path, *, error: type[TriptychError] = PageError) -> int:
    """How many rows a file has. Raises `error` for what is no whole parquet file."""
    pyarrow = _checked(path, error)
    try:
        return pyarrow.parquet.read_metadata(path).num_rows
    except (OSError, pyarrow.ArrowException) as cause:
        raise _damaged(path, cause, error) from cause


def read_batches(path: Path, *, error: type[TriptychError] = PageError) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file, some at a time. Raises `error` for what is no whole parquet file."""
    pyarrow = _checked(path, error)
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as cause:
        raise _damaged(path, cause, error) from cause


def _checked(path: Path, error: type[TriptychError]) -> Any:
    """Pyarrow, once `path` is a file and more than the note that Git LFS leaves where it was not fetched."""
    try:
        with path.open("rb") as file:
            is_pointer = is_lfs_pointer(file.read(64))
    except (OSError, ValueError) as cause:
        why = cause.strerror if isinstance(cause, OSError) else cause
        raise error(f"{path} cannot be read: {why}. Name a data set's folder, or one of its files.") from cause
    if is_pointer:
        raise error(f"{path} is a Git LFS pointer, not the data. Run `git lfs pull` where it was cloned.")
    return _pyarrow(error)


def _damaged(path: Path, cause: Exception, error: type[TriptychError]) -> TriptychError:
    return error(f"{path} is not a whole parquet file: {' '.join(str(cause).split()).rstrip('.')}. Fetch it again.")


def _pyarrow(error: type[TriptychError]) -> Any:
    try:
        importlib.import_module("pyarrow.parquet")
    except ImportError as cause:
        raise error("parquet files need the package pyarrow; pip install 'triptych[data]'.") from cause
    return importlib.import_module("pyarrow")
