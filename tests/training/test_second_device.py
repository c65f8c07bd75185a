"""Training on another device than the CPU, in a process of its own: see `on_second_device.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


def _run(marks: str, device: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-m", marks, "tests/training/on_second_device.py"],
        cwd=ROOT,
        env=os.environ | {"TRIPTYCH_DEVICE": device},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_parts_that_take_turns_train_on_a_second_device() -> None:
    _run("not slow", "far")


@pytest.mark.slow
def test_every_offload_and_optimizer_trains_on_a_second_device() -> None:
    _run("slow", "far")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_every_offload_and_optimizer_trains_on_a_gpu() -> None:
    _run("slow or not slow", "cuda")
