"""What must be true on another device than the CPU, in a process of its own: see `on_second_device.py`."""

from functools import partial

import pytest
import torch

from in_a_process import run_on_device

_run = partial(run_on_device, "tests/models/on_second_device.py")


def test_klein_on_a_second_device() -> None:
    _run("not slow", "far")


@pytest.mark.slow
def test_every_family_on_a_second_device() -> None:
    _run("slow", "far")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_every_family_on_a_gpu() -> None:
    _run("slow or not slow", "cuda")
