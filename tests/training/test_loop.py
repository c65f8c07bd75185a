import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tiny_training import made_page, recipe, tiny_pocket
from triptych.errors import TrainingError
from triptych.models.adapters import Skills
from triptych.sampling import generate
from triptych.skill import load_skill
from triptych.training.loop import run_folder, train


class _KilledError(Exception):
    pass


def _until(step):
    def stop(progress):
        if progress.step == step:
            raise _KilledError

    return stop


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
        train(pages, tmp_path / "cut.safetensors", plan, tiny_pocket(), on_progress=_until(3))
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
        on_progress=lambda progress: losses.append(progress.loss),
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
        train(pages, out, plan, tiny_pocket(), on_progress=_until(4))
    newest = _checkpoints(out)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    notes = []
    resumed = train(
        pages, out, plan, tiny_pocket(), resume=True, on_progress=lambda progress: notes.append(progress.note)
    )
    _same(whole, resumed)
    assert any(newest.name in note for note in notes)


def test_train_bit_flip_in_the_newest_checkpoint_is_found(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    with pytest.raises(_KilledError):
        train(pages, out, recipe(), tiny_pocket(), on_progress=_until(4))
    for path in _checkpoints(out):
        data = bytearray(path.read_bytes())
        data[-5] ^= 64
        path.write_bytes(data)
    with pytest.raises(TrainingError, match="all 3 checkpoints"):
        train(pages, out, recipe(), tiny_pocket(), resume=True)


def test_train_resumed_with_changes_names_them(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    with pytest.raises(_KilledError):
        train(pages, out, recipe(), tiny_pocket(), on_progress=_until(2))
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
        train(pages, out, recipe(), tiny_pocket(), on_progress=_until(2))
    with pytest.raises(TrainingError, match="--resume"):
        train(pages, out, recipe(), tiny_pocket())


def test_train_interrupted_saves_the_step_it_was_in(tmp_path, pages):
    out, plan = tmp_path / "s.safetensors", recipe(watch={"save_every": 100, "samples": 0})
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(
            pages,
            out,
            plan,
            tiny_pocket(),
            on_progress=lambda progress: signal.raise_signal(signal.SIGINT) if progress.step == 2 else None,
        )
    assert [path.name for path in _checkpoints(out)] == ["step-00000002.safetensors"]
    assert signal.getsignal(signal.SIGINT) is before


def test_train_with_an_exploding_rate_stops_and_keeps_finite_weights(tmp_path, pages):
    out = tmp_path / "s.safetensors"
    plan = recipe(steps=20, most_bad_steps=2, optimizer={"learning_rate": 1e30})
    notes = []
    with pytest.raises(TrainingError, match="3 steps in a row"):
        train(pages, out, plan, tiny_pocket(), on_progress=lambda progress: notes.append(progress.note))
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
