"""Drawing in unit coordinates, for places and things that are drawn by program."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from triptych.data.drawing import Colour, gradient

__all__ = ["Brush", "Point"]

Number = float | int
Point = tuple[Number, Number]


class Brush:
    """Draws in unit coordinates (0..1, y down) at twice the size, for clean edges."""

    def __init__(self, size_px: int, top: Colour, bottom: Colour) -> None:
        self._side = size_px * 2
        self._picture = gradient(self._side, top, bottom)
        self._pen = ImageDraw.Draw(self._picture)

    def poly(self, points: Sequence[Point], colour: Colour) -> None:
        self._pen.polygon([(x * self._side, y * self._side) for x, y in points], fill=colour)

    def disc(self, x: Number, y: Number, rx: Number, colour: Colour, ry: Number | None = None) -> None:
        s, ry = self._side, rx if ry is None else ry
        self._pen.ellipse(((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s), fill=colour)

    def rect(self, x0: Number, y0: Number, x1: Number, y1: Number, colour: Colour) -> None:
        s = self._side
        self._pen.rectangle((x0 * s, y0 * s, x1 * s, y1 * s), fill=colour)

    def line(self, points: Sequence[Point], colour: Colour, width: Number) -> None:
        s = self._side
        self._pen.line([(x * s, y * s) for x, y in points], fill=colour, width=max(1, round(width * s)), joint="curve")

    def hills(self, base: Number, height: Number, waves: Number, phase: Number, colour: Colour) -> None:
        """Everything below a wavy line that swings `height` about `base`."""
        edge = [(i / 32, base - height * math.sin(waves * 2 * math.pi * i / 32 + phase)) for i in range(33)]
        self.poly([*edge, (1, 1), (0, 1)], colour)

    def cloud(self, x: Number, y: Number, scale: Number, colour: Colour = (255, 255, 255)) -> None:
        for dx, dy, r in ((-0.09, 0.01, 0.05), (0, -0.02, 0.07), (0.09, 0.01, 0.05)):
            self.disc(x + dx * scale, y + dy * scale, r * scale, colour)
        self.rect(x - 0.09 * scale, y, x + 0.09 * scale, y + 0.06 * scale, colour)

    def done(self) -> Image.Image:
        return self._picture.reduce(2)
