"""ICC profiles made by hand: Display P3, grey of a gamma, and a printer of four inks with two grid points."""

import struct


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {
        b"desc": b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2, 28) + "x".encode("utf-16-be"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(0.9642, 1, 0.8249),
        **tags,
    }
    body, table = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s12s4s", start + len(body), b"", 0x04300000, kind, space, connection, b"", b"acsp")
    header = (header + b"\0" * 28 + _fixed(0.9642, 1, 0.8249)).ljust(128, b"\0")
    return header + struct.pack(">I", len(tags)) + table + body


def display_p3() -> bytes:
    """Display P3 as phones embed it: its primaries as seen under D50, and the curve of sRGB."""
    curve = b"para\0\0\0\0\0\3\0\0" + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    tags = {name: b"XYZ \0\0\0\0" + _fixed(*place) for name, place in primaries.items()}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey(gamma: float) -> bytes:
    """Grey of one gamma."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"para\0\0\0\0\0\0\0\0" + _fixed(gamma)})


def four_inks(colours: dict[tuple[int, int, int, int], tuple[int, int, int]]) -> bytes:
    """A printer whose inks, none or full, give these Lab bytes; others give black."""
    identity = bytes(range(256))
    grid = b"".join(
        bytes(colours.get((c, m, y, k), (0, 128, 128))) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)
    )
    table = b"mft1\0\0\0\0\4\3\2\0" + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + identity * 4 + grid + identity * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})
