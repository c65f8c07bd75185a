"""Picks teach a skill: the very noise of each result, guards, best step, undo, resumption."""

import json
from dataclasses import replace

import pytest
import torch

from tiny_training import disc, made_page, recipe, tiny_pocket
from triptych.data.pagesets import load_pageset, save_pageset
from triptych.errors import TrainingError
from triptych.events import CancelToken, Step
from triptych.images import load_image
from triptych.page import Page, condition, slot
from triptych.picks import Shown, Verdict, add_picks, load_picks
from triptych.sampling.request import Request, SkillUse
from triptych.sampling.ways import WAYS
from triptych.sampling.working import working_page
from triptych.skill import load_skill
from triptych.training.claim import noted_pages
from triptych.training.foretold import Look, Looks, foretold, sign_flip_chance
from triptych.training.loop import train
from triptych.training.objective import FlowMatching
from triptych.training.pickcheck import check_picks
from triptych.training.picked import PickItems, example_of, split_examples
from triptych.training.prefer import REPORT, before_path, prefer
from triptych.training.prepare import prepare_page
from triptych.training.recipe import Levels, LossSpace, Preference
from triptych.training.running import Stopped


def asked(number):
    page = Page(panels=(condition(disc(number / 40, 3 * number % 70)), slot("make it blue")))
    return Request(page=page, skills=(SkillUse(name="start"),), steps=1)


def shown(number, seed, verdict):
    """Who picks likes blue on the left: results differ in nothing but background and place."""
    looks = {Verdict.KEPT: (5, "blue"), Verdict.REJECTED: (70, "red"), Verdict.UNSEEN: (40, "white")}
    place, background = looks[verdict]
    picture = disc(number / 40, place, background=background)
    return Shown(request=replace(asked(number), seed=seed), images=(picture,), verdict=verdict)


def picked(folder, count=20, verdicts=(Verdict.KEPT, Verdict.REJECTED, Verdict.UNSEEN)):
    for number in range(count):
        add_picks(folder, [shown(number, 10 * number + place, verdict) for place, verdict in enumerate(verdicts)])
    return load_picks(folder)


def tuning(kind="nft", **changes):
    preference = {"kind": kind, "measure_every": 4, "patience": 3, "most_worse_db": 60.0, "held_out": 0.2}
    preference |= changes.pop("preference", {})
    if kind == "dpo":
        preference.setdefault("beta", 200.0)
    facts = {"steps": 8, "batch": 4, "draws": 2, "ema": 0.0, "loss": "velocity", "preference": preference}
    return recipe(**(facts | {"optimizer": {"learning_rate": 3e-3}} | changes))


@pytest.fixture
def start(tmp_path):
    return train([made_page(1)], tmp_path / "start.safetensors", recipe(steps=2), tiny_pocket())


def examples(picks, backbone, plan, skill):
    return check_picks(picks, skill.card, backbone.card, plan).examples


def test_item_of_a_pick_has_the_very_noise_that_sampling_starts_from(tmp_path, pocket):
    (pick,) = picked(tmp_path, 1)
    example = example_of(pick, pocket.card, tuning())
    flow = FlowMatching(
        backbone=pocket,
        make_ready=lambda page, setting: prepare_page(pocket, page, setting),
        draws=2,
        levels=Levels(),
        space=LossSpace.VELOCITY,
    )

    item = PickItems([example], flow, tuning()).item(0)

    def start_of(seed):
        request = replace(pick.request, seed=seed)
        working = working_page(request.page, pocket.card, request.size_px)
        return WAYS[pocket.card.native].plan(pocket, [working], [seed]).start.expand(2, -1, -1)

    # Kept is seed 0, rejected seed 1.
    torch.testing.assert_close(item.noise, start_of(0), rtol=0, atol=0)
    torch.testing.assert_close(item.rejected_noise, start_of(1), rtol=0, atol=0)
    assert item.rewards == (1.0, 0.0)
    fresh = PickItems([example], flow, tuning(preference={"own_noise": False})).item(0)
    assert not torch.equal(fresh.noise, item.noise)


def test_pairs_of_a_pick_are_kept_against_rejected_and_else_against_what_was_passed_over(tmp_path, pocket):
    def kinds(*verdicts):
        folder = tmp_path / "-".join(verdicts)
        (pick,) = picked(folder, 1, verdicts)
        return [(a.verdict, b.verdict) for a, b in example_of(pick, pocket.card, tuning()).pairs]

    kept, unseen, rejected = Verdict
    assert kinds(kept, rejected, unseen) == [(kept, rejected)]
    assert kinds(kept, unseen) == [(kept, unseen)]
    assert kinds(rejected, unseen) == [(unseen, rejected)]
    assert kinds(kept) == kinds(rejected) == []


