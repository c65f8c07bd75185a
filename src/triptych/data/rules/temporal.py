"""Temporal rules: frames of a motion, what was before and what comes after."""

from random import Random

from PIL import Image, ImageDraw

from triptych.data.drawing import PALE, Colour, blank, clear, fitted, place
from triptych.data.rules.base import Draft, Rule, page_rule
from triptych.data.rules.verifiers import all_of, cells, near
from triptych.data.sources import Source, actor
from triptych.page import Page, Role, condition, slot

__all__ = ["RULES"]

_MOTIONS = ("slides", "rises or falls", "turns", "grows or shrinks")


def _frames(kind: str, figure: Image.Image, colour: Colour, size_px: int, rng: Random, count: int) -> list[Image.Image]:
    """`count` frames of one steady motion; its direction and pace are drawn once."""
    sign, pace = rng.choice((-1, 1)), rng.uniform(0.8, 1.0)
    drift = rng.uniform(-0.1, 0.1)
    frames: list[Image.Image] = []
    for index in range(count):
        moment = index - (count - 1) / 2
        picture = blank(size_px, colour)
        x, y, side, turn = 0.5, 0.5 + drift, 0.36, 0.0
        match kind:
            case "slides":
                x += sign * 0.2 * pace * moment
            case "rises or falls":
                x, y, side = 0.5 + drift, 0.5 + sign * 0.2 * pace * moment, 0.34
            case "turns":
                side, turn = 0.5, sign * 40 * pace * index
            case _:
                side = 0.46 + sign * 0.14 * pace * moment
        shape = fitted(figure, round(side * size_px))
        if turn:
            shape = shape.rotate(turn, Image.Resampling.BICUBIC, expand=True)
        place(picture, shape, (x * size_px, y * size_px))
        frames.append(picture)
    return frames


def _motion(name: str, description: str, says: str, *, given: tuple[int, ...], wanted: int, count: int) -> Rule:
    """A rule whose conditions are some frames of a motion and whose slot is another."""

    def make(rng: Random, source: Source) -> Draft:
        kind = rng.choice(_MOTIONS)

        def compose(rng: Random, size_px: int, instruction: str) -> Page:
            figure, colour = actor(source, rng).picture, rng.choice(list(PALE.values()))
            frames = _frames(kind, figure, colour, size_px, rng, count)
            shown = (condition(frames[index], role=Role.EDIT) for index in given)
            return Page(panels=(*shown, slot(instruction, answer=frames[wanted])))

        return Draft(says=(says, f"{says}: the object {kind}"), compose=compose)

    return page_rule(
        name,
        "temporal",
        description,
        check=all_of(near(share=0.1), cells(16, 16, tolerance=0.2, margin=0.0, share=0.97)),
    )(make)


next_frame = _motion(
    "next-frame",
    "the frame that follows three frames of a motion",
    "the next frame",
    given=(0, 1, 2),
    wanted=3,
    count=4,
)
previous_frame = _motion(
    "previous-frame",
    "the frame before three frames of a motion",
    "the frame before",
    given=(1, 2, 3),
    wanted=0,
    count=4,
)
in_between = _motion(
    "in-between", "the frame between two frames of a motion", "the frame in between", given=(0, 2), wanted=1, count=3
)


def _bitten(figure: Image.Image, corner: tuple[int, int]) -> Image.Image:
    """The figure with a bite of three arcs taken out of a corner."""
    width, height = figure.size
    x, y, reach = corner[0] * width, corner[1] * height, 0.2 * max(width, height)
    mouth = Image.new("L", (width * 2, height * 2), 255)
    pen = ImageDraw.Draw(mouth)
    inward = (1 - 2 * corner[0], 1 - 2 * corner[1])
    for along, across in ((0.0, 0.0), (0.28, 0.0), (0.0, 0.28), (0.24, 0.24)):
        cx, cy = 2 * (x + inward[0] * along * width), 2 * (y + inward[1] * across * height)
        pen.ellipse((cx - 2 * reach, cy - 2 * reach, cx + 2 * reach, cy + 2 * reach), fill=0)
    bitten = figure.copy()
    bitten.putalpha(Image.composite(figure.getchannel("A"), Image.new("L", figure.size, 0), mouth.reduce(2)))
    return bitten


def _flattened(figure: Image.Image) -> Image.Image:
    return figure.resize((round(figure.width * 1.15), max(1, round(figure.height * 0.4))), Image.Resampling.BICUBIC)


_EVENTS = {
    "one bite later": lambda figure: _bitten(figure, (1, 0)),
    "after a bite from the left": lambda figure: _bitten(figure, (0, 0)),
    "after it fell over to the right": lambda figure: figure.transpose(Image.Transpose.ROTATE_270),
    "after it fell over to the left": lambda figure: figure.transpose(Image.Transpose.ROTATE_90),
    "after something heavy sat on it": _flattened,
}


@page_rule("before-after", "temporal", "what the object looks like after something happened to it")
def before_after(rng: Random, source: Source) -> Draft:
    event = rng.choice(list(_EVENTS))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        figure = fitted(actor(source, rng).picture, round(rng.uniform(0.5, 0.62) * size_px))
        colour, floor = rng.choice(list(PALE.values())), 0.84 * size_px
        table = (max(0, colour[0] - 60), max(0, colour[1] - 70), max(0, colour[2] - 80))
        views: list[Image.Image] = []
        for shape in (figure, _EVENTS[event](figure)):
            picture, layer = blank(size_px, colour), clear(size_px)
            picture.paste(table, (0, round(floor), size_px, size_px))
            place(layer, shape, (size_px / 2, floor - shape.height / 2))
            picture.paste(layer, (0, 0), layer)
            views.append(picture)
        return Page(panels=(condition(views[0], role=Role.EDIT), slot(instruction, answer=views[1])))

    return Draft(says=(event, f"the same object {event}"), compose=compose)


RULES = (next_frame, previous_frame, in_between, before_after)
