"""Rows appended to a .npy file one by one, for sets of pictures larger than memory."""

import io
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy

__all__ = ["RowWriter"]

_HEADER = 128


class RowWriter:
    """Writes uint8 rows of one shape; the file is there, whole, when the block ends without an error."""

    def __init__(self, path: Path, row_shape: tuple[int, ...]) -> None:
        self._path, self._shape = path, row_shape
        self._part = path.with_name(f"{path.name}.part")
        self.count = 0

    def __enter__(self) -> "RowWriter":
        self._file = self._part.open("wb")
        self._file.write(self._header())
        return self

    def append(self, row: np.ndarray) -> None:
        assert row.shape == self._shape and row.dtype == np.uint8
        self._file.write(np.ascontiguousarray(row).tobytes())
        self.count += 1

    def _header(self) -> bytes:
        text = io.BytesIO()
        shape = (self.count, *self._shape)
        npy.write_array_header_1_0(text, {"descr": "|u1", "fortran_order": False, "shape": shape})
        assert text.tell() == _HEADER
        return text.getvalue()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._file:
            if kind is None:
                self._file.seek(0)
                self._file.write(self._header())
        self._part.replace(self._path) if kind is None else self._part.unlink(missing_ok=True)
