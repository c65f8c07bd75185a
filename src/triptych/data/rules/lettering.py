"""Rules whose answers carry text, so that legibility can be measured."""

from random import Random

from PIL import Image, ImageDraw, ImageFont

from triptych.data.drawing import COLOURS, PALE, Colour, blank
from triptych.data.rules.base import Draft, Mark, page_rule
from triptych.data.rules.storyboard import thing
from triptych.data.rules.verifiers import all_of, ground_colour, near
from triptych.data.sources import Source
from triptych.page import Page, Panel, Role, condition, slot

__all__ = ["RULES"]

_LETTERS = "ABCDEFGHJKLMNPRSTUVXYZ23456789"
"""Without those that are drawn alike: I and 1, O, 0 and Q."""
_INK: Colour = (30, 32, 40)
_BOARD = (0.16, 0.14, 0.84, 0.56)


def _write(picture: Image.Image, box: tuple[float, float, float, float], text: str, ink: Colour) -> None:
    """The letters in equal cells of the box, in the middle of each."""
    size_px, (left, top, right, bottom) = picture.width, box
    font, pen = ImageFont.load_default(size_px * (bottom - top) * 0.62), ImageDraw.Draw(picture)
    for index, letter in enumerate(text):
        x = left + (index + 0.5) * (right - left) / len(text)
        pen.text((x * size_px, (top + bottom) / 2 * size_px), letter, fill=ink, font=font, anchor="mm")


def _letters_on_board(slot: Panel) -> tuple[Mark, ...]:
    del slot
    return (Mark(box=_BOARD, is_text=True),)


@page_rule(
    "letter-sign",
    "symbolic",
    "the letters of the card are written on the sign",
    check=all_of(near(share=0.12, side_px=128), ground_colour()),
    marks=_letters_on_board,
)
def letter_sign(rng: Random, source: Source) -> Draft:
    del source
    ink = rng.choice(("blue", "red", "green", "purple", "black"))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        text = "".join(rng.sample(_LETTERS, 3))
        card = blank(size_px)
        _write(card, (0.05, 0.2, 0.95, 0.8), text, _INK)
        empty, _ = thing("sign", size_px, rng.choice(list(PALE.values())))
        answer = empty.copy()
        _write(answer, _BOARD, text, COLOURS[ink])
        panels = (condition(card, role=Role.CONTROL), condition(empty, role=Role.EDIT))
        return Page(panels=(*panels, slot(instruction, answer=answer)))

    return Draft(
        says=(f"write the letters on the sign in {ink}", f"the sign says what the card says, in {ink}"),
        compose=compose,
    )


RULES = (letter_sign,)
