"""Symbolic rules: a legend, an arrow, digits or dots say what to do."""

import math
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from triptych.data.drawing import COLOURS, PALE, Colour, blank, filled, fitted, place, stamp
from triptych.data.rules.base import Draft, Mark, Rule, page_rule
from triptych.data.rules.storyboard import portrait
from triptych.data.rules.verifiers import all_of, cells, ground_colour, near
from triptych.data.shapes import draw_shape
from triptych.data.sources import Source, actor
from triptych.page import Page, Panel, Role, condition, slot

__all__ = ["RULES"]

_HUES = tuple(name for name in COLOURS if name not in ("white", "black", "grey"))
_PLAIN = ("circle", "triangle", "square", "star", "heart", "cross", "diamond", "moon")
_INK: Colour = (30, 32, 40)


@page_rule("legend", "symbolic", "a legend on the page says which shape takes which colour")
def legend(rng: Random, source: Source) -> Draft:  # noqa: ARG001
    count = rng.choice((2, 3))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        names, hues = rng.sample(_PLAIN, count), rng.sample(_HUES, count)
        card, given, answer = (blank(size_px) for _ in range(3))
        for row, (name, hue) in enumerate(zip(names, hues, strict=True)):
            y = (row + 0.5) / count
            stamp(card, draw_shape(name, "shape-filled", (150, 154, 160)), 0.27, y, 0.24)
            stamp(card, draw_shape("square", "shape-filled", COLOURS[hue]), 0.73, y, 0.24)
            ImageDraw.Draw(card).line((size_px * 0.44, y * size_px, size_px * 0.57, y * size_px), fill=_INK, width=2)
        for cell in range(9):
            kind = rng.randrange(count)
            x, y = (cell % 3 + 0.5) / 3, (cell // 3 + 0.5) / 3
            stamp(given, draw_shape(names[kind], "shape-filled", (150, 154, 160)), x, y, 0.25)
            stamp(answer, draw_shape(names[kind], "shape-filled", COLOURS[hues[kind]]), x, y, 0.25)
        panels = (condition(card, role=Role.CONTROL), condition(given, role=Role.EDIT))
        return Page(panels=(*panels, slot(instruction, answer=answer)))

    return Draft(
        says=("colour the shapes by the legend", "each shape takes its colour from the legend"), compose=compose
    )


@page_rule("palette-swap", "photometric", "colours are replaced by a map that is shown on the page")
def palette_swap(rng: Random, source: Source) -> Draft:
    count = rng.choice((1, 2))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        hues = rng.sample(_HUES, 2 * count + 1)
        swaps = dict(zip(hues[:count], hues[count : 2 * count], strict=True))
        before = [*hues[:count], hues[-1]]
        shapes = [source.sprite(rng, ink=True).picture for _ in range(3)]
        used = [before[i % len(before)] for i in range(3)]
        rng.shuffle(used)
        colour = rng.choice(list(PALE.values()))
        given, answer, card = blank(size_px, colour), blank(size_px, colour), blank(size_px)
        spots = ((0.28, 0.3), (0.72, 0.34), (0.5, 0.73))
        for shape, hue, (x, y) in zip(shapes, used, spots, strict=True):
            stamp(given, filled(shape, COLOURS[hue]), x, y, 0.42)
            stamp(answer, filled(shape, COLOURS[swaps.get(hue, hue)]), x, y, 0.42)
        for row, (old, new) in enumerate(swaps.items()):
            y = (row + 0.5) / count
            stamp(card, draw_shape("circle", "shape-filled", COLOURS[old]), 0.22, y, 0.3)
            stamp(card, draw_shape("arrow", "shape-filled", _INK), 0.5, y, 0.18)
            stamp(card, draw_shape("circle", "shape-filled", COLOURS[new]), 0.78, y, 0.3)
        panels = (condition(given, role=Role.EDIT), condition(card, role=Role.CONTROL))
        return Page(panels=(*panels, slot(instruction, answer=answer)))

    return Draft(says=("replace the colours as the map shows", "swap colours by the map"), compose=compose)


def _regions(rng: Random, size_px: int) -> np.ndarray:
    """Six to eight regions of a square, as integers: the cells of random points."""
    points = [((i % 3 + rng.uniform(0.25, 0.75)) / 3, (i // 3 + rng.uniform(0.25, 0.75)) / 3) for i in range(9)]
    points = rng.sample(points, rng.randint(6, 8))
    y, x = (np.mgrid[0:size_px, 0:size_px] + 0.5) / size_px
    return np.argmin(np.stack([(x - px) ** 2 + (y - py) ** 2 for px, py in points]), axis=0)


def _legend_digits(slot: Panel) -> tuple[Mark, ...]:
    del slot
    return (Mark(box=(0.0, 0.81, 0.15, 1.0), is_text=True), Mark(box=(0.34, 0.81, 0.47, 1.0), is_text=True))


@page_rule(
    "colour-by-numbers",
    "structural",
    "numbered regions are filled with the colours of the legend",
    marks=_legend_digits,
)
def colour_by_numbers(rng: Random, source: Source) -> Draft:
    del source
    count = rng.choice((2, 3))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        # A strip for the legend at the foot, the regions above it.
        field = size_px - size_px // 5
        regions = _regions(rng, size_px)[:field]
        hues = rng.sample(_HUES, count)
        labels = [index % count for index in range(int(regions.max()) + 1)]
        rng.shuffle(labels)
        edge = np.zeros(regions.shape, dtype=bool)
        edge[:, 1:] |= regions[:, 1:] != regions[:, :-1]
        edge[1:] |= regions[1:] != regions[:-1]
        painted = np.asarray([COLOURS[hues[label]] for label in labels], dtype=np.uint8)[regions]
        painted[edge] = _INK
        plain = np.full((*regions.shape, 3), 255, dtype=np.uint8)
        plain[edge] = _INK
        given, answer = blank(size_px), blank(size_px)
        given.paste(Image.fromarray(plain), (0, 0))
        answer.paste(Image.fromarray(painted), (0, 0))
        font, pen = ImageFont.load_default(size_px // 8), ImageDraw.Draw(given)
        for index, label in enumerate(labels):
            rows, columns = np.nonzero(regions == index)
            if len(rows):
                pen.text((columns.mean(), rows.mean()), str(label + 1), fill=_INK, font=font, anchor="mm")
        for picture in (given, answer):
            pen = ImageDraw.Draw(picture)
            for index, hue in enumerate(hues):
                left, top = size_px * (0.06 + 0.32 * index), size_px * 0.83
                pen.text((left, size_px * 0.905), str(index + 1), fill=_INK, font=font, anchor="lm")
                pen.rectangle((left + size_px * 0.1, top, left + size_px * 0.26, size_px * 0.97), fill=COLOURS[hue])
        return Page(panels=(condition(given, role=Role.CONTROL), slot(instruction, answer=answer)))

    return Draft(says=("colour by numbers", "fill each region with the colour of its number"), compose=compose)


def _arrow_card(size_px: int, degrees: int, colour: Colour) -> Image.Image:
    """A straight arrow on white, turned clockwise from pointing right."""
    card = blank(size_px)
    arrow = draw_shape("arrow", "shape-filled", colour).rotate(-degrees, Image.Resampling.BICUBIC)
    place(card, fitted(arrow, round(size_px * 0.7)), (size_px / 2, size_px / 2))
    return card


@page_rule("arrow-move", "symbolic", "the object goes to where the arrow on the card points")
def arrow_move(rng: Random, source: Source) -> Draft:
    hue = rng.choice(_HUES)

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        figure, turn = actor(source, rng).picture, rng.randrange(8)
        colour = rng.choice(list(PALE.values()))
        given, answer = blank(size_px, colour), blank(size_px, colour)
        stamp(given, figure, 0.5, 0.5, 0.34)
        angle = math.radians(45 * turn)
        reach = 0.31 / max(abs(math.cos(angle)), abs(math.sin(angle)))
        stamp(answer, figure, 0.5 + reach * math.cos(angle), 0.5 + reach * math.sin(angle), 0.34)
        card = condition(_arrow_card(size_px, 45 * turn, COLOURS[hue]), role=Role.CONTROL)
        return Page(panels=(condition(given, role=Role.EDIT), card, slot(instruction, answer=answer)))

    return Draft(says=("move the object as the arrow says", "follow the arrow to the edge"), compose=compose)


@page_rule("arrow-turn", "symbolic", "the head of the object turns to where the arrow on the card points")
def arrow_turn(rng: Random, source: Source) -> Draft:
    hue = rng.choice(_HUES)

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        turn, colour = rng.randrange(3), rng.choice(list(PALE.values()))
        given = portrait(actor(source, rng), size_px, 0.7, colour)
        # The card's arrow shows where the top of the object goes: right, down or left.
        turned = given.transpose(
            (Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_90)[turn]
        )
        card = condition(_arrow_card(size_px, 90 * turn, COLOURS[hue]), role=Role.CONTROL)
        return Page(panels=(condition(given, role=Role.EDIT), card, slot(instruction, answer=turned)))

    return Draft(says=("turn its top to where the arrow points", "rotate it as the arrow says"), compose=compose)


def _dots(size_px: int, count: int, colour: Colour) -> Image.Image:
    """Dots in reading order in a three by three grid."""
    card = blank(size_px * 2)
    pen, side = ImageDraw.Draw(card), size_px * 2
    for cell in range(count):
        x, y = (cell % 3 + 0.5) / 3, (cell // 3 + 0.5) / 3
        pen.ellipse(((x - 0.1) * side, (y - 0.1) * side, (x + 0.1) * side, (y + 0.1) * side), fill=colour)
    return card.reduce(2)


_NINE = all_of(cells(3, 3, tolerance=0.15, margin=0.2), near())


def _dot_arithmetic(name: str, description: str, says: tuple[str, ...], *, minus: bool) -> Rule:
    def make(rng: Random, source: Source) -> Draft:
        del source
        hue = rng.choice(("blue", "red", "green", "purple", "black"))

        def compose(rng: Random, size_px: int, instruction: str) -> Page:
            total = rng.randint(2, 9)
            part = rng.randint(1, total - 1)
            first, second, result = (total, part, total - part) if minus else (part, total - part, total)
            shown = (condition(_dots(size_px, n, COLOURS[hue]), role=Role.CONTROL) for n in (first, second))
            return Page(panels=(*shown, slot(instruction, answer=_dots(size_px, result, COLOURS[hue]))))

        return Draft(says=says, compose=compose)

    return page_rule(name, "symbolic", description, check=_NINE)(make)


dots_plus = _dot_arithmetic(
    "dots-plus", "the dots of both cards together", ("add the dots", "first plus second"), minus=False
)
dots_minus = _dot_arithmetic(
    "dots-minus",
    "the dots of the first card less those of the second",
    ("subtract the dots", "first minus second"),
    minus=True,
)


@page_rule("digit-to-count", "symbolic", "a digit on the card says how many", check=all_of(_NINE, ground_colour()))
def digit_to_count(rng: Random, source: Source) -> Draft:
    hue = rng.choice(list(PALE))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        count, subject = rng.randint(1, 9), actor(source, rng)
        card, answer = blank(size_px), blank(size_px, PALE[hue])
        font = ImageFont.load_default(round(size_px * 0.8))
        ImageDraw.Draw(card).text((size_px / 2, size_px / 2), str(count), fill=_INK, font=font, anchor="mm")
        figure = fitted(subject.picture, round(size_px * 0.26))
        for cell in range(count):
            place(answer, figure, ((cell % 3 + 0.5) / 3 * size_px, (cell // 3 + 0.5) / 3 * size_px))
        panels = (condition(portrait(subject, size_px)), condition(card, role=Role.CONTROL))
        return Page(panels=(*panels, slot(instruction, answer=answer)))

    return Draft(says=(f"as many as the digit says, on {hue}", f"draw that many on {hue}"), compose=compose)


RULES = (
    legend,
    palette_swap,
    colour_by_numbers,
    arrow_move,
    arrow_turn,
    dots_plus,
    dots_minus,
    digit_to_count,
)
