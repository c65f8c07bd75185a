"""Geometric rules: pixels move, colours stay."""

from random import Random

from PIL import Image, ImageOps

from triptych.data.drawing import Look, blank
from triptych.data.rules.base import Change, picture_rule

__all__ = ["RULES", "corner_map"]

_BICUBIC = Image.Resampling.BICUBIC


def _on_paper(look: Look) -> Image.Image:
    return look.render().convert("RGBA")


@picture_rule("mirror", "geometric", "left and right change places")
def mirror(rng: Random) -> Change:  # noqa: ARG001
    return Change(
        says=("mirror it", "flip it left to right", "the mirror image"), apply=lambda look: look.moved(ImageOps.mirror)
    )


@picture_rule("upside-down", "geometric", "top and bottom change places")
def upside_down(rng: Random) -> Change:  # noqa: ARG001
    return Change(
        says=("flip it top to bottom", "turn it over vertically", "as reflected in water"),
        apply=lambda look: look.moved(ImageOps.flip),
    )


@picture_rule("rotate", "geometric", "a quarter or half turn")
def rotate(rng: Random) -> Change:
    turn, word = rng.choice(
        (
            (Image.Transpose.ROTATE_270, "90 degrees clockwise"),
            (Image.Transpose.ROTATE_90, "90 degrees counterclockwise"),
            (Image.Transpose.ROTATE_180, "180 degrees"),
        )
    )
    return Change(
        says=(f"rotate {word}", f"turn it {word}"), apply=lambda look: look.moved(lambda layer: layer.transpose(turn))
    )


@picture_rule("zoom-in", "geometric", "the middle of the picture at twice the size")
def zoom_in(rng: Random) -> Change:  # noqa: ARG001
    def closer(layer: Image.Image) -> Image.Image:
        quarter = layer.width // 4
        return layer.resize(layer.size, _BICUBIC, box=(quarter, quarter, 3 * quarter, 3 * quarter))

    return Change(says=("zoom in twice", "enlarge the middle", "a closer view"), apply=lambda look: look.moved(closer))


@picture_rule("zoom-out", "geometric", "the picture at half the size in the middle of white paper")
def zoom_out(rng: Random) -> Change:  # noqa: ARG001
    def smaller(look: Look) -> Look:
        size, half = look.size_px, look.size_px // 2
        paper = blank(size)
        paper.paste(look.render().reduce(2), (half // 2, half // 2))
        return Look.flat(paper)

    return Change(says=("shrink it to half on white", "half the size, with a white border"), apply=smaller)


@picture_rule("tile", "geometric", "the picture four times in a two by two grid")
def tile(rng: Random) -> Change:  # noqa: ARG001
    def four(layer: Image.Image) -> Image.Image:
        small, tiled = layer.reduce(2), Image.new(layer.mode, layer.size)
        for x in (0, small.width):
            for y in (0, small.height):
                tiled.paste(small, (x, y))
        return tiled

    return Change(
        says=("tile it two by two", "repeat it four times in a grid", "four copies, two by two"),
        apply=lambda look: look.moved(four),
    )


@picture_rule("kaleidoscope", "geometric", "the top left quarter reflected to all four corners")
def kaleidoscope(rng: Random) -> Change:  # noqa: ARG001
    def fold(layer: Image.Image) -> Image.Image:
        half = layer.width // 2
        whole, corner = layer.copy(), layer.crop((0, 0, half, half))
        whole.paste(ImageOps.mirror(corner), (half, 0))
        whole.paste(ImageOps.flip(whole.crop((0, 0, layer.width, half))), (0, half))
        return whole

    return Change(
        says=("reflect the top left quarter into all corners", "a kaleidoscope of the top left quarter"),
        apply=lambda look: look.moved(fold),
    )


def corner_map(size: tuple[int, int], points: tuple[tuple[float, float], ...]) -> list[float]:
    """Eight numbers for PIL's perspective transform: unit square corners (tl, tr, br, bl) carried to `points`."""
    import numpy as np

    rows, right = [], []
    width, height = size
    source = ((0, 0), (width, 0), (width, height), (0, height))
    for (u, v), (px, py) in zip(source, points, strict=True):
        x, y = px * width, py * height
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.linalg.solve(np.array(rows, dtype=float), np.array(right, dtype=float)).tolist()


def _warped(look: Look, points: tuple[tuple[float, float], ...]) -> Look:
    paper = blank(look.size_px)
    card = _on_paper(look).transform(
        paper.size, Image.Transform.PERSPECTIVE, corner_map(paper.size, points), _BICUBIC, fillcolor=(255, 255, 255, 0)
    )
    paper.paste(card, (0, 0), card)
    return Look.flat(paper)


@picture_rule("perspective", "geometric", "a card that leans away to one side")
def perspective(rng: Random) -> Change:
    points, side = rng.choice(
        (
            (((0.05, 0.05), (0.95, 0.25), (0.95, 0.75), (0.05, 0.95)), "right"),
            (((0.05, 0.25), (0.95, 0.05), (0.95, 0.95), (0.05, 0.75)), "left"),
            (((0.25, 0.05), (0.75, 0.05), (0.95, 0.95), (0.05, 0.95)), "top"),
        )
    )
    return Change(
        says=(f"in perspective, far at the {side}", f"tilt it so that the {side} is farther away"),
        apply=lambda look: _warped(look, points),
    )


@picture_rule("isometric", "geometric", "the picture lies as a diamond on an isometric floor")
def isometric(rng: Random) -> Change:  # noqa: ARG001
    points = ((0.5, 0.23), (0.98, 0.5), (0.5, 0.77), (0.02, 0.5))
    return Change(
        says=("lay it on an isometric floor", "an isometric view of it as a tile"),
        apply=lambda look: _warped(look, points),
    )


RULES = (mirror, upside_down, rotate, zoom_in, zoom_out, tile, kaleidoscope, perspective, isometric)
