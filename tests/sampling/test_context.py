"""What was read is not read again, and nothing is taken for what it is not."""

import pytest

from tiny_models import klein, picture
from tiny_training import disc, made_page, random_skill, tiny_pocket
from triptych.conditioning import Conditioning
from triptych.models.adapters import Skills
from triptych.models.flux2.backbone import References
from triptych.models.pocket import PocketBackbone
from triptych.models.sharing import Kept
from triptych.page import Page, condition, slot
from triptych.sampling import Engine, Request, Result, generate


@pytest.fixture
def backbone() -> PocketBackbone:
    return tiny_pocket()


def page(*examples: int, words: str = "make it blue") -> Page:
    asked = made_page(1, instruction=words).without_answers()
    return asked.with_context(*(made_page(number) for number in examples))


def cached(result: Result) -> int:
    assert result.read_tokens > 0
    return result.cached_tokens


def bits(result: Result) -> list[bytes]:
    return [image.tobytes() for image in result.images]


def test_context_of_an_earlier_request_is_used_and_the_picture_is_the_same(backbone):
    first, second = (generate(backbone, page(2, 3), seed=seed) for seed in (1, 2))
    assert (cached(first), cached(second)) == (0, 5 * 64)
    assert bits(second) == bits(generate(tiny_pocket(), page(2, 3), seed=2)) != bits(first)


def test_context_is_that_of_the_conditions_not_of_the_words(backbone):
    generate(backbone, page(2))
    other = generate(backbone, page(2, words="the other way round"))
    assert cached(other) == other.read_tokens
    assert bits(other) == bits(generate(tiny_pocket(), page(2, words="the other way round")))


@pytest.mark.parametrize("changed", [page(3, 2), page(2), page(2, 4), page()], ids=["order", "fewer", "other", "none"])
def test_context_of_other_conditions_is_read_anew(backbone, changed):
    generate(backbone, page(2, 3))
    result = generate(backbone, changed)
    assert cached(result) == 0
    assert bits(result) == bits(generate(tiny_pocket(), changed))


def test_context_pictures_of_one_size_swapped_between_panels_are_read_anew(backbone):
    one, two = condition(disc(0.1, 5)), condition(disc(0.6, 30))
    generate(backbone, Page(panels=(one, two, slot("a"))))
    assert cached(generate(backbone, Page(panels=(two, one, slot("a"))))) == 0


def test_context_several_results_of_one_request_are_read_once(backbone):
    results = Engine(backbone).generate(Request(page=page(2, 3), number=4))
    assert [cached(result) for result in results] == [0, 320, 320, 320]
    for seed, result in enumerate(results):
        alone = generate(tiny_pocket(), page(2, 3), seed=seed)
        assert all(
            abs(a - b) <= 1 for x, y in zip(bits(result), bits(alone), strict=True) for a, b in zip(x, y, strict=True)
        )


def test_context_pages_of_a_batch_share_what_some_of_them_know(backbone):
    generate(backbone, page(2))
    results = generate(backbone, [page(3), page(2), page(3)])
    assert [cached(result) for result in results] == [0, 192, 192]


def test_context_of_one_skill_is_not_that_of_another(backbone):
    one, two = random_skill(backbone, seed=1), random_skill(backbone, seed=2)
    asked = [(None, 0), (one, 0), (two, 0), (one, 192), (None, 192), (Skills(one, weights=[0.5]), 0)]
    for skill, expected in asked:
        result = generate(backbone, page(2), skill=skill)
        assert cached(result) == expected
        assert bits(result) == bits(generate(tiny_pocket(), page(2), skill=skill))


def test_context_of_a_skill_that_leaves_conditions_alone_is_the_bare_one(backbone):
    frozen = random_skill(backbone, frozen=True)
    generate(backbone, page(2))
    result = generate(backbone, page(2), skill=frozen)
    assert cached(result) == 192
    assert bits(result) == bits(generate(tiny_pocket(), page(2), skill=frozen))


def test_context_read_while_weights_change_is_not_kept(backbone):
    bare = generate(backbone, page(2))
    with backbone.shared.changing(), Skills(random_skill(backbone)).applied(backbone):
        inside = [generate(backbone, page(number)) for number in (2, 3)]
    assert [result.cached_tokens for result in inside] == [0, 0]
    assert bits(inside[0]) != bits(bare)
    after = generate(backbone, page(3))
    assert after.cached_tokens == 0
    assert bits(after) == bits(generate(tiny_pocket(), page(3)))


def test_context_beyond_the_room_is_not_kept_and_still_right(backbone):
    engine = Engine(backbone, context_bytes=1000)
    results = [engine.generate(Request(page=page(2), seed=seed))[0] for seed in (0, 0)]
    assert [cached(result) for result in results] == [0, 0]
    assert bits(results[0]) == bits(results[1])
    assert not len(backbone.shared.memories)


@pytest.mark.parametrize(("references", "expected"), [(References.ALONE, 256), (References.JOINT, 0)])
def test_context_of_flux2_is_kept_where_conditions_are_seen_alone(references, expected):
    backbone, asked = klein(references), Page(panels=(condition(picture(1), "a fox"), slot("snow")))
    results = [generate(backbone, asked, seed=seed) for seed in (0, 1)]
    assert [cached(result) for result in results] == [0, expected]
    assert bits(results[1]) == bits(generate(klein(references), asked, seed=1))


def test_context_by_repaint_reads_nothing_beside_the_words(backbone):
    result = generate(backbone, page(), conditioning=Conditioning.REPAINT)
    assert (result.read_tokens, result.cached_tokens) == (0, 0)


def test_kept_forgets_the_least_recently_used_and_refuses_what_is_too_large():
    kept = Kept(len, most_bytes=5)
    for word in ("ab", "cd"):
        kept.keep(word, word)
    kept.find("ab")
    kept.keep("ef", "ef")
    kept.keep("too large", "too large")
    assert [kept.find(word) for word in ("ab", "cd", "ef", "too large")] == ["ab", None, "ef", None]
    assert kept.held_bytes == 4
