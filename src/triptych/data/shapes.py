"""Shapes drawn by program, as sprites: what rules draw from when nothing is downloaded."""

import math
from functools import cache

from PIL import Image, ImageDraw

from triptych.data.drawing import Colour
from triptych.data.sprites import SPRITE_PX

__all__ = ["SHAPES", "SHAPE_STYLES", "draw_shape"]


def _polygon(points: int, inner: float = 1.0, turn: float = -90.0) -> tuple[tuple[float, float], ...]:
    """Corners of a regular polygon or, with `inner` below 1, a star; in -1..1."""
    corners = points * (2 if inner < 1 else 1)
    radii = [1.0 if index % 2 == 0 else inner for index in range(corners)]
    angles = [math.radians(turn + 360 * index / corners) for index in range(corners)]
    return tuple((r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True))


_HEART = tuple(
    (math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 17)
    for t in (2 * math.pi * i / 60 for i in range(60))
)
_CIRCLE = tuple((math.cos(2 * math.pi * i / 72), math.sin(2 * math.pi * i / 72)) for i in range(72))
SHAPES: dict[str, tuple[tuple[float, float], ...]] = {
    "circle": _CIRCLE,
    "triangle": _polygon(3),
    "square": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "diamond": _polygon(4),
    "pentagon": _polygon(5),
    "hexagon": _polygon(6),
    "star": _polygon(5, 0.45),
    "sun": _polygon(12, 0.7),
    "heart": _HEART,
    "arrow": ((-1, -0.35), (0.1, -0.35), (0.1, -0.85), (1, 0), (0.1, 0.85), (0.1, 0.35), (-1, 0.35)),
    "cross": (
        (-0.35, -1),
        (0.35, -1),
        (0.35, -0.35),
        (1, -0.35),
        (1, 0.35),
        (0.35, 0.35),
        (0.35, 1),
        (-0.35, 1),
        (-0.35, 0.35),
        (-1, 0.35),
        (-1, -0.35),
        (-0.35, -0.35),
    ),
    "moon": tuple((math.cos(a), math.sin(a)) for a in (math.radians(60 + 240 * i / 40) for i in range(41)))
    + tuple(
        (0.55 + 0.87 * math.cos(a) - 0.1, 0.87 * math.sin(a))
        for a in (math.radians(276 - 192 * i / 30) for i in range(31))
    ),
    "letter-l": ((-0.6, -1), (-0.1, -1), (-0.1, 0.5), (0.7, 0.5), (0.7, 1), (-0.6, 1)),
    "letter-t": ((-0.9, -1), (0.9, -1), (0.9, -0.5), (0.25, -0.5), (0.25, 1), (-0.25, 1), (-0.25, -0.5), (-0.9, -0.5)),
    "flag": ((-0.8, -1), (0.9, -0.5), (-0.5, 0), (-0.5, 1), (-0.8, 1)),
    "house": ((0, -1), (1, -0.15), (0.75, -0.15), (0.75, 0.9), (-0.75, 0.9), (-0.75, -0.15), (-1, -0.15)),
}
"""Outlines in -1..1 (y down) by name."""  # fmt: skip

SHAPE_STYLES = {"shape-filled": "filled shape style", "shape-line": "line shape style", "shape-framed": "framed style"}


@cache
def _shape_masks(name: str) -> tuple[Image.Image, Image.Image]:
    """The inside of a shape and its contour as alpha, drawn at four times the size for clean edges."""
    big = SPRITE_PX * 4
    inside, contour = Image.new("L", (big, big), 0), Image.new("L", (big, big), 0)
    points = [(big / 2 + x * big * 0.45, big / 2 + y * big * 0.45) for x, y in SHAPES[name]]
    ImageDraw.Draw(inside).polygon(points, fill=255)
    ImageDraw.Draw(contour).line([*points, points[0], points[1]], fill=255, width=big // 18, joint="curve")
    return inside.reduce(4), contour.reduce(4)


def draw_shape(name: str, style: str, colour: Colour) -> Image.Image:
    """A shape of `SHAPES` as a 128x128 RGBA sprite in one of the shape styles."""
    inside, contour = _shape_masks(name)
    picture = Image.new("RGBA", inside.size, (*colour, 0))
    if style == "shape-line":
        picture.putalpha(contour)
        return picture
    picture.putalpha(inside)
    if style == "shape-framed":
        rim = Image.new("RGBA", inside.size, (25, 25, 30, 0))
        rim.putalpha(contour)
        picture.alpha_composite(rim)
    return picture
