"""What scenes are made of: named colours, grounds, sprites fitted and placed, and `Look`, a picture in two layers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageChops

__all__ = [
    "COLOURS",
    "PALE",
    "Colour",
    "Look",
    "blank",
    "clear",
    "contrast",
    "filled",
    "fitted",
    "flat_ground",
    "gradient",
    "ground",
    "luminance",
    "place",
    "stamp",
    "toned",
]

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (222, 50, 46),
    "orange": (245, 140, 30),
    "yellow": (250, 208, 50),
    "green": (60, 165, 80),
    "teal": (30, 160, 160),
    "blue": (45, 105, 220),
    "purple": (130, 75, 190),
    "pink": (240, 125, 175),
    "brown": (135, 85, 50),
    "grey": (140, 145, 150),
    "black": (25, 25, 30),
    "white": (255, 255, 255),
}
"""Colours that instructions name; far enough apart for a nearest-colour test."""

PALE: dict[str, Colour] = {
    "cream": (253, 244, 208),
    "mint": (200, 240, 214),
    "sky blue": (188, 222, 252),
    "lavender": (217, 204, 248),
    "rose": (250, 208, 214),
    "sand": (238, 214, 172),
    "light grey": (224, 226, 230),
    "white": (255, 255, 255),
}
"""Quiet colours for grounds; every two differ by at least 22 of 255 in some channel."""


def luminance(colour: Colour) -> float:
    """Rec. 601 luma, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def contrast(a: Colour, b: Colour) -> float:
    """Distance of two colours in 0..1; below about .25 they are hard to tell apart."""
    return float(np.linalg.norm(np.subtract(a, b)) / 441.7)


def blank(size_px: int, colour: Colour = (255, 255, 255)) -> Image.Image:
    """A square RGB picture of one colour."""
    return Image.new("RGB", (size_px, size_px), colour)


def clear(size_px: int) -> Image.Image:
    """A square transparent layer."""
    return Image.new("RGBA", (size_px, size_px), (0, 0, 0, 0))


@lru_cache(maxsize=64)
def _ramp(size_px: int) -> Image.Image:
    return Image.linear_gradient("L").resize((size_px, size_px), Image.Resampling.BILINEAR)


def gradient(size_px: int, top: Colour, bottom: Colour) -> Image.Image:
    """A square RGB picture from `top` to `bottom`."""
    return Image.composite(blank(size_px, bottom), blank(size_px, top), _ramp(size_px))


def flat_ground(rng: Random) -> Colour:
    """A colour for a plain ground: white and pale colours most of the time."""
    if rng.random() < 0.3:
        return (255, 255, 255)
    table = PALE if rng.random() < 0.7 else COLOURS
    return rng.choice(list(table.values()))


def ground(rng: Random, size_px: int) -> Image.Image:
    """A plain or softly graded ground."""
    colour = flat_ground(rng)
    if rng.random() < 0.75:
        return blank(size_px, colour)
    other = rng.choice(list(PALE.values()))
    return gradient(size_px, colour, other)


def fitted(picture: Image.Image, side_px: int) -> Image.Image:
    """The drawn part of an RGBA picture, scaled so that its longer side is `side_px`."""
    box = picture.getchannel("A").getbbox()
    if box is None:
        return clear(side_px)
    scale = side_px / max(box[2] - box[0], box[3] - box[1])
    size = (max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale)))
    return picture.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)


def place(canvas: Image.Image, figure: Image.Image, centre: tuple[float, float]) -> None:
    """Paint an RGBA figure on an RGB or RGBA canvas, in place; parts outside the canvas are cut."""
    left, top = round(centre[0] - figure.width / 2), round(centre[1] - figure.height / 2)
    if canvas.mode == "RGB":
        canvas.paste(figure, (left, top), figure)
        return
    layer = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
    layer.paste(figure, (left, top))
    canvas.alpha_composite(layer)


def stamp(canvas: Image.Image, sprite: Image.Image, x: float, y: float, side: float) -> None:
    """Paint a sprite's drawn part on a square canvas, in place; centre and longer side in units of the canvas."""
    size_px = canvas.width
    place(canvas, fitted(sprite, max(1, round(side * size_px))), (x * size_px, y * size_px))


def toned(picture: Image.Image, curve: Callable[[int], float]) -> Image.Image:
    """Every channel's values through `curve` (0..255 to a number, cut to 0..255)."""
    table = [max(0, min(255, int(curve(value)))) for value in range(256)]
    return picture.point(table * len(picture.getbands()))


def filled(figure: Image.Image, colour: Colour) -> Image.Image:
    """The RGBA figure in one colour, its alpha kept."""
    flat = Image.new("RGBA", figure.size, (*colour, 255))
    flat.putalpha(figure.getchannel("A"))
    return flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A picture in two layers of one size: an RGB `ground`, and the objects as one RGBA `figure`."""

    ground: Image.Image
    figure: Image.Image

    @property
    def size_px(self) -> int:
        return self.ground.width

    @property
    def mask(self) -> Image.Image:
        """Where the figure is, as an 8-bit alpha."""
        return self.figure.getchannel("A")

    def render(self) -> Image.Image:
        """The two layers as one RGB picture."""
        picture = self.ground.copy()
        picture.paste(self.figure, (0, 0), self.figure)
        return picture

    def each(self, change: Callable[[Image.Image], Image.Image]) -> "Look":
        """`change` (RGB to RGB, pixel by pixel) on both layers; alpha is kept."""
        figure = change(self.figure.convert("RGB"))
        figure.putalpha(self.mask)
        return Look(ground=change(self.ground), figure=figure)

    def moved(self, move: Callable[[Image.Image], Image.Image]) -> "Look":
        """`move` (any mode, geometry only) on both layers."""
        return Look(ground=move(self.ground), figure=move(self.figure))

    @staticmethod
    def flat(picture: Image.Image, mask: Image.Image | None = None) -> "Look":
        """One finished RGB picture; `mask` says where its objects are."""
        figure = picture.convert("RGBA")
        figure.putalpha(mask if mask is not None else ImageChops.constant(figure.getchannel("A"), 0))
        return Look(ground=picture, figure=figure)
