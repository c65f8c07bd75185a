"""Colour profiles: pixels as a file means them, converted to sRGB."""

import io
import logging
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

__all__ = ["to_srgb"]

_KINDS = {"RGB": "RGB", "CMYK": "CMYK", "GRAY": "L", "Lab": "LAB"}
"""Colour spaces of profiles, and the pixels they are for."""

_LEVELS = (0, 32, 64, 96, 128, 160, 192, 224, 255)

_log = logging.getLogger(__name__)


def to_srgb(picture: Image.Image, profile: object, name: str = "image") -> Image.Image:
    """RGB pixels of a picture (L, RGB, CMYK or LAB, no alpha) through its embedded ICC profile, perceptual intent.

    Pixels of a profile that is sRGB by another name are not touched. A profile that is damaged, or for other pixels,
    is left out with a warning that begins with `name`.
    """
    if picture.mode == "LAB":
        found = _from_lab()
    elif profile:
        try:
            if not isinstance(profile, bytes):
                raise ValueError("it is not bytes")
            space, found = _transform(profile)
            kind = _KINDS.get(space)
            if kind == "RGB" and picture.mode == "L":
                picture = picture.convert("RGB")
            if kind != picture.mode:
                raise ValueError(f"it is for {space.strip()} pixels, and these are {picture.mode}")
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            _log.warning("%s: its colour profile is left out and the colours are taken for sRGB: %s.", name, error)
            found = None
    else:
        found = None
    if found is not None:
        return found.apply(picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


@lru_cache(maxsize=32)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The profile's colour space, and its way to sRGB: None where nothing would change."""
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    core: Any = opened.profile
    space = str(core.xcolor_space).strip()
    kind = _KINDS.get(space)
    if kind is None:
        return space, None
    found = ImageCms.buildTransform(
        opened, ImageCms.createProfile("sRGB"), kind, "RGB", renderingIntent=ImageCms.Intent.PERCEPTUAL
    )
    if kind == "RGB":
        grid = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS, indexing="ij"), axis=-1)
        colours = Image.fromarray(grid.reshape(len(_LEVELS), -1, 3).astype(np.uint8))
        change = np.asarray(found.apply(colours), np.int16) - np.asarray(colours, np.int16)
        if np.abs(change).max() <= 2:
            return space, None
    return space, found


@lru_cache(maxsize=1)
def _from_lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
