"""Where pictures in memory were read from, so that they can be kept as the bytes that they were."""

import weakref
from pathlib import Path

from PIL.Image import Image

__all__ = ["origin", "remember"]

_ORIGINS: dict[int, tuple["weakref.ref[Image]", Path | bytes]] = {}


def remember(image: Image, source: Path | bytes) -> Image:
    """`image`, of which `origin` now tells the file or the bytes that it was read from, as long as it lives."""
    key = id(image)
    _ORIGINS[key] = weakref.ref(image, lambda _: _ORIGINS.pop(key, None)), source
    return image


def origin(image: Image) -> Path | bytes | None:
    """What `image` was read from; None for one that was made, or made from another. The file may have changed."""
    found = _ORIGINS.get(id(image))
    return found[1] if found is not None and found[0]() is image else None
