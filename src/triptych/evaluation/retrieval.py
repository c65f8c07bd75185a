"""Top-1 retrieval: is the right answer the nearest of 50 of its kind?

The embedding is a histogram of gradient orientations over cells (Dalal and Triggs 2005, CVPR, without the block
normalisation that would hide faint pictures) beside a coarse map of colours in CIELAB. It has no weights, so no
licence and no training set that could favour a model; it sees form and colour, forgives a shift of a few pixels
and a soft edge, and tells objects of one style apart, which pixel distance and LPIPS do not. Its ceiling is
measured beside every figure: the right answers themselves, sent through the backbone's own codec, are retrieved
among the same candidates.
"""

from collections.abc import Sequence

import numpy as np
from einops import rearrange, reduce
from jaxtyping import Float
from PIL import Image
from skimage.color import rgb2lab

from triptych.images import opaque

__all__ = ["embed", "rank_of"]

_SIDE = 96
_CELLS = 12
_BINS = 8
_COLOUR_CELLS = 8
_COLOUR_SHARE = 0.5
"""Of the likeness. Of 40 real answers of aligned styles, blurred by 6 px, shifted by 8 px or drained of colour, at
least .97 are retrieved with any share from .3 to .7; form alone gives .93 under blur, colour alone .5 when drained."""


def embed(pictures: Sequence[Image.Image]) -> Float[np.ndarray, "pictures features"]:
    """Rows of unit length; the dot product of two is their likeness."""
    if not pictures:
        return np.zeros((0, _CELLS**2 * _BINS + _COLOUR_CELLS**2 * 3), dtype=np.float32)
    arrays = np.stack([np.asarray(_small(picture), dtype=np.float32) / 255 for picture in pictures])
    form, colour = _orientations(arrays), _colours(arrays)
    joined = np.concatenate((np.sqrt(1 - _COLOUR_SHARE) * _unit(form), np.sqrt(_COLOUR_SHARE) * _unit(colour)), axis=1)
    return joined.astype(np.float32)


def rank_of(
    picture: Float[np.ndarray, " features"], candidates: Float[np.ndarray, "candidates features"], right: int
) -> int:
    """0 where the right candidate is the nearest, otherwise how many are nearer; ties count against it."""
    likeness = candidates @ picture
    return int((likeness >= likeness[right]).sum()) - 1


def _small(picture: Image.Image) -> Image.Image:
    return opaque(picture).resize((_SIDE, _SIDE), Image.Resampling.BOX)


def _orientations(arrays: np.ndarray) -> np.ndarray:
    """Gradient magnitude by orientation in each cell; the square root keeps one hard edge from drowning the rest."""
    grey = arrays @ np.asarray([0.299, 0.587, 0.114], dtype=np.float32)
    dy, dx = np.gradient(grey, axis=(1, 2))
    magnitude, angle = np.hypot(dx, dy), np.mod(np.arctan2(dy, dx), np.pi) / np.pi * _BINS
    lower, part = np.floor(angle).astype(int) % _BINS, angle - np.floor(angle)
    bins = np.arange(_BINS)
    spread = (lower[..., None] == bins) * (magnitude * (1 - part))[..., None]
    spread = spread + ((lower[..., None] + 1) % _BINS == bins) * (magnitude * part)[..., None]
    cells = reduce(spread, "n (r h) (c w) b -> n (r c b)", "mean", r=_CELLS, c=_CELLS)
    return np.sqrt(cells)


def _colours(arrays: np.ndarray) -> np.ndarray:
    cells = reduce(arrays, "n (r h) (c w) k -> n r c k", "mean", r=_COLOUR_CELLS, c=_COLOUR_CELLS)
    lab = rgb2lab(cells) - np.asarray([50, 0, 0], dtype=np.float32)
    return rearrange(lab, "n r c k -> n (r c k)")


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