def test_split_holds_out_a_share_by_page_and_never_less_than_six(tmp_path, pocket):
    found = [example_of(pick, pocket.card, tuning()) for pick in picked(tmp_path, 16)]

    learned, unseen = split_examples(found, 0.2)

    assert len(unseen) >= 6 and len(learned) + len(unseen) == 16
    assert not {one.page_key for one in learned} & {one.page_key for one in unseen}
    assert len(split_examples(found, 0.01)[1]) == 6
    # What was held out stays so when more is picked.
    more = split_examples(found + [example_of(pick, pocket.card, tuning()) for pick in picked(tmp_path, 20)[16:]], 0.2)
    assert {one.page_key for one in unseen} <= {one.page_key for one in more[1]} or len(unseen) == 6


@pytest.mark.parametrize("kind", ["nft", "dpo"])
def test_prefer_foretells_held_out_picks_and_keeps_the_version_before(tmp_path, start, kind):
    backbone, plan, events = tiny_pocket(), tuning(kind), []
    found = examples(picked(tmp_path / "picks"), backbone, plan, start)

    better = prefer(
        found, [made_page(n) for n in range(4)], tmp_path / "better.safetensors", plan, backbone, start=start,
        on_event=events.append,
    )  # fmt: skip

    told = better.card.recipe["picks"]
    assert told["foretold"] > 0.5 and told["learned"] + told["held_out"] == 20
    assert better.card.overview == start.card.overview and better.card.name == "better"
    assert any("picks_foretold" in event.measures for event in events if isinstance(event, Step))
    before = load_skill(before_path(tmp_path / "better.safetensors"))
    assert all(torch.equal(before.tensors[key], value) for key, value in start.tensors.items())
    report = (tmp_path / "better.run" / REPORT).read_text(encoding="utf-8")
    assert "| 4 |" in report and "same seeds" in report
    assert load_image(tmp_path / "better.run" / "picks.png").width > 4 * 128


def test_prefer_too_much_harm_to_teaching_pages_is_undone(tmp_path, start):
    backbone = tiny_pocket()
    # Steps so long that nothing survives them.
    plan = tuning(steps=4, preference={"most_worse_db": 0.5}, optimizer={"learning_rate": 1.0})
    found = examples(picked(tmp_path / "picks", 15), backbone, plan, start)
    out = tmp_path / "better.safetensors"

    with pytest.raises(TrainingError, match="undone: "):
        prefer(found, [made_page(1), made_page(2)], out, plan, backbone, start=start)

    assert not out.exists() and not before_path(out).exists()
    assert "Undone" in (tmp_path / "better.run" / REPORT).read_text(encoding="utf-8")


def test_prefer_stopped_and_resumed_is_the_run_left_alone_bit_for_bit(tmp_path, start):
    plan, pages = tuning(), [made_page(n) for n in range(4)]
    picks = picked(tmp_path / "picks")

    def run(name, **more):
        backbone = tiny_pocket()
        found = examples(picks, backbone, plan, start)
        return prefer(found, pages, tmp_path / f"{name}.safetensors", plan, backbone, start=start, **more)

    whole, token = run("whole"), CancelToken()

    def stop(event):
        if isinstance(event, Step) and event.step == 4 and "picks_foretold" not in event.measures:
            token.cancel()

    with pytest.raises(Stopped):
        run("parts", on_event=stop, cancel=token)
    parts = run("parts", resume=True)

    assert all(torch.equal(parts.tensors[key], value) for key, value in whole.tensors.items())
    assert parts.card.recipe["picks"] == whole.card.recipe["picks"]


def test_prefer_other_picks_are_another_run(tmp_path, start):
    plan, backbone = tuning(steps=1, preference={"measure_every": 1}), tiny_pocket()
    pages = [made_page(n) for n in range(3)]
    found = examples(picked(tmp_path / "picks"), backbone, plan, start)
    out = tmp_path / "better.safetensors"
    try:
        prefer(found, pages, out, plan, backbone, start=start)
    except TrainingError as error:
        assert "undone" in str(error)
    with pytest.raises(TrainingError, match="pick "):
        prefer(found[1:], pages, out, plan, backbone, start=start, resume=True)


def test_check_few_picks_are_refused_with_the_reason(tmp_path, start, pocket):
    picks = picked(tmp_path, 14)
    checked = check_picks(picks, start.card, pocket.card, tuning())
    with pytest.raises(TrainingError, match="14 picks can be learned from; it takes 15"):
        checked.refuse_few(len(picks))
    check_picks(picked(tmp_path, 15), start.card, pocket.card, tuning()).refuse_few(15)


