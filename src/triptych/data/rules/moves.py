"""Families of geometry: turned, shifted, cropped, sheared, mirrored, tiled and put together by any amount."""

import math
from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from triptych.data.drawing import Colour, Look
from triptych.data.rules.base import Change, picture_rule
from triptych.data.rules.tones import BY_DEGREES, any_colour

__all__ = ["RULES"]

_FAMILY = "geometry by degrees"
_BICUBIC = Image.Resampling.BICUBIC


def _placed(
    move: Callable[[Image.Image, Colour | int], Image.Image], paper: Colour = (255, 255, 255)
) -> Callable[[Look], Look]:
    """`move(picture, fill)` on the finished picture and, where objects are known, on their mask."""

    def apply(look: Look) -> Look:
        mask = look.mask
        return Look.flat(move(look.render(), paper), move(mask, 0) if mask.getbbox() else None)

    return apply


def _affine(picture: Image.Image, fill: Colour | int, inverse: tuple[float, float, float, float]) -> Image.Image:
    """`inverse` (2x2, row by row) carries the answer's pixels, counted from the centre, to the picture's."""
    a, b, c, d = inverse
    x, y = (picture.width - 1) / 2, (picture.height - 1) / 2
    data = (a, b, x - a * x - b * y, c, d, y - c * x - d * y)
    return picture.transform(picture.size, Image.Transform.AFFINE, data, _BICUBIC, fillcolor=fill)


@picture_rule("turn", _FAMILY, "turned by any angle on paper of any colour", check=BY_DEGREES)
def turn(rng: Random) -> Change:
    degrees = rng.choice((-1, 1)) * rng.randrange(10, 171, 5)
    said, paper = any_colour(rng)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    way = "clockwise" if degrees > 0 else "counterclockwise"
    return Change(
        says=(
            f"turn it {abs(degrees)} degrees {way} on {said}",
            f"rotated by {abs(degrees)} degrees {way}, {said} corners",
        ),
        apply=_placed(lambda picture, fill: _affine(picture, fill, (cos, sin, -sin, cos)), paper),
    )


def _boxed(picture: Image.Image, fill: Colour | int, factor: float, centre: tuple[float, float]) -> Image.Image:
    """The picture at `factor` of its size around `centre` (shares) on one colour."""
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    paper = Image.new(picture.mode, picture.size, fill)
    at = (round(centre[0] * picture.width - size[0] / 2), round(centre[1] * picture.height - size[1] / 2))
    paper.paste(picture.resize(size, _BICUBIC, reducing_gap=2.0), at)
    return paper


@picture_rule("smaller", _FAMILY, "the picture smaller, anywhere on paper of any colour", check=BY_DEGREES)
def smaller(rng: Random) -> Change:
    factor = rng.uniform(0.3, 0.85)
    slack = (1 - factor) / 2
    centre = (0.5, 0.5) if rng.random() < 0.4 else (0.5 + rng.uniform(-slack, slack), 0.5 + rng.uniform(-slack, slack))
    said, paper = any_colour(rng)
    place = f"{round(100 * centre[0])} {round(100 * centre[1])}"
    return Change(
        says=(f"at {round(100 * factor)} percent on {said}, centre {place}",),
        apply=_placed(lambda picture, fill: _boxed(picture, fill, factor, centre), paper),
    )


@picture_rule("crop", _FAMILY, "any part of the picture, enlarged to the whole", check=BY_DEGREES)
def crop(rng: Random) -> Change:
    side = rng.uniform(0.35, 0.85)
    left, top = rng.uniform(0, 1 - side), rng.uniform(0, 1 - side)

    def cut(picture: Image.Image, fill: Colour | int) -> Image.Image:  # noqa: ARG001
        w, h = picture.size
        return picture.resize(picture.size, _BICUBIC, box=(left * w, top * h, (left + side) * w, (top + side) * h))

    where = f"{round(100 * left)} {round(100 * top)}"
    return Change(
        says=(
            f"crop from {where}, {round(100 * side)} percent wide",
            f"enlarge the part from {where} of {round(100 * side)} percent",
        ),
        apply=_placed(cut),
    )


