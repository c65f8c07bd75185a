"""Families of rules on whole photographs: verified, told by parameters, of any shape."""

from random import Random

import numpy as np
import pytest
from PIL import Image

from tiny_photographs import write_photographs
from triptych.data.photosource import Photographs
from triptych.data.rules import (
    FAMILY_RULES,
    HELD_OUT_FAMILIES,
    HELD_OUT_FAMILY_CHAINS,
    HELD_OUT_RULES,
    RULES,
    check,
    few_shot,
)
from triptych.data.rules.registry import rule_names

NAMES = tuple(sorted(FAMILY_RULES))
MAPS = tuple(name for name in NAMES if RULES[name].is_map and RULES[name].changes)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    return Photographs(write_photographs(tmp_path_factory.mktemp("photographs")))


@pytest.mark.parametrize("name", NAMES)
def test_check_every_family_accepts_own_answers_only(name: str, photographs: Photographs) -> None:
    report = check(RULES[name], photographs, 3, seed=1)
    assert (report.own, report.wrong, report.copied) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_page_of_a_family_is_the_same_for_the_same_generator(name: str, photographs: Photographs) -> None:
    pages = [RULES[name].draw(Random(4), photographs).page(Random(5), 64) for _ in range(2)]
    first, second = ([panel.picture.tobytes() for panel in page.panels if panel.picture] for page in pages)
    assert first == second


@pytest.mark.parametrize("name", MAPS)
def test_tasks_of_a_family_are_many(name: str, photographs: Photographs) -> None:
    """Eight draws give at least three answers that differ, so that a name alone does not tell the answer."""
    page = Random(7)
    state = page.getstate()
    answers = set()
    for seed in range(8):
        page.setstate(state)
        made = RULES[name].draw(Random(seed), photographs).page(page, 64)
        answers.add(made.slots[0].answer.tobytes())  # pyright: ignore[reportOptionalMemberAccess]
    assert len(answers) >= 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("aspect", [(3, 2), (2, 3)])
def test_page_of_a_family_keeps_the_shape_of_the_photograph(
    name: str, aspect: tuple[int, int], photographs: Photographs
) -> None:
    source = Photographs(photographs.folder, aspect=aspect)
    page = RULES[name].draw(Random(1), source).page(Random(2), 64)
    assert {panel.picture.size for panel in page.panels if panel.picture} == {source.size(64)}


def test_examples_of_a_task_share_its_parameters(photographs: Photographs) -> None:
    page = few_shot(RULES["tone-curve"].draw(Random(3), photographs), 1, Random(4), 64)
    example = page.context[0]
    before, after = (np.asarray(p.picture) for p in example.panels)
    table = np.zeros(256, dtype=int)
    for channel in range(3):
        table[before[..., channel]] = after[..., channel]
    given, answer = np.asarray(page.conditions[0].image), np.asarray(page.slots[0].answer)
    known = np.isin(given, before)
    assert known.mean() > 0.8
    assert np.abs(table[given] - answer)[known].mean() < 1


def test_rule_groups_keep_families_apart_from_the_first_rules() -> None:
    families, maps = set(rule_names("families") or ()), set(rule_names("maps") or ())
    assert families | HELD_OUT_FAMILIES == FAMILY_RULES
    assert not families & maps
    assert not families & (HELD_OUT_FAMILIES | HELD_OUT_RULES)
    assert set(rule_names("photo-maps") or ()) == {name for name in maps if not RULES[name].needs_object}
    for first, second in HELD_OUT_FAMILY_CHAINS:
        assert {first, second} <= families


def test_same_gives_the_picture_back(photographs: Photographs) -> None:
    page = RULES["same"].draw(Random(0), photographs).page(Random(1))
    assert page.conditions[0].image == page.slots[0].answer
    assert not RULES["same"].verify(page, (Image.new("RGB", (128, 128)),)).ok
