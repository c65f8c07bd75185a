"""Picture files without what cameras and programs wrote into them: places, names, previews, whole videos."""

import struct
from collections.abc import Iterator

__all__ = ["bare_jpeg", "bare_png"]

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"pHYs", b"sBIT")
_END, _SCAN, _COMMENT = 0xD9, 0xDA, 0xFE
_APPS = range(0xE0, 0xF0)
_APPS_KEPT = (b"JFIF\0", b"ICC_PROFILE\0", b"Adobe")
"""What says how the pixels are to be read."""
_IN_SCANS = [bytes([each]) for each in (0, *range(0xD0, 0xD8))]


def bare_png(data: bytes) -> bytes:
    """A PNG with its pixels and colours alone. Raises ValueError for anything else."""
    if not data.startswith(_PNG):
        raise ValueError("no PNG")
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if kind in _PNG_KEPT:
            kept.append(data[at:end])
        at = end
        if kind == b"IEND":
            break
    return b"".join(kept)


def bare_jpeg(data: bytes, orientation: int = 1) -> bytes:
    """A JPEG with its pixels and colours alone, and its EXIF orientation. Raises ValueError for anything else."""
    kept = [b"\xff\xd8"]
    if orientation != 1:
        tag = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
        kept.append(b"\xff\xe1" + (len(tag) + 2).to_bytes(2) + tag)
    for marker, segment in _segments(data):
        if marker in _APPS and not segment[4:].startswith(_APPS_KEPT):
            continue
        if marker != _COMMENT:
            kept.append(segment)
    return b"".join(kept)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes of each part up to the end of the first picture; what follows it is another file."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("no JPEG")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError(f"byte {at} begins no part of a JPEG")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == _SCAN:
            end = _scan_end(data, end)
        yield marker, data[at:end]
        at = end
        if data[at : at + 2] == b"\xff\xd9":
            yield _END, b"\xff\xd9"
            return
    raise ValueError("the JPEG is cut short")


def _scan_end(data: bytes, at: int) -> int:
    """Where compressed pixels end: at the 0xFF that begins the next part."""
    while True:
        at = data.index(b"\xff", at)
        if data[at + 1 : at + 2] not in _IN_SCANS:
            return at
        at += 2