@picture_rule(
    "shift", _FAMILY, "everything moved; what leaves one side comes in at the other, or paper does", check=BY_DEGREES
)
def shift(rng: Random) -> Change:
    wraps = rng.random() < 0.65
    far = (0.5, rng.uniform(0.1, 0.9)) if wraps else (rng.uniform(-0.45, -0.1), rng.uniform(0.1, 0.45))
    dx, dy = rng.choice(((1, 0), (0, 1), (1, 1)))
    dx, dy = dx * rng.choice(far), dy * rng.choice(far)
    said, paper = any_colour(rng)

    def moved(picture: Image.Image, fill: Colour | int) -> Image.Image:
        x, y = round(dx * picture.width), round(dy * picture.height)
        if wraps:
            return Image.fromarray(np.roll(np.asarray(picture), (y, x), axis=(0, 1)))
        sheet = Image.new(picture.mode, picture.size, fill)
        sheet.paste(picture, (x, y))
        return sheet

    text = f"{round(100 * dx)} {round(100 * dy)}"
    says = f"roll it by {text}" if wraps else f"shift it by {text} on {said}"
    return Change(says=(says,), apply=_placed(moved, paper))


@picture_rule("shear", _FAMILY, "upright or level lines lean, by any amount", check=BY_DEGREES)
def shear(rng: Random) -> Change:
    amount, across = rng.choice((-1, 1)) * rng.uniform(0.15, 0.8), rng.random() < 0.5
    said, paper = any_colour(rng)
    inverse = (1.0, amount, 0.0, 1.0) if across else (1.0, 0.0, amount, 1.0)
    axis = "sideways" if across else "upward"
    return Change(
        says=(f"lean it {axis} by {round(100 * amount)} percent on {said}",),
        apply=_placed(lambda picture, fill: _affine(picture, fill, inverse), paper),
    )


