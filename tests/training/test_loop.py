import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tiny_training import made_page, recipe, tiny_pocket
from triptych.errors import SkillError, TrainingError
from triptych.events import CancelToken, Step, Warning
from triptych.models.adapters import Skills
from triptych.sampling import generate
from triptych.skill import load_skill
from triptych.training.claim import claimed, run_folder
from triptych.training.loop import train
from triptych.training.running import Stopped


class _KilledError(Exception):
    pass


def _until(step):
    def stop(event):
        if _is_step(event, step):
            raise _KilledError

    return stop


def _is_step(event, number):
    return isinstance(event, Step) and event.step == number


def _into(notes):
    return lambda event: notes.append(event.text) if isinstance(event, Warning) else None


def _checkpoints(out):
    return sorted((run_folder(out) / "checkpoints").glob("*.safetensors"))


def _same(first, second):
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(value, second.tensors[name]) for name, value in first.tensors.items())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": {"kind": "prodigy", "learning_rate": 1.0}},
        {"optimizer": {"kind": "schedule_free", "learning_rate": 1e-2}},
        {"adapter": {"rank": 2, "alpha": 2, "dropout": 0.3}, "frozen_conditions": True},
        {"variety": {"random_slots": 0.5, "condition_dropout": 0.3, "instruction_dropout": 0.3, "shots": [0, 1]}},
    ],
    ids=["adamw", "prodigy", "schedule-free", "dropout-frozen", "variety"],
)
def test_train_killed_and_resumed_ends_in_the_same_weights(tmp_path, pages, changes):
    plan = recipe(**changes)
    whole = train(pages, tmp_path / "whole.safetensors", plan, tiny_pocket())
    with pytest.raises(_KilledError):
        train(pages, tmp_path / "cut.safetensors", plan, tiny_pocket(), on_event=_until(3))
    resumed = train(pages, tmp_path / "cut.safetensors", plan, tiny_pocket(), resume=True)
    _same(whole, resumed)


def test_train_lowers_the_loss_and_leaves_the_backbone_as_it_was(tmp_path, pages, pocket):
    before = {name: value.clone() for name, value in pocket.transformer.state_dict().items()}
    losses = []
    train(
        pages[:1],
        tmp_path / "s.safetensors",
        recipe(steps=12, draws=4, levels={"pure_share": 1.0}),
        pocket,
        on_event=lambda event: losses.append(event.measures["loss"]) if isinstance(event, Step) else None,
    )
    assert min(losses[-3:]) < 0.8 * losses[0]
    after = pocket.transformer.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not any(parameter.requires_grad for parameter in pocket.transformer.parameters())


def test_train_truncated_newest_checkpoint_continues_from_the_one_before(tmp_path, pages):
    plan, out = recipe(), tmp_path / "s.safetensors"
    whole = train(pages, tmp_path / "whole.safetensors", plan, tiny_pocket())
    with pytest.raises(_KilledError):
        train(pages, out, plan, tiny_pocket(), on_event=_until(4))
    newest = _checkpoints(out)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    notes = []
    resumed = train(pages, out, plan, tiny_pocket(), resume=True, on_event=_into(notes))
    _same(whole, resumed)
    assert any(newest.name in note for note in notes)


