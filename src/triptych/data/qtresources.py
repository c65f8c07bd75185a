"""Files out of Qt's compiled resources (.rcc), in which some programs keep their pictures."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from triptych.errors import SourceError

__all__ = ["resource_files"]

_FOLDER, _DEFLATED = 2, 1


def resource_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(path inside, content) of every file that is stored plainly or deflated; others are left out.

    Layout: Qt's rcc, versions 1 to 3: header, tree of 14- or 22-byte nodes, names in UTF-16, data with lengths.
    """
    blob = path.read_bytes()
    if blob[:4] != b"qres":
        raise SourceError(f"{path} is not a compiled Qt resource file: it does not begin with 'qres'.")
    version, tree, data, names = struct.unpack(">IIII", blob[4:20])
    node_size = 14 if version < 2 else 22

    def walk(index: int, above: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * node_size
        name_at, flags, first, second = struct.unpack(">IHII", blob[at : at + 14])
        (length,) = struct.unpack(">H", blob[names + name_at : names + name_at + 2])
        own = blob[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be") if index else ""
        here = f"{above}/{own}" if above and own else own or above
        if flags & _FOLDER:
            for child in range(second, second + first):
                yield from walk(child, here)
            return
        start = data + second
        (size,) = struct.unpack(">I", blob[start : start + 4])
        content = blob[start + 4 : start + 4 + size]
        if flags & _DEFLATED:
            yield here, zlib.decompress(content[4:])
        elif not flags:
            yield here, content

    yield from walk(0, "")