@picture_rule("mirror-half", _FAMILY, "one half reflected over the other", check=BY_DEGREES)
def mirror_half(rng: Random) -> Change:
    side = rng.choice(("left", "right", "top", "bottom"))

    def folded(picture: Image.Image, fill: Colour | int) -> Image.Image:  # noqa: ARG001
        upright = side in ("left", "right")
        other = ImageOps.mirror(picture) if upright else ImageOps.flip(picture)
        w, h = picture.size
        first, last = (
            (0, 0, w // 2, h) if upright else (0, 0, w, h // 2),
            (w // 2, 0, w, h) if upright else (0, h // 2, w, h),
        )
        box = last if side in ("left", "top") else first
        whole = picture.copy()
        whole.paste(other.crop(box), box)
        return whole

    return Change(
        says=(f"reflect the {side} half over the other", f"symmetric, made of the {side} half"), apply=_placed(folded)
    )


@picture_rule("tiles", _FAMILY, "copies in rows and columns, any number", check=BY_DEGREES)
def tiles(rng: Random) -> Change:
    columns, rows = rng.choice([(c, r) for c in range(1, 6) for r in range(1, 6) if (c, r) not in ((1, 1), (2, 2))])
    turned = rng.random() < 0.3

    def many(picture: Image.Image, fill: Colour | int) -> Image.Image:
        sheet = Image.new(picture.mode, picture.size, fill)
        edges = [
            [round(n * edge / count) for n in range(count + 1)]
            for edge, count in zip(picture.size, (columns, rows), strict=True)
        ]
        cells: dict[tuple[int, int, bool], Image.Image] = {}
        for c in range(columns):
            for r in range(rows):
                size = (edges[0][c + 1] - edges[0][c], edges[1][r + 1] - edges[1][r])
                odd = turned and (c + r) % 2 == 1
                if (*size, odd) not in cells:
                    cells[*size, odd] = (ImageOps.mirror(picture) if odd else picture).resize(
                        size, _BICUBIC, reducing_gap=2.0
                    )
                sheet.paste(cells[*size, odd], (edges[0][c], edges[1][r]))
        return sheet

    end = ", every second one mirrored" if turned else ""
    return Change(
        says=(f"{columns} by {rows} copies{end}", f"tile it {columns} across and {rows} down{end}"), apply=_placed(many)
    )


@picture_rule("strips", _FAMILY, "cut into strips that change places", check=BY_DEGREES)
def strips(rng: Random) -> Change:
    count, upright = rng.choice((2, 3, 4, 5, 6)), rng.random() < 0.5
    order = list(range(count))
    while order == sorted(order):
        rng.shuffle(order)

    def shuffled(picture: Image.Image, fill: Colour | int) -> Image.Image:  # noqa: ARG001
        pixels = np.asarray(picture)
        parts = np.array_split(pixels, count, axis=1 if upright else 0)
        return Image.fromarray(np.concatenate([parts[n] for n in order], axis=1 if upright else 0))

    said = " ".join(str(n + 1) for n in order)
    kind = "upright" if upright else "level"
    return Change(says=(f"{kind} strips in the order {said}",), apply=_placed(shuffled))


@picture_rule("patch-copied", _FAMILY, "a patch copied from here to there", check=BY_DEGREES)
def patch_copied(rng: Random) -> Change:
    wide, high = rng.uniform(0.25, 0.5), rng.uniform(0.25, 0.5)
    while True:
        x0, x1, y0, y1 = (*(rng.uniform(0, 1 - wide) for _ in range(2)), *(rng.uniform(0, 1 - high) for _ in range(2)))
        if abs(x0 - x1) > wide * 0.7 or abs(y0 - y1) > high * 0.7:
            break

    def copied(picture: Image.Image, fill: Colour | int) -> Image.Image:  # noqa: ARG001
        w, h = picture.size
        out = picture.copy()
        patch = picture.crop((round(x0 * w), round(y0 * h), round((x0 + wide) * w), round((y0 + high) * h)))
        out.paste(patch, (round(x1 * w), round(y1 * h)))
        return out

    here, there = f"{round(100 * x0)} {round(100 * y0)}", f"{round(100 * x1)} {round(100 * y1)}"
    size = f"{round(100 * wide)} by {round(100 * high)}"
    return Change(says=(f"copy the patch of {size} from {here} to {there}",), apply=_placed(copied))


@picture_rule("copies", _FAMILY, "small copies of the picture in a row, along a line, on paper", check=BY_DEGREES)
def copies(rng: Random) -> Change:
    count, factor = rng.choice((2, 3, 4)), rng.uniform(0.25, 0.48)
    degrees = rng.choice((0, 45, 90, 135))
    said, paper = any_colour(rng)
    dx, dy = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def row(picture: Image.Image, fill: Colour | int) -> Image.Image:
        sheet = Image.new(picture.mode, picture.size, fill)
        size = (round(picture.width * factor), round(picture.height * factor))
        small = picture.resize(size, _BICUBIC, reducing_gap=2.0)
        for n in range(count):
            along = (n / (count - 1) - 0.5) * (1 - factor)
            sheet.paste(
                small,
                (
                    round((0.5 + along * dx) * picture.width - size[0] / 2),
                    round((0.5 + along * dy) * picture.height - size[1] / 2),
                ),
            )
        return sheet

    line = {0: "in a row", 45: "down the diagonal", 90: "in a column", 135: "up the diagonal"}[degrees]
    return Change(
        says=(f"{count} copies of {round(100 * factor)} percent {line} on {said}",), apply=_placed(row, paper)
    )


@picture_rule("tilt", _FAMILY, "each corner drawn in by its own amount, on paper of any colour", check=BY_DEGREES)
def tilt(rng: Random) -> Change:
    from triptych.data.rules.geometric import corner_map

    points = tuple(
        (abs(cx - rng.uniform(0, 0.35)), abs(cy - rng.uniform(0, 0.35))) for cx, cy in ((0, 0), (1, 0), (1, 1), (0, 1))
    )
    said, paper = any_colour(rng)

    def leaned(picture: Image.Image, fill: Colour | int) -> Image.Image:
        data = corner_map(picture.size, points)
        return picture.transform(picture.size, Image.Transform.PERSPECTIVE, data, _BICUBIC, fillcolor=fill)

    text = ", ".join(f"{round(100 * x)} {round(100 * y)}" for x, y in points)
    return Change(says=(f"corners at {text} on {said}",), apply=_placed(leaned, paper))


_PARTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "dark": lambda picture: picture.point([round(v * 0.4) for v in range(256)] * 3),
    "light": lambda picture: picture.point([round(255 - (255 - v) * 0.4) for v in range(256)] * 3),
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 12)),
    "vivid": lambda picture: ImageEnhance.Color(picture).enhance(2.5),
    "mirrored": ImageOps.mirror,
}


