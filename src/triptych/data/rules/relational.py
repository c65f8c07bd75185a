"""Relational rules: what happens to one object depends on another, on an order, or on a line."""

import math
from random import Random

from PIL import Image, ImageDraw, ImageOps

from triptych.data.drawing import COLOURS, PALE, Colour, blank, clear, fitted, place, stamp
from triptych.data.rules.base import Draft, Rule, page_rule, with_article
from triptych.data.rules.verifiers import all_of, cells, near
from triptych.data.sources import Source, Sprite, actor, actors
from triptych.page import Page, Role, condition, slot

__all__ = ["RULES"]

_FINE = all_of(near(), cells(16, 16, tolerance=0.15, margin=0.0, share=0.99))
"""For thin lines and rings: at most two of 256 cells may be off."""
_PALE = tuple(PALE.values())
_HUES = tuple(name for name in COLOURS if name not in ("white", "black", "grey"))


def _edit(given: Image.Image, instruction: str, answer: Image.Image) -> Page:
    return Page(panels=(condition(given, role=Role.EDIT), slot(instruction, answer=answer)))


def _scene(size_px: int, colour: Colour, things: list[tuple[Image.Image, float, float, float]]) -> Image.Image:
    picture = blank(size_px, colour)
    for figure, x, y, side in things:
        stamp(picture, figure, x, y, side)
    return picture


