"""Cases: same arguments, same pages; distinct objects; controls that are wrong in the way they say."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from tiny_photographs import write_photographs
from triptych.data.mixture import shape_of
from triptych.data.photosource import PictureKind
from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource
from triptych.data.sprites import is_held_out
from triptych.evaluation.asking import asked_page, noise_seed
from triptych.evaluation.cases import Case, NotedSprites, cases_of_pages, cases_of_row
from triptych.evaluation.suites import Arm, Control, Objects, Row, Suite
from triptych.page import Page


@pytest.fixture
def cases(sprites: Path, suite: Callable[..., Suite]) -> list[Case]:
    row = {
        "name": "few",
        "title": "F",
        "rules": ["mirror", "grayscale"],
        "shots": [0, 2],
        "words": "all",
        "controls": ["other-rule", "shuffled", "copied", "no-text", "other-words"],
        "nearest": True,
    }
    made = cases_of_row(suite(row).rows[0], NotedSprites(sprites), pages=6, candidates=6, size_px=64)
    return [case for group in made for case in group]


def _answers(page: Page) -> list[bytes]:
    return [panel.answer.tobytes() for panel in page.slots if panel.answer is not None]


def test_cases_of_row_same_seed_same_pages(sprites: Path, suite: Callable[..., Suite]) -> None:
    row = suite({"name": "r", "title": "R", "rules": ["mirror"], "shots": [1]}).rows[0]
    first, again, other = (
        next(cases_of_row(row, NotedSprites(sprites), pages=2, candidates=4, size_px=64, seed=seed))
        for seed in (3, 3, 4)
    )
    assert [_answers(case.page) for case in first] == [_answers(case.page) for case in again]
    assert [_answers(case.page) for case in first] != [_answers(case.page) for case in other]
    assert np.array_equal(first[0].candidates, again[0].candidates)


def test_cases_of_row_objects_are_held_out_and_differ(sprites: Path, suite: Callable[..., Suite]) -> None:
    noted = NotedSprites(sprites)
    row = suite({"name": "r", "title": "R", "rules": ["mirror"]}).rows[0]
    found = next(cases_of_row(row, noted, pages=5, candidates=6, size_px=64))
    assert noted.drawn and all(is_held_out(name) for name in noted.drawn)
    rows = found[0].candidates[:, 0]
    likeness = rows @ rows.T - 2 * np.eye(len(rows))
    assert len(rows) == 6
    assert likeness.max() < 0.999


def test_cases_right_candidate_is_the_page_own_answer(cases: list[Case]) -> None:
    from triptych.evaluation.retrieval import embed, rank_of

    for case in cases:
        answer = case.page.slots[0].answer
        assert answer is not None
        assert rank_of(embed([answer])[0], case.candidates[:, 0], case.right) == 0


def test_cases_skip_leaves_groups_out(sprites: Path, suite: Callable[..., Suite]) -> None:
    row = suite({"name": "r", "title": "R", "rules": ["mirror"], "pages_per_task": 2}).rows[0]
    made = cases_of_row(
        row, NotedSprites(sprites), pages=6, candidates=4, size_px=64, skip=frozenset({"r/000", "r/002"})
    )
    assert [case.key for group in made for case in group] == ["r/001-0", "r/001-1"]


@pytest.mark.parametrize(
    ("pages", "tasks"),
    [
        (2, ["r/000-0", "r/001-0"]),
        (3, ["r/000-0", "r/001-0", "r/002-0"]),
        (4, ["r/000-0", "r/000-1", "r/001-0", "r/002-0"]),
        (6, ["r/000-0", "r/000-1", "r/001-0", "r/001-1", "r/002-0", "r/002-1"]),
        (7, ["r/000-0", "r/000-1", "r/001-0", "r/001-1", "r/002-0", "r/002-1", "r/003-0"]),
    ],
)
def test_shortened_row_asks_every_task_before_it_asks_one_twice(
    pages: int, tasks: list[str], sprites: Path, suite: Callable[..., Suite]
) -> None:
    whole = suite({"name": "r", "title": "R", "rules": ["mirror", "grayscale", "rotate"], "pages_per_task": 2}, pages=6)
    full, short = whole.rows[0], whole.shortened(pages).rows[0]

    def cases_of(row: Row, count: int) -> dict[str, Case]:
        groups = cases_of_row(row, NotedSprites(sprites), pages=count, candidates=4, size_px=64)
        return {case.key: case for group in groups for case in group}

    found, made = cases_of(full, 6), cases_of(short, pages)
    assert list(made) == tasks
    for key in made.keys() & found.keys():
        assert made[key].page == found[key].page and made[key].examples == found[key].examples


def test_asked_page_controls_are_wrong_as_they_say(cases: list[Case]) -> None:
    for case in cases:
        right = asked_page(case, Arm(shots=2))
        assert right is not None and [example.rule for example in right.context] == [case.page.rule] * 2
        other = asked_page(case, Arm(shots=2, control=Control.OTHER_RULE))
        assert other is not None and {example.rule for example in other.context}.isdisjoint({case.page.rule})
        assert {shape_of(example) for example in other.context} == {(1, 1)}
        copied = asked_page(case, Arm(shots=2, control=Control.COPIED))
        assert copied is not None
        assert all(page.slots[0].answer is page.conditions[0].image for page in copied.context)
        shuffled = asked_page(case, Arm(shots=2, control=Control.SHUFFLED))
        assert shuffled is not None
        assert all(_answers(a) != _answers(b) for a, b in zip(shuffled.context, right.context, strict=True))
        assert _answers(shuffled) == _answers(right) == _answers(case.page)


def test_asked_page_words_are_those_asked_for(cases: list[Case]) -> None:
    case = cases[0]
    plain, silent, other = (
        asked_page(case, Arm(shots=0, control=control)) for control in (None, Control.NO_TEXT, Control.OTHER_WORDS)
    )
    assert plain is not None and silent is not None and other is not None
    assert plain.slots[0].instruction == case.page.slots[0].instruction != ""
    assert silent.slots[0].instruction == silent.overview == ""
    assert other.slots[0].instruction == case.wrong[0].slots[0].instruction != plain.slots[0].instruction


def test_asked_page_swapped_moves_words_and_answers_together() -> None:
    page = RULES["per-panel"].draw(Random(0), ShapeSource()).page(Random(0), 64)
    case = cases_of_pages([page])[0]
    moved = asked_page(case, Arm(shots=0, control=Control.SWAPPED))
    assert moved is not None
    assert moved.slots == (*page.slots[1:], page.slots[0])
    assert moved.conditions == page.conditions


def test_asked_page_that_cannot_be_asked_is_none() -> None:
    page = RULES["mirror"].draw(Random(0), ShapeSource()).page(Random(0), 64)
    case = cases_of_pages([page], shots=1)[0]
    assert asked_page(case, Arm(shots=1)) is None
    assert asked_page(case, Arm(shots=0, control=Control.SWAPPED)) is None


def test_noise_seed_depends_on_page_and_seed_alone(cases: list[Case]) -> None:
    assert noise_seed(cases[0], 1) == noise_seed(cases[0], 1)
    assert len({noise_seed(case, seed) for case in cases for seed in (0, 1)}) == 2 * len(cases)


def test_cases_of_pages_takes_examples_of_the_same_rule_and_never_the_page_itself() -> None:
    pages = [
        RULES[name].draw(Random(index), ShapeSource()).page(Random(index), 64)
        for index in range(4)
        for name in ("mirror", "outline")
    ]
    for page, case in zip(pages, cases_of_pages(pages, shots=2), strict=True):
        assert [example.rule for example in case.examples] == [page.rule] * 2
        assert {example.rule for example in case.wrong}.isdisjoint({page.rule})
        assert all(_answers(example) != _answers(page) for example in case.examples)


def test_cases_of_row_on_photographs_shows_whole_pictures_and_a_wrong_rule_that_fits(tmp_path: Path) -> None:
    row = Row(
        name="photos",
        title="Photos",
        rules=("tone-curve", "turn"),
        source=PictureKind.PHOTOS,
        objects=Objects.ANY,
        shots=(1,),
        controls=(Control.OTHER_RULE,),
    )
    sprites = NotedSprites(write_photographs(tmp_path))
    groups = list(cases_of_row(row, sprites, pages=4, candidates=6, size_px=64))
    assert [group[0].page.rule for group in groups] == ["tone-curve", "turn"]
    for case in (case for group in groups for case in group):
        assert case.page.conditions[0].image is not None
        assert case.page.conditions[0].image.size == (64, 64)
        assert case.wrong[0].rule not in (case.page.rule, None)
        assert not RULES[case.wrong[0].rule or ""].needs_object
