"""Findings: each problem is made on purpose and found, and clean page sets have none."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import pytest
from PIL import Image, ImageChops, ImageEnhance

from triptych.data.drawing import Look
from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource
from triptych.data.validation import Problem, find_leaks, find_problems
from triptych.page import Page, Role, condition, slot

SOURCE = ShapeSource()


def _looks(count: int, seed: int = 0) -> list[Look]:
    return [SOURCE.look(Random(seed + index), 160) for index in range(count)]


def _pairs(looks: Sequence[Look]) -> list[Page]:
    """The picture, and the same with its colours washed out: a consistent edit that moves nothing."""
    pages = []
    for index, look in enumerate(looks):
        picture = look.render()
        answer = ImageEnhance.Color(ImageEnhance.Brightness(picture).enhance(0.6)).enhance(0.3)
        pages.append(_page(picture, answer, f"p{index}"))
    return pages


def _page(first: Image.Image, second: Image.Image, name: str) -> Page:
    return Page(panels=(condition(first, role=Role.EDIT), slot(answer=second)), page_id=name)


def _kinds(pages: Sequence[Page]) -> set[tuple[int, Problem]]:
    return {(finding.page, finding.problem) for finding in find_problems(pages)}


def test_find_problems_clean_pairs_have_none() -> None:
    assert _kinds(_pairs(_looks(8))) == set()


@pytest.mark.parametrize(("right", "down"), [(5, 0), (0, -8), (12, 6)])
def test_find_problems_shifted_answer_is_found_with_its_direction(right: int, down: int) -> None:
    pages = _pairs(_looks(8))
    answer = pages[3].slots[0].answer
    moved = ImageChops.offset(answer, right, down)
    pages[3] = pages[3].with_answers([moved])
    (finding,) = [f for f in find_problems(pages) if f.problem is Problem.SHIFT]
    assert finding.page_id == "p3"
    shares = [float(word.rstrip("%")) for word in finding.reason.split() if word.endswith("%")]
    assert shares == pytest.approx([100 * right / 160, 100 * down / 160], abs=1.0)


def test_find_problems_swapped_pair_is_found() -> None:
    pages = _pairs(_looks(10))
    page = pages[4]
    pages[4] = _page(page.slots[0].answer, page.conditions[0].image, "p4")
    assert _kinds(pages) == {(5, Problem.SWAPPED)}


def test_find_problems_unchanged_answer_is_found() -> None:
    pages = _pairs(_looks(8))
    pages[2] = pages[2].with_answers([pages[2].conditions[0].image])
    assert (3, Problem.UNCHANGED) in _kinds(pages)


def test_find_problems_duplicate_survives_rescaling_and_compression() -> None:
    pages = _pairs(_looks(8))
    smaller = [
        picture.resize((120, 120), Image.Resampling.LANCZOS)
        for picture in (pages[1].conditions[0].image, pages[1].slots[0].answer)
    ]
    pages.append(_page(*smaller, "again"))
    assert _kinds(pages) == {(9, Problem.DUPLICATE)}


@pytest.mark.parametrize("side", ["left", "top"])
def test_find_problems_left_over_gutter_is_found(side: str) -> None:
    pages = _pairs(_looks(8, seed=40))
    answer = pages[0].slots[0].answer.copy()
    answer.paste((250, 0, 200), (0, 0, 4, 160) if side == "left" else (0, 0, 160, 4))
    pages[0] = pages[0].with_answers([answer])
    reasons = [finding.reason for finding in find_problems(pages) if finding.problem is Problem.SEAM]
    assert reasons == [f"panel 2: a straight line 4 px from the {side} edge, along 100% of it"]


def test_find_leaks_picture_of_both_splits_is_named() -> None:
    train, held = _pairs(_looks(6)), _pairs(_looks(4, seed=100))
    assert find_leaks(train, held) == []
    leaked = replace(held[2], panels=(train[5].panels[0], held[2].panels[1]))
    (finding,) = find_leaks(train, [held[0], leaked])
    assert (finding.page, finding.problem) == (2, Problem.LEAK)
    assert finding.reason == "panel 1 is in page 6 of the training pages"


@pytest.mark.parametrize("name", ["outline", "sticker", "negative", "frame"])
def test_find_problems_edits_that_move_nothing_are_no_shifts(name: str) -> None:
    pages = [RULES[name].draw(Random(seed), SOURCE).page(Random(seed)) for seed in range(12)]
    assert [finding for finding in find_problems(pages) if finding.problem is Problem.SHIFT] == []


def test_find_problems_of_a_panel_one_pixel_wide_does_not_fail() -> None:
    thin = Image.new("RGB", (1, 64), "red")
    find_problems([Page(panels=(condition(thin), slot("x", answer=Image.new("RGB", (64, 1)))))])


def test_find_problems_reads_each_page_once() -> None:
    picture = Image.effect_noise((32, 32), 60).convert("RGB")
    asked = []

    def pages() -> Iterator[Page]:
        for number in range(8):
            asked.append(number)
            yield Page(panels=(condition(picture), slot("x", answer=picture)), page_id=str(number))

    found = find_problems(pages())
    assert asked == list(range(8))
    assert sum(finding.problem is Problem.DUPLICATE for finding in found) == 7


def test_answers_with_transparent_parts_are_looked_at_as_they_lie_on_white() -> None:
    layer = Image.new("RGBA", (160, 160), (200, 30, 30, 0))
    layer.paste((20, 20, 200, 255), (40, 40, 90, 120))
    on_white = Image.new("RGB", (160, 160), "white")
    on_white.paste((20, 20, 200), (40, 40, 90, 120))
    other = _looks(1)[0].render()
    sets = [[_page(other, one, "a"), _page(on_white, one, "b")] for one in (layer, on_white)]
    clear, laid = map(find_problems, sets)
    assert clear and clear == laid
