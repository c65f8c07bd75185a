"""Twelve places for storyboards, drawn by program.

A place is the same picture up to a small jitter, so that its name determines what a shot of it looks like.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from PIL import Image

from triptych.data.brush import Brush
from triptych.data.drawing import Colour

__all__ = ["PLACES", "Place"]


def _beach(size: int, j: Random) -> Image.Image:
    b = Brush(size, (110, 195, 245), (205, 236, 252))
    b.disc(0.8, 0.16 + j.uniform(-0.02, 0.02), 0.08, (255, 236, 130))
    b.cloud(0.3, 0.2 + j.uniform(-0.03, 0.03), 1.1)
    b.rect(0, 0.45, 1, 1, (40, 140, 200))
    b.rect(0, 0.54, 1, 1, (70, 175, 215))
    b.hills(0.66, 0.015, 3, j.uniform(0, 1), (240, 250, 250))
    b.hills(0.685, 0.015, 3, j.uniform(0, 1), (244, 216, 156))
    b.line([(0.1, 0.9), (0.14, 0.6), (0.2, 0.34)], (140, 96, 56), 0.035)
    for dx, dy in ((-0.18, 0.04), (-0.1, -0.12), (0.06, -0.13), (0.17, 0.0), (0.12, 0.12), (-0.1, 0.14)):
        b.poly([(0.2, 0.31), (0.2 + dx * 0.6, 0.31 + dy - 0.05), (0.2 + dx, 0.34 + dy), (0.2, 0.36)], (50, 150, 80))
    return b.done()


def _pine(b: Brush, x: float, foot: float, height: float, colour: Colour) -> None:
    b.rect(x - height * 0.05, foot - height * 0.2, x + height * 0.05, foot, (110, 75, 50))
    for level in range(3):
        y, half = foot - height * (0.15 + 0.25 * level), height * (0.3 - 0.07 * level)
        b.poly([(x - half, y), (x + half, y), (x, y - height * 0.38)], colour)


def _forest(size: int, j: Random) -> Image.Image:
    b = Brush(size, (190, 225, 215), (225, 240, 215))
    b.hills(0.5, 0.05, 1.5, 1 + j.uniform(-0.2, 0.2), (150, 195, 160))
    for x in (0.03, 0.15, 0.27, 0.4, 0.53, 0.66, 0.78, 0.9, 1.0):
        _pine(b, x, 0.68, 0.42 + j.uniform(-0.03, 0.03), (95, 155, 110))
    b.rect(0, 0.66, 1, 1, (110, 165, 85))
    for x, foot in ((0.1, 0.82), (0.32, 0.74), (0.7, 0.75), (0.9, 0.84)):
        _pine(b, x + j.uniform(-0.02, 0.02), foot, 0.62, (40, 110, 75))
    b.hills(0.9, 0.02, 1, 2, (92, 146, 72))
    return b.done()


def _city(size: int, j: Random) -> Image.Image:
    b = Brush(size, (160, 205, 240), (225, 235, 245))
    towers = (
        (0.0, 0.14, 0.25),
        (0.15, 0.3, 0.12),
        (0.31, 0.44, 0.34),
        (0.56, 0.68, 0.28),
        (0.69, 0.85, 0.1),
        (0.86, 1.0, 0.3),
    )
    colours = ((200, 110, 90), (120, 140, 170), (225, 185, 120), (150, 120, 160), (105, 160, 165), (215, 140, 120))
    for (x0, x1, top), colour in zip(towers, colours, strict=True):
        top += j.uniform(-0.02, 0.02)
        b.rect(x0, top, x1, 0.74, colour)
        for row in range(int((0.68 - top) / 0.1)):
            for column in range(2):
                left = x0 + (x1 - x0) * (0.18 + 0.42 * column)
                y = top + 0.05 + row * 0.1
                b.rect(left, y, left + (x1 - x0) * 0.24, y + 0.05, (250, 240, 200))
    b.rect(0, 0.72, 1, 0.78, (190, 190, 190))
    b.rect(0, 0.78, 1, 1, (95, 98, 106))
    for x in (0.02, 0.27, 0.52, 0.77):
        b.rect(x, 0.885, x + 0.13, 0.905, (245, 225, 120))
    return b.done()


def _desert(size: int, j: Random) -> Image.Image:
    b = Brush(size, (135, 200, 235), (252, 228, 180))
    b.disc(0.22, 0.18 + j.uniform(-0.02, 0.02), 0.09, (255, 240, 170))
    b.hills(0.58, 0.06, 1.2, 0.4 + j.uniform(-0.2, 0.2), (228, 176, 110))
    b.hills(0.68, 0.05, 0.9, 2.6 + j.uniform(-0.2, 0.2), (238, 192, 124))
    b.hills(0.82, 0.03, 1.1, 4.2, (246, 206, 140))
    for x, foot, h in ((0.83, 0.74, 0.3), (0.12, 0.66, 0.18)):
        green = (70, 140, 85)
        b.line([(x, foot), (x, foot - h)], green, h * 0.18)
        b.line([(x, foot - h * 0.35), (x - h * 0.3, foot - h * 0.4), (x - h * 0.3, foot - h * 0.75)], green, h * 0.13)
        b.line([(x, foot - h * 0.25), (x + h * 0.3, foot - h * 0.3), (x + h * 0.3, foot - h * 0.6)], green, h * 0.13)
    return b.done()


def _snow(size: int, j: Random) -> Image.Image:
    b = Brush(size, (170, 200, 228), (226, 236, 246))
    b.hills(0.55, 0.07, 1.1, 0.9 + j.uniform(-0.2, 0.2), (205, 220, 238))
    for x, foot, h in ((0.12, 0.7, 0.36), (0.26, 0.66, 0.25), (0.86, 0.7, 0.4), (0.7, 0.64, 0.22)):
        _pine(b, x, foot, h, (105, 140, 150))
        b.poly([(x - h * 0.1, foot - h * 0.78), (x + h * 0.1, foot - h * 0.78), (x, foot - h * 1.03)], (250, 252, 255))
    b.hills(0.72, 0.03, 0.8, 2.2, (244, 248, 253))
    for _ in range(26):
        b.disc(j.random(), j.random() * 0.7, 0.007, (255, 255, 255))
    return b.done()


def _room(size: int, j: Random) -> Image.Image:
    b = Brush(size, (246, 226, 196), (240, 216, 184))
    b.rect(0.08, 0.14, 0.38, 0.5, (150, 100, 70))
    b.rect(0.105, 0.165, 0.355, 0.475, (170, 215, 245))
    b.rect(0.222, 0.165, 0.238, 0.475, (150, 100, 70))
    b.rect(0, 0.72, 1, 1, (176, 124, 84))
    b.rect(0, 0.7, 1, 0.725, (250, 244, 232))
    b.disc(0.5, 0.88, 0.36, (196, 92, 84), 0.075)
    b.disc(0.5, 0.88, 0.28, (222, 140, 116), 0.055)
    shift = j.uniform(-0.02, 0.02)
    b.rect(0.72 + shift, 0.3, 0.94 + shift, 0.72, (130, 86, 58))
    for shelf in range(3):
        y = 0.33 + shelf * 0.13
        b.rect(0.74 + shift, y, 0.92 + shift, y + 0.1, (96, 62, 44))
        for book, colour in enumerate(((200, 70, 70), (70, 130, 180), (230, 180, 80), (90, 150, 100))):
            b.rect(0.745 + shift + book * 0.043, y + 0.015, 0.78 + shift + book * 0.043, y + 0.1, colour)
    return b.done()


def _space(size: int, j: Random) -> Image.Image:
    b = Brush(size, (14, 12, 40), (40, 24, 78))
    fixed = Random(4)
    for _ in range(60):
        b.disc(fixed.random(), fixed.random(), fixed.uniform(0.003, 0.008), (235, 235, 255))
    x, y = 0.8 + j.uniform(-0.02, 0.02), 0.22 + j.uniform(-0.02, 0.02)
    b.disc(x, y, 0.2, (190, 140, 210), 0.045)
    b.disc(x, y, 0.12, (235, 160, 110))
    b.disc(x - 0.03, y - 0.03, 0.06, (245, 186, 140))
    b.disc(0.15, 0.72, 0.05, (120, 190, 220))
    b.disc(0.5, 1.32, 0.6, (120, 124, 150))
    for cx, cy, r in ((0.3, 0.86, 0.05), (0.62, 0.82, 0.035), (0.76, 0.92, 0.05)):
        b.disc(cx, cy, r, (98, 102, 128), r * 0.5)
    return b.done()


def _meadow(size: int, j: Random) -> Image.Image:
    b = Brush(size, (120, 195, 245), (215, 240, 250))
    b.cloud(0.25, 0.18 + j.uniform(-0.03, 0.03), 1.2)
    b.cloud(0.75, 0.3 + j.uniform(-0.03, 0.03), 0.9)
    b.hills(0.6, 0.06, 1, 0.3 + j.uniform(-0.2, 0.2), (140, 205, 110))
    b.hills(0.72, 0.03, 0.8, 2.5, (110, 188, 88))
    fixed = Random(9)
    for _ in range(34):
        x, y = fixed.random(), fixed.uniform(0.76, 0.98)
        b.disc(x, y, 0.013, fixed.choice(((245, 110, 140), (255, 230, 90), (255, 255, 255), (180, 120, 220))))
    return b.done()


def _underwater(size: int, j: Random) -> Image.Image:
    b = Brush(size, (60, 180, 220), (14, 70, 140))
    for x in (0.2, 0.5, 0.8):
        b.poly([(x - 0.03, 0), (x + 0.05, 0), (x + 0.2, 0.7), (x + 0.04, 0.7)], (70, 172, 214))
    b.hills(0.86, 0.025, 1.4, 1 + j.uniform(-0.2, 0.2), (220, 196, 140))
    for x, h, colour in ((0.1, 0.4, (40, 150, 100)), (0.2, 0.28, (60, 170, 110)), (0.9, 0.36, (40, 150, 100))):
        b.line([(x + 0.025 * math.sin(k), 0.92 - h * k / 8) for k in range(9)], colour, 0.03)
    for x in (0.76, 0.82, 0.7):
        b.line([(0.76, 0.9), (x, 0.76)], (240, 110, 110), 0.025)
        b.disc(x, 0.75, 0.022, (240, 110, 110))
    for x, y, r in ((0.3, 0.3, 0.025), (0.34, 0.2, 0.017), (0.68, 0.4, 0.02), (0.64, 0.28, 0.014)):
        b.disc(x + j.uniform(-0.02, 0.02), y, r, (190, 230, 245))
    return b.done()


def _mountains(size: int, j: Random) -> Image.Image:
    b = Brush(size, (150, 205, 245), (228, 240, 250))
    b.cloud(0.55, 0.14 + j.uniform(-0.02, 0.02), 0.9)
    for x, top, half, colour in ((0.78, 0.24, 0.42, (132, 146, 172)), (0.28, 0.16, 0.45, (106, 122, 150))):
        top += j.uniform(-0.015, 0.015)
        b.poly([(x - half, 0.76), (x, top), (x + half, 0.76)], colour)
        cap, width = top + 0.14, half * 0.14 / (0.76 - top)
        zigzag = [(x + width * (0.5 - k * 0.5), cap + (0.04 if k % 2 else 0)) for k in range(-1, 4)]
        b.poly([(x, top), *zigzag], (250, 252, 255))
    b.hills(0.74, 0.02, 1.3, 1, (120, 165, 100))
    b.hills(0.84, 0.02, 1, 3, (98, 145, 82))
    return b.done()


def _farm(size: int, j: Random) -> Image.Image:
    b = Brush(size, (135, 205, 245), (230, 242, 250))
    b.cloud(0.22, 0.16 + j.uniform(-0.02, 0.02), 1.0)
    b.hills(0.58, 0.03, 1, 1 + j.uniform(-0.2, 0.2), (168, 208, 104))
    b.rect(0.62, 0.4, 0.92, 0.66, (190, 56, 50))
    b.poly([(0.58, 0.41), (0.66, 0.27), (0.88, 0.27), (0.96, 0.41)], (110, 60, 56))
    b.rect(0.71, 0.5, 0.83, 0.66, (250, 240, 230))
    b.rect(0.725, 0.515, 0.815, 0.66, (150, 44, 40))
    b.rect(0, 0.65, 1, 1, (214, 184, 96))
    for k in range(-6, 7):
        b.line([(0.5 + k * 0.07, 0.65), (0.5 + k * 0.3, 1.0)], (186, 150, 70), 0.014)
    b.rect(0, 0.6, 0.5, 0.618, (250, 246, 238))
    for x in (0.04, 0.19, 0.34, 0.49):
        b.rect(x - 0.012, 0.55, x + 0.012, 0.68, (250, 246, 238))
    return b.done()


def _stage(size: int, j: Random) -> Image.Image:
    b = Brush(size, (70, 26, 60), (104, 40, 78))
    b.poly([(0.46, 0), (0.54, 0), (0.84, 0.84), (0.16, 0.84)], (176, 112, 128))
    b.rect(0, 0.76, 1, 1, (150, 96, 60))
    b.disc(0.5, 0.86, 0.33, (240, 214, 160), 0.07)
    for side in (0, 1):
        for fold in range(3):
            x = fold * 0.075
            x0, x1 = (x, x + 0.075) if side == 0 else (1 - x - 0.075, 1 - x)
            b.rect(x0, 0, x1, 0.84 + j.uniform(0, 0.01), ((188, 30, 44), (160, 22, 36), (200, 44, 56))[fold])
    for k in range(5):
        b.disc(0.1 + 0.2 * k, 0.02, 0.12, (200, 40, 52), 0.1)
    return b.done()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a shot happens: the words for it, how it is drawn, and the height of its floor (0 top, 1 bottom)."""

    words: str
    draw: Callable[[int, Random], Image.Image]
    floor: float


PLACES: dict[str, Place] = {
    "beach": Place(words="on a beach", draw=_beach, floor=0.88),
    "forest": Place(words="in a forest", draw=_forest, floor=0.88),
    "city": Place(words="in a city street", draw=_city, floor=0.86),
    "desert": Place(words="in a desert", draw=_desert, floor=0.86),
    "snow": Place(words="in the snow", draw=_snow, floor=0.88),
    "room": Place(words="in a room", draw=_room, floor=0.9),
    "space": Place(words="in space", draw=_space, floor=0.82),
    "meadow": Place(words="in a meadow", draw=_meadow, floor=0.88),
    "underwater": Place(words="under water", draw=_underwater, floor=0.74),
    "mountains": Place(words="in the mountains", draw=_mountains, floor=0.9),
    "farm": Place(words="on a farm", draw=_farm, floor=0.88),
    "stage": Place(words="on a stage", draw=_stage, floor=0.88),
}