def test_train_bit_flip_in_the_newest_checkpoint_is_found(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    with pytest.raises(_KilledError):
        train(pages, out, recipe(), tiny_pocket(), on_event=_until(4))
    for path in _checkpoints(out):
        data = bytearray(path.read_bytes())
        data[-5] ^= 64
        path.write_bytes(data)
    with pytest.raises(TrainingError, match="all 3 checkpoints"):
        train(pages, out, recipe(), tiny_pocket(), resume=True)


def test_train_resumed_with_changes_names_them(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    with pytest.raises(_KilledError):
        train(pages, out, recipe(), tiny_pocket(), on_event=_until(2))
    with pytest.raises(TrainingError, match=r"recipe key optimizer\.learning_rate \(0\.01 then, 0\.02 now\)"):
        train(pages, out, recipe(optimizer={"learning_rate": 2e-2}), tiny_pocket(), resume=True)
    other = [*pages[:3], replace(pages[3], overview="changed")]
    with pytest.raises(TrainingError, match="page p3"):
        train(other, out, recipe(), tiny_pocket(), resume=True)
    backbone = tiny_pocket()
    backbone.transformer.proj_out.weight.data += 0.01
    with pytest.raises(TrainingError, match="backbone's weights"):
        train(pages, out, recipe(), backbone, resume=True)


def test_train_over_a_run_without_resume_is_refused(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    with pytest.raises(_KilledError):
        train(pages, out, recipe(), tiny_pocket(), on_event=_until(2))
    with pytest.raises(TrainingError, match="--resume"):
        train(pages, out, recipe(), tiny_pocket())


def test_train_interrupted_saves_the_step_it_was_in(tmp_path, pages):
    out, plan = tmp_path / "s.safetensors", recipe(watch={"save_every": 100, "samples": 0})
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Stopped) as stopped:
        train(
            pages,
            out,
            plan,
            tiny_pocket(),
            on_event=lambda event: signal.raise_signal(signal.SIGINT) if _is_step(event, 2) else None,
        )
    assert _checkpoints(out) == [stopped.value.checkpoint]
    assert stopped.value.checkpoint.name == "step-00000002.safetensors"
    assert signal.getsignal(signal.SIGINT) is before


def test_train_with_an_exploding_rate_stops_and_keeps_finite_weights(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    plan = recipe(steps=20, most_bad_steps=2, optimizer={"learning_rate": 1e30})
    notes = []
    with pytest.raises(TrainingError, match="3 steps in a row"):
        train(pages, out, plan, tiny_pocket(), on_event=_into(notes))
    assert sum("not finite" in note for note in notes) == 2
    for path in _checkpoints(out):
        assert all(value.isfinite().all() for value in load_file(path).values() if value.is_floating_point())


def test_train_keeps_only_the_last_checkpoints(tmp_path, pages, pocket):
    out = tmp_path / "s.safetensors"
    train(pages, out, recipe(watch={"save_every": 1, "keep": 2, "samples": 0}), pocket)
    assert [path.name for path in _checkpoints(out)] == ["step-00000003.safetensors", "step-00000004.safetensors"]


def test_train_twice_encodes_once(tmp_path, pages, pocket):
    train(pages, tmp_path / "s.safetensors", recipe(), pocket)
    cache = run_folder(tmp_path / "s.safetensors") / "cache"
    first = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    train(pages, tmp_path / "s.safetensors", recipe(), pocket, resume=True)
    assert first == {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(first) == len(pages)


def test_trained_skill_changes_pictures_and_configures_the_page(tmp_path, pages, pocket):
    made = train(pages, tmp_path / "s.safetensors", recipe(trigger="[BLUE]"), pocket, held_out=[made_page(9)])
    skill = load_skill(tmp_path / "s.safetensors")
    _same(made, skill)
    page = skill.page([pages[0].panels[0].image], instructions=["make it blue"])
    assert page.overview == "[BLUE]"
    assert page.slots[0].size_px == (128, 128)
    with_skill = generate(pocket, page, steps=2, skill=Skills(skill))
    without = generate(pocket, page, steps=2)
    assert with_skill.skill == "s"
    assert with_skill.images[0].tobytes() != without.images[0].tobytes()


def test_train_interrupted_twice_stops_in_the_middle_and_saves_nothing(tmp_path, pages):
    def press(event):
        if _is_step(event, 2):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    plan = recipe(watch={"save_every": 100, "samples": 0})
    with pytest.raises(KeyboardInterrupt):
        train(pages, tmp_path / "s.safetensors", plan, tiny_pocket(), on_event=press)
    assert _checkpoints(tmp_path / "s.safetensors") == []


def test_train_cancelled_off_the_main_thread_saves_and_resumes_to_the_same_weights(tmp_path, pages):
    plan, out, token = recipe(watch={"save_every": 100, "samples": 0}), tmp_path / "s.safetensors", CancelToken()

    def hear(event):
        if isinstance(event, Step) and event.step == 2:
            token.cancel()

    whole = train(pages, tmp_path / "whole.safetensors", plan, tiny_pocket())

    def work():
        train(pages, out, plan, tiny_pocket(), cancel=token, on_event=hear)

    with ThreadPoolExecutor(1) as pool, pytest.raises(Stopped) as stopped:
        pool.submit(work).result()
    assert stopped.value.checkpoint.name == "step-00000002.safetensors"
    _same(whole, train(pages, out, plan, tiny_pocket(), resume=True))


def test_train_to_the_same_out_at_the_same_time_is_refused(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    with claimed(out), pytest.raises(TrainingError, match="another training"):
        train(pages, out, recipe(), tiny_pocket())
    train(pages, out, recipe(steps=1), tiny_pocket())


def test_train_resume_with_nothing_to_resume_is_refused(tmp_path, pages):
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(pages, tmp_path / "s.safetensors", recipe(), tiny_pocket(), resume=True)


def test_train_over_a_skill_is_refused_and_replaces_it_where_asked(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    out.write_bytes(b"somebody's work")
    with pytest.raises(TrainingError, match="--overwrite"):
        train(pages, out, recipe(steps=1), tiny_pocket())
    assert out.read_bytes() == b"somebody's work"
    first = train(pages, out, recipe(steps=1), tiny_pocket(), overwrite=True)
    _same(first, train(pages, out, recipe(steps=1), tiny_pocket(), overwrite=True))


def test_train_on_weights_that_are_not_finite_writes_no_skill(tmp_path, pages):
    broken = tiny_pocket()
    broken.transformer.proj_out.weight.data.fill_(torch.nan)
    with pytest.raises(TrainingError, match="all 2 steps ended in NaN"):
        train(pages, tmp_path / "s.safetensors", recipe(steps=2), broken)
    assert not (tmp_path / "s.safetensors").exists()


def test_train_more_steps_is_the_longer_training(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    longer = train(pages, tmp_path / "longer.safetensors", recipe(steps=6), tiny_pocket())
    train(pages, out, recipe(steps=3), tiny_pocket())
    with pytest.raises(_KilledError):
        train(pages, out, recipe(steps=3), tiny_pocket(), more_steps=3, on_event=_until(5))
    more = train(pages, out, recipe(steps=3), tiny_pocket(), resume=True)
    _same(longer, more)
    assert more.card.steps == 6


def test_train_from_a_skill_begins_with_its_weights(tmp_path, pages):
    plan = recipe(steps=3)
    first = train(pages, tmp_path / "first.safetensors", plan, tiny_pocket())
    still = plan.model_copy(
        update={"steps": 1, "optimizer": plan.optimizer.model_copy(update={"learning_rate": 1e-30})}
    )
    begun = train(pages, tmp_path / "begun.safetensors", still, tiny_pocket(), start=first)
    _same(first, begun)
    with pytest.raises(SkillError, match="rank 2"):
        other = recipe(adapter={"rank": 3, "alpha": 3})
        train(pages, tmp_path / "other.safetensors", other, tiny_pocket(), start=first)


def test_train_sampling_that_fails_costs_no_step(tmp_path, pages, monkeypatch):
    out, notes = tmp_path / "s.safetensors", []
    plan = recipe(steps=2, watch={"save_every": 1, "sample_every": 1, "samples": 1})

    def full(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("triptych.training.watch.generate", full)
    train(pages, out, plan, tiny_pocket(), on_event=_into(notes))
    assert load_skill(out).card.steps == 2
    assert [path.name for path in _checkpoints(out)] == ["step-00000001.safetensors", "step-00000002.safetensors"]
    assert sum("drawing samples failed: out of memory" in note for note in notes) == 3


def test_train_damaged_contact_sheet_and_unwritable_log_cost_no_step(tmp_path, pages):
    out, notes = tmp_path / "s.safetensors", []
    plan = recipe(steps=2, watch={"save_every": 1, "sample_every": 1, "samples": 1})

    def spoil(event):
        _into(notes)(event)
        if _is_step(event, 1):
            (run_folder(out) / "contact-sheet.png").write_bytes(b"damaged")
            (run_folder(out) / "log.jsonl").unlink(missing_ok=True)
            (run_folder(out) / "log.jsonl").mkdir(exist_ok=True)

    train(pages, out, plan, tiny_pocket(), on_event=spoil)
    assert load_skill(out).card.steps == 2
    assert any("a new contact sheet is started" in note for note in notes)
    assert sum("log.jsonl cannot be written" in note for note in notes) == 1


def test_train_removes_what_a_killed_run_was_writing(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    left = [
        run_folder(out) / "checkpoints" / ".step-00000001.safetensors.0123456789ab.tmp",
        run_folder(out) / ".contact-sheet.png.0123456789ab.tmp",
        tmp_path / ".s.safetensors.0123456789ab.tmp",
    ]
    other = tmp_path / ".other.safetensors.0123456789ab.tmp"
    for path in (*left, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    train(pages, out, recipe(steps=1), tiny_pocket())
    assert not any(path.exists() for path in left)
    assert other.exists()
