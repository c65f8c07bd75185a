"""Letters and marks: the right answer is read, what replaces it is not, and blur takes legibility away."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource
from triptych.evaluation.legibility import legibility, marks_of
from triptych.page import Page, Panel, condition, slot

Pictures = tuple[Image.Image, ...]


def _pages(name: str, count: int = 5) -> list[Page]:
    task = RULES[name].draw(Random(1), ShapeSource())
    return [task.page(Random(seed)) for seed in range(count)]


def _answers(page: Page) -> Pictures:
    return tuple(panel.answer for panel in page.slots if panel.answer is not None)


def _read(name: str, pages: Sequence[Page], made: Sequence[Pictures]) -> list[float | None]:
    return [
        legibility(page, pictures, RULES[name], [_answers(other) for other in pages if other is not page])
        for page, pictures in zip(pages, made, strict=True)
    ]


def _white(page: Page) -> Pictures:
    return tuple(Image.new("RGB", answer.size, "white") for answer in _answers(page))


@pytest.mark.parametrize("name", ["letter-sign", "brand-set", "colour-by-numbers"])
def test_legibility_right_answer_is_read_and_white_is_not(name: str) -> None:
    pages = _pages(name)
    assert _read(name, pages, [_answers(page) for page in pages]) == [1.0] * 5
    assert _read(name, pages, [_white(page) for page in pages]) == [0.0] * 5


@pytest.mark.parametrize("name", ["letter-sign", "brand-set"])
def test_legibility_copied_input_or_another_pages_answer_is_not_read(name: str) -> None:
    pages = _pages(name)
    copied = [(page.conditions[-1].image,) * len(page.slots) for page in pages]
    others = [_answers(page) for page in (*pages[1:], pages[0])]
    assert max(_read(name, pages, copied)) <= 0.5
    assert max(_read(name, pages, others)) <= 0.5


def test_legibility_falls_with_blur_and_survives_a_pixel_of_shift() -> None:
    pages = _pages("letter-sign")
    blurred = [tuple(made.filter(ImageFilter.GaussianBlur(4)) for made in _answers(page)) for page in pages]
    moved = [tuple(ImageChops.offset(made, 1, 1) for made in _answers(page)) for page in pages]
    assert max(_read("letter-sign", pages, blurred)) < 0.5
    assert _read("letter-sign", pages, moved) == [1.0] * 5


def test_legibility_one_wrong_letter_of_three_costs_a_third() -> None:
    page = _pages("letter-sign", 1)[0]
    (answer,) = _answers(page)
    wrong = answer.copy()
    middle = (48, 20, 80, 70)
    wrong.paste((250, 250, 250), middle)
    assert legibility(page, (wrong,), RULES["letter-sign"]) == pytest.approx(2 / 3)


def _poster(text: str, words: str) -> Page:
    answer = Image.linear_gradient("L").rotate(90).convert("RGB").resize((256, 256))
    pen = ImageDraw.Draw(answer)
    pen.rectangle((20, 60, 236, 140), fill=(30, 60, 120))
    pen.text((128, 100), text, fill=(250, 240, 220), font=ImageFont.load_default(48), anchor="mm")
    pen.ellipse((60, 170, 180, 240), fill=(200, 40, 40))
    return Page(panels=(condition(Image.new("RGB", (256, 256))), slot(words, answer=answer)))


def test_legibility_quoted_words_are_found_in_a_picture_of_ones_own() -> None:
    page, other = _poster("HOTEL", 'a poster that says "HOTEL"'), _poster("MOTOR", "")
    assert legibility(page, _answers(page), None) == 1.0
    # The second letter and the third are the same in both words.
    assert legibility(page, _answers(other), None) == pytest.approx(0.4)
    assert legibility(page, _white(page), None) == 0.0


def test_legibility_no_text_named_gives_no_figure() -> None:
    page = _poster("HOTEL", "a poster")
    assert legibility(page, _answers(page), None) is None
    assert legibility(_pages("mirror", 1)[0], _answers(_pages("mirror", 1)[0]), RULES["mirror"]) is None


def test_marks_of_a_thing_that_is_not_known_are_none() -> None:
    page = _pages("brand-set", 1)[0]
    first: Panel = page.slots[0]
    assert len(marks_of(page, first, RULES["brand-set"])) == 1
    assert marks_of(page, replace(first, instruction="on a kite, blue background"), RULES["brand-set"]) == ()