@picture_rule("part", _FAMILY, "one half, band or box of the picture changes, the rest stays", check=BY_DEGREES)
def part(rng: Random) -> Change:
    kind = rng.choice(list(_PARTS))
    x0, y0, x1, y1 = rng.choice(
        (
            (0, 0, 0.5, 1),
            (0.5, 0, 1, 1),
            (0, 0, 1, 0.5),
            (0, 0.5, 1, 1),
            (0.25, 0.25, 0.75, 0.75),
            (0, 0.33, 1, 0.67),
            (0.33, 0, 0.67, 1),
        )
    )

    def changed(picture: Image.Image) -> Image.Image:
        w, h = picture.size
        box = (round(x0 * w), round(y0 * h), round(x1 * w), round(y1 * h))
        out = picture.copy()
        out.paste(_PARTS[kind](picture.crop(box)), box)
        return out

    where = " ".join(str(round(100 * v)) for v in (x0, y0, x1, y1))
    return Change(says=(f"{kind} within {where}",), apply=lambda look: Look.flat(changed(look.render()), look.mask))


@picture_rule("wave", _FAMILY, "rows swing from side to side", check=BY_DEGREES)
def wave(rng: Random) -> Change:
    reach, times, phase = rng.uniform(0.04, 0.12), rng.choice((1, 2, 3)), rng.uniform(0, 2 * math.pi)

    def swung(picture: Image.Image, fill: Colour | int) -> Image.Image:  # noqa: ARG001
        pixels = np.asarray(picture)
        high, wide = pixels.shape[:2]
        shifts = np.round(reach * wide * np.sin(2 * math.pi * times * np.arange(high) / high + phase)).astype(int)
        return Image.fromarray(pixels[np.arange(high)[:, None], (np.arange(wide)[None] - shifts[:, None]) % wide])

    return Change(says=(f"{times} waves of {round(100 * reach)} percent",), apply=_placed(swung))


@picture_rule("inset", _FAMILY, "a small copy of the picture inside itself", check=BY_DEGREES)
def inset(rng: Random) -> Change:
    factor = rng.uniform(0.3, 0.5)
    x, y = rng.uniform(factor / 2, 1 - factor / 2), rng.uniform(factor / 2, 1 - factor / 2)

    def nested(picture: Image.Image, fill: Colour | int) -> Image.Image:  # noqa: ARG001
        out = picture.copy()
        size = (round(picture.width * factor), round(picture.height * factor))
        out.paste(
            picture.resize(size, _BICUBIC, reducing_gap=2.0),
            (round(x * picture.width - size[0] / 2), round(y * picture.height - size[1] / 2)),
        )
        return out

    return Change(
        says=(f"the picture in itself at {round(100 * x)} {round(100 * y)}, {round(100 * factor)} percent",),
        apply=_placed(nested),
    )


RULES = (turn, smaller, crop, shift, shear, mirror_half, tiles, strips, patch_copied, copies, tilt, part, wave, inset)