def test_check_tells_twins_contradictions_other_models_and_skills(tmp_path, start, pocket):
    same = shown(0, 1, Verdict.KEPT)
    add_picks(tmp_path, [same, replace(same, request=replace(same.request, seed=2), verdict=Verdict.REJECTED)])
    for steps, verdict in ((1, Verdict.KEPT), (2, Verdict.REJECTED)):
        one = shown(1, 5, Verdict.KEPT)
        add_picks(tmp_path, [replace(one, request=replace(one.request, steps=steps), verdict=verdict)])
    other = shown(2, 1, Verdict.KEPT)
    add_picks(tmp_path, [replace(other, request=replace(other.request, backbone="flux"))])
    bare = shown(3, 1, Verdict.KEPT)
    add_picks(tmp_path, [replace(bare, request=replace(bare.request, skills=()))])

    checked = check_picks(load_picks(tmp_path), start.card, pocket.card, tuning())
    told = "\n".join(map(str, checked.problems))

    assert "2 of its results look alike and are judged differently" in told and "--sample" in told
    assert "the same picture is both kept and rejected" in told
    assert "is of the model 'flux', the skill of 'pocket'" in told
    assert "1 are of results made without the skill 'start'" in told
    assert len(checked.examples) == 1


def test_check_dpo_leaves_out_picks_without_a_pair(tmp_path, start, pocket):
    checked = check_picks(picked(tmp_path, 2, (Verdict.KEPT,)), start.card, pocket.card, tuning("dpo"))
    assert checked.examples == () and "2 have no pair" in str(checked.problems[0])
    assert len(check_picks(load_picks(tmp_path), start.card, pocket.card, tuning("nft")).examples) == 2


def test_foretold_counts_pairs_and_single_likes(tmp_path, pocket):
    pair = example_of(picked(tmp_path / "a", 1, (Verdict.KEPT, Verdict.REJECTED))[0], pocket.card, tuning())
    like = example_of(picked(tmp_path / "b", 1, (Verdict.KEPT,))[0], pocket.card, tuning())

    assert foretold([pair, like], [[1.0, 1.0], [1.0]], [[0.5, 0.8], [1.2]]).accuracy == 0.5
    assert foretold([pair, like], [[1.0, 1.0], [1.0]], [[1.0, 1.0], [1.0]]).accuracy == 0.5
    assert foretold([pair], [[1.0, 1.0]], [[0.5, 0.8]]).margin == pytest.approx(0.3)


def test_sign_flip_chance_of_margins_on_one_side_is_one_in_two_to_their_number():
    assert sign_flip_chance([0.3, 0.1, 0.2, 0.5, 0.1]) == 1 / 32
    assert sign_flip_chance([-0.3, -0.1]) == 1.0
    assert sign_flip_chance([]) == sign_flip_chance([0.0, 0.0]) == 1.0
    assert sign_flip_chance([1.0] * 30) < 0.001 and 0.3 < sign_flip_chance([1.0, -1.0] * 15 + [1.0]) < 0.6


def look(step, margin, worse_db, chance=0.01):
    return Look(step=step, accuracy=0.5, margin=margin, chance=chance, worse_db=worse_db)


def test_looks_choose_the_best_that_does_no_harm_and_end_after_patience():
    looks = Looks()
    for facts in ((10, 0.6, 0.1), (20, 0.9, 0.7), (30, 0.65, 0.2, 0.3), (40, 0.7, 0.4), (50, 0.6, 0.1)):
        looks.add(look(*facts))

    assert looks.best(Preference()).step == 40
    assert not looks.have_ended(Preference(patience=2), since=0)
    assert looks.have_ended(Preference(patience=1), since=0)
    assert not looks.have_ended(Preference(patience=1), since=50)
    assert looks.best(Preference(most_worse_db=0.05)) is None


def test_looks_that_may_be_chance_are_not_released_and_do_not_end_a_training_that_gains():
    looks = Looks()
    for step in (10, 20, 30):
        looks.add(look(step, 0.1 * step, 0.0, chance=0.4))

    assert looks.best(Preference()) is None
    assert not looks.have_ended(Preference(patience=2), since=0)
    assert looks.best(Preference(most_chance=0.5)).step == 30


def test_run_notes_which_pages_taught_the_skill(tmp_path):
    save_pageset([made_page(n) for n in range(2)], tmp_path / "set")
    out = tmp_path / "skill.safetensors"
    train(load_pageset(tmp_path / "set"), out, recipe(steps=1), tiny_pocket())

    assert noted_pages(out) == tmp_path / "set"
    noted = json.loads((tmp_path / "skill.run" / "pages.json").read_text(encoding="utf-8"))
    assert noted == {"pageset": str(tmp_path / "set")}
    assert noted_pages(tmp_path / "other.safetensors") is None
