"""Every rule of the package: its verifier, its determinism, its place in the families."""

import re
from random import Random

import numpy as np
import pytest
from PIL import Image

from triptych.data.rules import FAMILY_RULES, HELD_OUT_CHAINS, HELD_OUT_RULES, RULES, chain, check, few_shot
from triptych.data.sources import ShapeSource
from triptych.errors import PageError, SourceError
from triptych.page import Page

SOURCE = ShapeSource()
NAMES = tuple(name for name in RULES if name not in FAMILY_RULES)
MAPS = tuple(name for name in NAMES if RULES[name].is_map)


def _page(name: str, seed: int, size_px: int = 128) -> Page:
    return RULES[name].draw(Random(seed), SOURCE).page(Random(seed + 1), size_px)


def _bytes(page: Page) -> list[bytes]:
    return [panel.picture.tobytes() for panel in page.all_panels if panel.picture is not None]


@pytest.mark.parametrize("name", NAMES)
def test_check_every_rule_accepts_own_answers_only(name: str) -> None:
    report = check(RULES[name], SOURCE, 4, seed=3)
    assert (report.own, report.wrong, report.copied) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_page_same_generator_same_pixels_and_words(name: str) -> None:
    first, second = _page(name, 11), _page(name, 11)
    assert _bytes(first) == _bytes(second)
    assert [p.instruction for p in first.panels] == [p.instruction for p in second.panels]


@pytest.mark.parametrize("name", NAMES)
def test_page_any_rule_conditions_first_then_answered_slots_with_words(name: str) -> None:
    page = _page(name, 5, size_px=64)
    slots = [panel.is_slot for panel in page.panels]
    assert slots == sorted(slots)
    assert page.is_answered
    assert page.rule == name
    assert all(panel.instruction for panel in page.slots)
    assert {panel.picture.size for panel in page.panels if panel.picture} == {(64, 64)}


@pytest.mark.parametrize("name", NAMES)
def test_verify_noise_of_the_right_colours_fails(name: str) -> None:
    page = _page(name, 8)
    noise = np.random.default_rng(0)
    wrong = []
    for panel in page.slots:
        assert panel.answer is not None
        pixels = np.asarray(panel.answer).reshape(-1, 3)
        shuffled = noise.permutation(pixels).reshape(128, 128, 3)
        wrong.append(Image.fromarray(shuffled))
    assert not RULES[name].verify(page, tuple(wrong)).ok


@pytest.mark.parametrize(
    "name", ["tint", "mirror", "sort-by-size", "grid-fill", "count-and-draw", "subject-into-scene"]
)
def test_verify_slightly_noisy_answer_passes(name: str) -> None:
    page = _page(name, 21)
    noise = np.random.default_rng(1)
    soft = [
        Image.fromarray((np.asarray(p.answer) + noise.normal(0, 8, (128, 128, 3))).clip(0, 255).astype(np.uint8))
        for p in page.slots
    ]
    verdict = RULES[name].verify(page, tuple(soft))
    assert verdict.ok
    assert 0.5 < verdict.score <= 1.0


def test_verify_wrong_number_of_pictures_raises() -> None:
    page = _page("mirror", 1)
    with pytest.raises(PageError, match="2 pictures for 1 slots"):
        RULES["mirror"].verify(page, (Image.new("RGB", (8, 8)),) * 2)


def test_verify_page_without_answers_raises() -> None:
    page = _page("mirror", 1)
    with pytest.raises(PageError, match="without an answer"):
        RULES["mirror"].verify(page.without_answers(), (Image.new("RGB", (8, 8)),))


@pytest.mark.parametrize("name", MAPS)
def test_verify_answer_of_another_map_fails(name: str) -> None:
    page = _page(name, 30)
    others = [other for other in MAPS if other != name]
    accepted = []
    for other in Random(name).sample(others, 8):
        answer = _page(other, 30).slots[0].answer
        assert answer is not None
        if RULES[name].verify(page, (answer,)).ok:
            accepted.append(other)
    assert accepted == []


def test_rules_at_least_forty_in_the_seven_families() -> None:
    assert len(NAMES) >= 40
    assert {RULES[name].family for name in NAMES} == {
        "photometric",
        "geometric",
        "structural",
        "compositional",
        "relational",
        "temporal",
        "symbolic",
    }


def test_rules_with_continuous_parameters_have_families_of_their_own() -> None:
    families = {RULES[name].family for name in FAMILY_RULES}
    assert families == {"light and colour", "geometry by degrees", "surface", "repair"}


def test_held_out_rules_are_known_and_cover_every_family() -> None:
    assert set(NAMES) >= HELD_OUT_RULES
    assert len(HELD_OUT_RULES) >= 10
    assert {RULES[name].family for name in HELD_OUT_RULES} == {RULES[name].family for name in NAMES}


def test_held_out_chains_are_made_of_trained_maps() -> None:
    for first, second in HELD_OUT_CHAINS:
        assert {first, second} & HELD_OUT_RULES == set()
        assert RULES[first].is_map
        assert RULES[second].is_map


@pytest.mark.parametrize("pair", HELD_OUT_CHAINS)
def test_chain_of_two_maps_verifies_the_composed_answer(pair: tuple[str, str]) -> None:
    both = chain(RULES[pair[0]], RULES[pair[1]])
    assert both.name == "+".join(pair)
    report = check(both, SOURCE, 6)
    assert (report.own, report.wrong, report.copied) == (1.0, 0.0, 0.0)


def test_chain_outline_then_mirror_equals_mirror_of_the_outline() -> None:
    rule = chain(RULES["outline"], RULES["mirror"])
    page = rule.draw(Random(0), SOURCE).page(Random(1))
    plain = RULES["outline"].draw(Random(0), SOURCE).page(Random(1))
    assert page.conditions[0].image is not None
    assert page.conditions[0].image.tobytes() == plain.conditions[0].image.tobytes()
    answer, outline = page.slots[0].answer, plain.slots[0].answer
    assert answer.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes() == outline.tobytes()
    assert ", then " in page.slots[0].instruction


def test_chain_of_a_page_rule_raises() -> None:
    with pytest.raises(SourceError, match="not a map"):
        chain(RULES["storyboard"], RULES["mirror"])


def test_few_shot_pages_share_the_task_and_differ_in_objects() -> None:
    task = RULES["tint"].draw(Random(4), SOURCE)
    page = few_shot(task, 3, Random(5))
    assert len(page.context) == 3
    assert {p.slots[0].instruction for p in (page, *page.context)} == {task.instruction}
    assert len({p.slots[0].answer.tobytes() for p in (page, *page.context)}) == 4


def test_page_of_a_source_too_plain_for_the_rule_raises() -> None:
    class White(ShapeSource):
        def look(self, rng: Random, size_px: int, *, figure: bool = True):  # noqa: ARG002
            from triptych.data.drawing import Look, blank, clear

            return Look(ground=blank(size_px), figure=clear(size_px))

    with pytest.raises(SourceError, match="too plain"):
        RULES["mirror"].draw(Random(0), White()).page(Random(0))


@pytest.mark.parametrize("name", NAMES)
def test_draw_every_rule_writes_the_right_article(name: str) -> None:
    for seed in range(40):
        task = RULES[name].draw(Random(seed), SOURCE)
        page = task.page(Random(seed), 64)
        for text in (*task.draft.says, page.overview, *(panel.instruction for panel in page.all_panels)):
            assert not re.search(r"\b(a [aeio]|an (?!x-)[^aeiou])", text), text
