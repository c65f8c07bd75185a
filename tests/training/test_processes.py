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

from tiny_training import train_tiny
from triptych.skill import load_skill
from triptych.training.claim import can_resume, run_folder

TESTS = Path(__file__).parent.parent
KILLS = 20
STEPS = {"steps": 12}


def _environment():
    paths = [str(TESTS.parent / "src"), str(TESTS)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


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
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", str(script)]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert _losses(two) == pytest.approx(_losses(one), rel=1e-4)
    first, second = load_skill(one).tensors, load_skill(two).tensors
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], atol=1e-4, rtol=1e-3)
