"""Small pictures for the studio's tests."""

import io

from PIL import Image


def png(size: tuple[int, int], colour: str) -> bytes:
    """A picture of one colour as a file."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()
