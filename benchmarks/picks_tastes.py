"""Tastes that can be checked: each is a number computed from a picture, and has pages whose samples differ in it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

__all__ = ["KINDS", "TASTES", "Kind", "values_of"]


def values_of(picture: Image.Image) -> np.ndarray:
    """Red, green and blue from 0 to 1."""
    return np.asarray(picture.convert("RGB"), dtype=np.float32) / 255


def _ground(values: np.ndarray) -> np.ndarray:
    """The colour that most of the border has."""
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    return np.median(border, axis=0)


def _subject(values: np.ndarray) -> np.ndarray:
    """Where the picture is not ground."""
    return np.abs(values - _ground(values)).max(axis=-1) > 0.15


def warmer(values: np.ndarray) -> float:
    """More red than blue."""
    return float((values[..., 0] - values[..., 2]).mean())


def thicker(values: np.ndarray) -> float:
    """Dark area over its edge: how thick dark lines are."""
    dark = values.mean(axis=-1) < 0.35
    edge = dark & ~ndimage.binary_erosion(dark)
    return float(dark.sum() / max(1, edge.sum()))


def larger(values: np.ndarray) -> float:
    """Share of the picture that the subject takes."""
    return float(_subject(values).mean())


def left(values: np.ndarray) -> float:
    """The subject's weight lies left of its middle, as a head that looks there."""
    columns = np.nonzero(_subject(values))[1]
    return 0.0 if not len(columns) else float((columns.min() + columns.max()) / 2 - columns.mean())


def fewer(values: np.ndarray) -> float:
    """Fewer parts that do not touch, specks not counted; of equals, the one with less in it."""
    parts = np.asarray(ndimage.label(_subject(values))[0])  # pyright: ignore[reportGeneralTypeIssues]
    sizes = np.bincount(parts.ravel())[1:]
    return -float((sizes > 20).sum()) - float(_subject(values).mean())


def flat(values: np.ndarray) -> float:
    """Of two styles, shaded and flat, the flat: little changes within the subject."""
    inside = ndimage.binary_erosion(_subject(values), iterations=2)
    grey = values.mean(axis=-1)
    slopes = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))
    return -float(slopes[inside].mean()) if inside.any() else -1.0


def darker(values: np.ndarray) -> float:
    """Less light."""
    return -float(values.mean())


def colourful(values: np.ndarray) -> float:
    """Stronger colours."""
    return float((values.max(axis=-1) - values.min(axis=-1)).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of page: its rules take turns, its objects are of these styles."""

    rules: tuple[str, ...]
    styles: tuple[str, ...]


_EMOJI = ("noto", "fluent-emoji", "fluent-emoji-flat", "fluent-emoji-3d")
KINDS = {
    "control": Kind(rules=("lines-to-object", "silhouette-to-object"), styles=_EMOJI),
    "words": Kind(rules=("text-to-picture",), styles=_EMOJI),
    "icons": Kind(rules=("text-to-picture",), styles=("icon-park", "ph-bold", "ph-fill")),
}
TASTES: dict[str, tuple[str, Callable[[np.ndarray], float]]] = {
    "warmer": ("control", warmer),
    "colourful": ("control", colourful),
    "darker": ("control", darker),
    "flat": ("control", flat),
    "larger": ("words", larger),
    "fewer": ("words", fewer),
    "left": ("words", left),
    "thicker": ("icons", thicker),
}
"""For each taste, the kind of page it is asked on, and the number."""
