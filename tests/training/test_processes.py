"""Training in processes of its own: killed at any moment, and spread over two."""

import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from accelerate import DistributedType
from accelerate.commands.config.config_args import load_config_from_file
from PIL import Image

from tiny_training import train_tiny
from triptych.skill import load_skill
from triptych.training.claim import can_resume, run_folder

TESTS = Path(__file__).parent.parent
KILLS = 20
STEPS = {"steps": 12}


def _environment():
    paths = [str(TESTS.parent / "src"), str(TESTS)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def _launch(script, *arguments, options):
    command = [sys.executable, "-m", "accelerate.commands.launch", *options, str(script), *arguments]
    return subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False, timeout=500)


_TWO = (
    "--multi_gpu",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
    "--mixed_precision",
    "no",
    "--dynamo_backend",
    "no",
)
FSDP = TESTS.parent / "docs" / "skills" / "fsdp.yaml"


def _losses(out):
    rows = [json.loads(line) for line in (run_folder(out) / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.slow
def test_train_killed_at_any_moment_ends_in_the_same_weights(tmp_path, monkeypatch):
    for name, value in _environment().items():
        monkeypatch.setenv(name, value)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tiny_training"])

    def start(out, **more):
        process = context.Process(target=train_tiny, args=(str(out),), kwargs=STEPS | more)
        process.start()
        return process

    # The first run also waits for the server's imports; the second one is timed.
    for name in ("first", "whole"):
        began = time.monotonic()
        process = start(tmp_path / f"{name}.safetensors")
        process.join()
        assert process.exitcode == 0
    duration = time.monotonic() - began
    whole = load_skill(tmp_path / "whole.safetensors").tensors
    chance = random.Random(0)
    for number in range(KILLS):
        out = tmp_path / f"killed{number}.safetensors"
        process = start(out)
        process.join(chance.uniform(0, duration))
        process.kill()
        process.join()
        process = start(out, resume=can_resume(out))
        process.join()
        assert process.exitcode == 0, f"kill {number}"
        ended = load_skill(out).tensors
        assert all(torch.equal(value, ended[name]) for name, value in whole.items()), f"kill {number}"
        leftovers = [path.name for path in run_folder(out).rglob("*") if path.suffix not in _KNOWN and path.is_file()]
        assert not leftovers, leftovers


_KNOWN = {".safetensors", ".jsonl", ".md", ".png", ".lock"}


@pytest.mark.slow
def test_train_two_processes_have_the_losses_of_one_with_twice_the_batch(tmp_path):
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    train_tiny(str(one), steps=5, batch=4)
    script = tmp_path / "run.py"
    script.write_text(f"from tiny_training import train_tiny\ntrain_tiny({str(two)!r}, steps=5, batch=2)\n")
    done = _launch(script, options=_TWO)
    assert done.returncode == 0, done.stderr[-2000:]
    assert _losses(two) == pytest.approx(_losses(one), rel=1e-4)
    first, second = load_skill(one).tensors, load_skill(two).tensors
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], atol=1e-4, rtol=1e-3)


SHARDED = """
import json, sys
import torch
from torch.distributed.tensor import DTensor
from tiny_models import klein
from tiny_training import made_page, recipe
from triptych.training.loop import train

torch.set_num_threads(1)
out, batch, sharded = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "sharded"
backbone = klein(name="klein", family="flux2")
watch = {"save_every": 1, "samples": 1, "sample_every": 2, "held_out_every": 2}
chosen = recipe(steps=3, batch=batch, sharded=sharded, gradient_checkpointing=sharded, watch=watch)
train([made_page(number) for number in range(4)], out, chosen, backbone, held_out=[made_page(9)])
weights = [value for block in backbone.transformer.transformer_blocks for value in block.parameters()]
held = sum(value.to_local().numel() if isinstance(value, DTensor) else value.numel() for value in weights)
print(json.dumps([held, sum(value.numel() for value in weights)]))
"""


@pytest.mark.slow
def test_train_with_weights_spread_over_two_processes_has_the_skill_of_one(tmp_path):
    one, two, script = tmp_path / "one.safetensors", tmp_path / "two.safetensors", tmp_path / "run.py"
    script.write_text(SHARDED)
    alone = [sys.executable, str(script), str(one), "2", "whole"]
    subprocess.run(alone, env=_environment(), capture_output=True, check=True)

    # Samples are drawn and pages measured on the way: every process must take part, or both wait for ever.
    done = _launch(script, str(two), "1", "sharded", options=("--config_file", str(FSDP)))

    assert done.returncode == 0, done.stderr[-2000:]
    held = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    # After the last picture each process holds its half again.
    assert len(held) == 2 and all(here == pytest.approx(whole / 2, rel=0.1) for here, whole in held)
    assert _losses(two) == pytest.approx(_losses(one), rel=1e-5)
    first, second = load_skill(one).tensors, load_skill(two).tensors
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, atol=1e-6, rtol=1e-5)
    sheets = [Image.open(run_folder(out) / "contact-sheet.png") for out in (one, two)]
    assert sheets[0].size == sheets[1].size


def test_accelerate_reads_the_fsdp_configuration():
    read = load_config_from_file(str(FSDP))
    assert read.distributed_type is DistributedType.FSDP and read.fsdp_config["fsdp_version"] == 2
