"""One engine, many users: streams side by side, skills that never leak, and ends that leave nothing."""

import threading

import pytest

from tiny_models import klein
from tiny_training import made_page, random_skill, tiny_pocket
from triptych.errors import Cancelled, SkillError
from triptych.events import CancelToken, Done, Phase, Preview, Step
from triptych.models.adapters import Skills
from triptych.models.pocket import PocketBackbone
from triptych.page import Page
from triptych.sampling import Engine, Request, Result, SkillUse


@pytest.fixture(scope="module")
def backbone() -> PocketBackbone:
    return tiny_pocket()


@pytest.fixture(scope="module")
def engine(backbone) -> Engine:
    skills = {name: random_skill(backbone, seed=seed, name=name) for seed, name in enumerate(("one", "two", "three"))}
    return Engine(backbone, find_skill=skills.__getitem__)


def page(seed: int = 1) -> Page:
    return made_page(seed).without_answers()


def ask(*skills: str, seed: int = 0, steps: int = 2) -> Request:
    return Request(page=page(), seed=seed, steps=steps, skills=tuple(SkillUse(name=name) for name in skills))


def bits(result: Result) -> list[bytes]:
    return [image.tobytes() for image in result.images]


def test_engine_result_says_all_that_made_it(engine):
    first, second = engine.generate(Request(page=page(), seed=4, number=2, skills=(SkillUse(name="one", weight=0.5),)))
    assert (first.request.seed, second.request.seed, second.request.number) == (4, 5, 1)
    assert second.skill == "0.5 x one"
    assert second.steps == engine.backbone.card.steps
    assert bits(engine.generate(second.request)[0]) == bits(second)


def test_engine_stream_tells_phases_steps_previews_and_the_results_of_generate(engine):
    *events, last = engine.stream(ask("one", steps=3))
    assert isinstance(last, Done)
    assert [event.name for event in events if isinstance(event, Phase)] == ["reading", "steps", "decoding"]
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3]
    assert bits(last.result[0]) == bits(engine.generate(ask("one", steps=3))[0])


def test_engine_streams_with_different_skills_side_by_side_are_right_in_any_order(engine):
    wanted = {name: bits(engine.generate(ask(*name.split(), steps=4))[0]) for name in ("one", "two", "")}
    streams = {name: engine.stream(ask(*name.split(), steps=4)) for name in wanted}
    made: dict[str, list[bytes]] = {}
    while len(made) < len(streams):
        for name, stream in streams.items():
            event = next(stream, None)
            if isinstance(event, Preview):
                assert event.images[0].size == (128, 128)
            if isinstance(event, Done):
                made[name] = bits(event.result[0])
    assert made == wanted


def test_engine_stream_closed_early_leaves_others_and_release_leaves_the_backbone_bare(engine, backbone):
    engine.release()
    weights, bare = backbone.transformer.proj_out.weight, bits(engine.generate(ask())[0])
    first, second = engine.stream(ask("one", steps=4)), engine.stream(ask("two", steps=4))
    for stream in (first, second, first):
        while not isinstance(next(stream), Step):
            pass
    first.close()
    assert bits([*second][-1].result[0]) == bits(engine.generate(ask("two", steps=4))[0])
    engine.generate(ask("one"))
    assert backbone.transformer.proj_out.weight is not weights
    engine.release()
    assert backbone.transformer.proj_out.weight is weights
    assert bits(engine.generate(ask())[0]) == bare


@pytest.mark.parametrize("closed_first", [0, 1])
def test_engine_two_streams_closed_in_either_order_leave_no_skill_on(engine, backbone, closed_first):
    engine.release()
    weights, bare = backbone.transformer.proj_out.weight, bits(engine.generate(ask())[0])
    streams = [engine.stream(ask(name, steps=4)) for name in ("one", "two")]
    for _ in range(2):
        for stream in streams:
            while not isinstance(next(stream), Step):
                pass
    streams[closed_first].close()
    streams[1 - closed_first].close()
    assert bits(engine.generate(ask())[0]) == bare
    assert backbone.transformer.proj_out.weight is weights


def test_engine_skill_of_another_backbone_is_refused_and_leaves_none_on(engine):
    other = random_skill(klein(), name="other")
    bare = bits(engine.generate(ask())[0])
    with pytest.raises(SkillError):
        engine.generate(ask("one"), skill=Skills(other))
    assert bits(engine.generate(ask())[0]) == bare


def test_engine_cancelled_between_steps_raises_and_is_ready_for_the_next(engine):
    token, seen = CancelToken(), []

    def hear(event) -> None:
        seen.append(event)
        if isinstance(event, Step) and event.step == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        engine.generate(ask("one", steps=5), cancel=token, on_event=hear)
    assert max(event.step for event in seen if isinstance(event, Step)) == 2
    assert not any(isinstance(event, Done) for event in seen)
    assert bits(engine.generate(ask())[0]) == bits(Engine(engine.backbone).generate(ask())[0])


def test_engine_generate_inside_on_event_of_another_run_is_right(engine):
    wanted = bits(engine.generate(ask("two"))[0]), bits(engine.generate(ask("one"))[0])
    inner: list[Result] = []

    def hear(event) -> None:
        if isinstance(event, Step):
            inner.extend(engine.generate(ask("two")))

    (outer,) = engine.generate(ask("one"), on_event=hear)
    assert (bits(inner[0]), bits(outer)) == wanted


def test_engines_of_one_backbone_take_turns_over_threads(engine):
    """Two hundred requests from eight threads with three skills: every picture is the one made alone."""
    kinds = [("one",), ("two",), ("three",), (), ("one", "three")]
    asked = [ask(*kinds[number % 5], seed=number % 10, steps=1) for number in range(200)]
    alone = {(request.skills, request.seed): request for request in asked}
    wanted = {key: bits(engine.generate(request)[0]) for key, request in alone.items()}
    wrong: list[object] = []

    def work(own: list[Request], streams: bool) -> None:
        mine = Engine(engine.backbone, find_skill=engine._find_skill)
        for request in own:
            if streams:
                *_, last = mine.stream(request)
                (result,) = last.result
            else:
                (result,) = mine.generate(request)
            if bits(result) != wanted[request.skills, request.seed]:
                wrong.append(request.skills)

    threads = [threading.Thread(target=work, args=(asked[part::8], part % 2 == 0)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