def _dyed(sprite: Sprite, colour: Colour) -> Image.Image:
    """The object in shades of one colour, its light and dark parts kept; alpha kept."""
    dark = (colour[0] // 2, colour[1] // 2, colour[2] // 2)
    grey = ImageOps.autocontrast(sprite.picture.convert("L"), cutoff=1, mask=sprite.picture.getchannel("A"))
    dyed = ImageOps.colorize(grey, black=dark, mid=colour, white=(255, 255, 255))
    dyed.putalpha(sprite.picture.getchannel("A"))
    return dyed


@page_rule("recolour-as", "relational", "the first object takes the colour of the second")
def recolour_as(rng: Random, source: Source) -> Draft:
    del rng

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        first, second = actors(source, rng, 2)
        before, after = rng.sample(_HUES, 2)
        ground = rng.choice(_PALE)
        given = _scene(size_px, ground, [(_dyed(first, COLOURS[before]), 0.5, 0.5, 0.76)])
        model = _scene(size_px, ground, [(_dyed(second, COLOURS[after]), 0.5, 0.5, 0.76)])
        answer = _scene(size_px, ground, [(_dyed(first, COLOURS[after]), 0.5, 0.5, 0.76)])
        panels = (condition(given, role=Role.EDIT), condition(model, role=Role.EXAMPLE))
        return Page(panels=(*panels, slot(instruction, answer=answer)))

    return Draft(
        says=("recolour the first as the second", "the first object in the colour of the second"), compose=compose
    )


@page_rule("scale-by-order", "relational", "equal objects in a row become larger one after the other")
def scale_by_order(rng: Random, source: Source) -> Draft:
    growing = rng.random() < 0.6
    sides = (0.1, 0.15, 0.2, 0.25)

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        cast = [sprite.picture for sprite in actors(source, rng, 4)]
        colour = rng.choice(_PALE)
        spots = [0.13 + 0.245 * i for i in range(4)]
        given = _scene(size_px, colour, [(s, x, 0.5, 0.16) for s, x in zip(cast, spots, strict=True)])
        after = sides if growing else sides[::-1]
        answer = _scene(size_px, colour, [(s, x, 0.5, d) for s, x, d in zip(cast, spots, after, strict=True)])
        return _edit(given, instruction, answer)

    word = "larger" if growing else "smaller"
    says = (f"each one {word} than the one before", f"make them {word} from left to right")
    return Draft(says=says, compose=compose)


@page_rule("move-towards", "relational", "the small object moves until it stands beside the large one")
def move_towards(rng: Random, source: Source) -> Draft:
    away = rng.random() < 0.35

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        small, large = (sprite.picture for sprite in actors(source, rng, 2))
        colour = rng.choice(_PALE)
        left = rng.random() < 0.5
        lane, home = rng.uniform(0.3, 0.7), 0.73 if left else 0.27
        near_x, far_x = (0.42, 0.11) if left else (0.58, 0.89)
        start, end = (near_x, far_x) if away else (far_x, near_x)
        given, answer = (
            _scene(size_px, colour, [(large, home, lane, 0.42), (small, x, lane, 0.19)]) for x in (start, end)
        )
        return _edit(given, instruction, answer)

    says = (
        ("the small one runs away from the large one", "move the small object away from the large one")
        if away
        else ("the small one comes to the large one", "move the small object towards the large one")
    )
    return Draft(says=says, compose=compose)


def _gravity(name: str, description: str, says: tuple[str, ...], *, up: bool) -> Rule:
    def make(rng: Random, source: Source) -> Draft:
        del rng

        def compose(rng: Random, size_px: int, instruction: str) -> Page:
            cast = [fitted(s.picture, round(rng.uniform(0.18, 0.28) * size_px)) for s in actors(source, rng, 3)]
            colour, edge = rng.choice(_PALE), rng.choice(_HUES)
            given, answer = blank(size_px, colour), blank(size_px, colour)
            bar = (0, 0, size_px, size_px // 12) if up else (0, size_px - size_px // 12, size_px, size_px)
            for picture in (given, answer):
                picture.paste(COLOURS[edge], bar)
            for index, figure in enumerate(cast):
                x = (0.18 + 0.32 * index) * size_px
                place(given, figure, (x, rng.uniform(0.3, 0.62) * size_px))
                rest = bar[3] + figure.height / 2 if up else bar[1] - figure.height / 2
                place(answer, figure, (x, rest))
            return _edit(given, instruction, answer)

        return Draft(says=says, compose=compose)

    return page_rule(name, "relational", description)(make)


gravity = _gravity(
    "gravity",
    "everything drops to the floor",
    ("let everything fall to the floor", "gravity: the objects drop"),
    up=False,
)
gravity_up = _gravity(
    "gravity-up",
    "everything rises to the ceiling",
    ("let everything float up to the ceiling", "the objects rise"),
    up=True,
)


@page_rule("mirror-line", "relational", "the object is reflected across the line that is drawn")
def mirror_line(rng: Random, source: Source) -> Draft:
    upright = rng.random() < 0.6

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        sprite, colour = actor(source, rng), rng.choice(_PALE)
        line, side = rng.uniform(0.42, 0.58), rng.uniform(0.26, 0.36)
        first = rng.random() < 0.5
        x = line - side / 2 - 0.05 if first else line + side / 2 + 0.05
        y = rng.uniform(0.3, 0.7)
        layer = clear(size_px)
        stamp(layer, sprite.picture, x, y, side)
        given = blank(size_px, colour)
        at = line * size_px
        stroke = (at - size_px / 80, 0, at + size_px / 80, size_px)
        ImageDraw.Draw(given).rectangle(stroke, fill=COLOURS["red"])
        given.paste(layer, (0, 0), layer)
        answer, image = given.copy(), ImageOps.mirror(layer)
        answer.paste(image, (round(2 * at) - size_px, 0), image)
        if not upright:
            given, answer = (p.transpose(Image.Transpose.TRANSPOSE) for p in (given, answer))
        return _edit(given, instruction, answer)

    return Draft(says=("reflect it across the red line", "add its mirror image behind the red line"), compose=compose)


@page_rule(
    "connect-matching",
    "relational",
    "lines join the objects that are the same",
    check=_FINE,
)
def connect_matching(rng: Random, source: Source) -> Draft:
    hue = rng.choice(("red", "blue", "green", "black"))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        cast, order = [sprite.picture for sprite in actors(source, rng, 3)], [0, 1, 2]
        rng.shuffle(order)
        heights = (0.18, 0.5, 0.82)
        left = [(cast[i], 0.17, heights[i], 0.26) for i in range(3)]
        right = [(cast[i], 0.83, heights[row], 0.26) for row, i in enumerate(order)]
        given = _scene(size_px, rng.choice(_PALE), [*left, *right])
        wires = Image.new("L", (size_px * 2, size_px * 2), 0)
        pen = ImageDraw.Draw(wires)
        for row, i in enumerate(order):
            ends = (0.32 * 2 * size_px, heights[i] * 2 * size_px, 0.68 * 2 * size_px, heights[row] * 2 * size_px)
            pen.line(ends, fill=255, width=max(2, size_px // 16))
        answer = given.copy()
        answer.paste(COLOURS[hue], (0, 0, size_px, size_px), wires.reduce(2))
        return _edit(given, instruction, answer)

    return Draft(
        says=(f"join the matching objects with {hue} lines", f"connect same to same in {hue}"), compose=compose
    )


@page_rule("odd-one-out", "relational", "a ring around the object that is not like the others", check=_FINE)
def odd_one_out(rng: Random, source: Source) -> Draft:
    hue = rng.choice(("red", "blue", "green", "purple"))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        same, odd = (sprite.picture for sprite in actors(source, rng, 2))
        where = rng.randrange(9)
        spots = [((i % 3 + 0.5) / 3, (i // 3 + 0.5) / 3) for i in range(9)]
        given = _scene(
            size_px, rng.choice(_PALE), [(odd if i == where else same, x, y, 0.21) for i, (x, y) in enumerate(spots)]
        )
        ring, (x, y) = Image.new("L", (size_px * 2, size_px * 2), 0), spots[where]
        reach, side = 0.155, size_px * 2
        box = ((x - reach) * side, (y - reach) * side, (x + reach) * side, (y + reach) * side)
        ImageDraw.Draw(ring).ellipse(box, outline=255, width=max(2, size_px // 16))
        answer = given.copy()
        answer.paste(COLOURS[hue], (0, 0, size_px, size_px), ring.reduce(2))
        return _edit(given, instruction, answer)

    return Draft(
        says=(f"circle the odd one out in {hue}", f"{with_article(hue)} ring around the one that differs"),
        compose=compose,
    )


@page_rule("point-at", "relational", "the arrow turns until it points at the object", check=_FINE)
def point_at(rng: Random, source: Source) -> Draft:
    hue = rng.choice(("red", "blue", "green", "black"))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        sprite, angle, start = actor(source, rng), rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi)
        if math.cos(angle - start) > 0.5:
            start += math.pi
        base = blank(size_px, rng.choice(_PALE))
        stamp(base, sprite.picture, 0.5 + 0.34 * math.cos(angle), 0.5 + 0.34 * math.sin(angle), 0.28)
        given, answer = base.copy(), base
        for picture, turn in ((given, start), (answer, angle)):
            _needle(picture, turn, COLOURS[hue])
        return _edit(given, instruction, answer)

    return Draft(says=("turn the arrow to the object", "the arrow points at the object"), compose=compose)


def _needle(picture: Image.Image, turn: float, colour: Colour) -> None:
    """An arrow from the middle of the picture, `turn` radians clockwise from the right, in place."""
    side = picture.width * 2
    ink = Image.new("L", (side, side), 0)
    along, across = (math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))

    def at(forward: float, aside: float) -> tuple[float, float]:
        return (
            side * (0.5 + forward * along[0] + aside * across[0]),
            side * (0.5 + forward * along[1] + aside * across[1]),
        )

    outline = [(-0.14, 0.02), (0.06, 0.02), (0.06, 0.065), (0.17, 0.0), (0.06, -0.065), (0.06, -0.02), (-0.14, -0.02)]
    ImageDraw.Draw(ink).polygon([at(*point) for point in outline], fill=255)
    picture.paste(colour, (0, 0, *picture.size), ink.reduce(2))


RULES = (
    recolour_as,
    scale_by_order,
    move_towards,
    gravity,
    gravity_up,
    mirror_line,
    connect_matching,
    odd_one_out,
    point_at,
)
