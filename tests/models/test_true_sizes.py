"""Released sizes: that they are those of the records, and what runs at them on a GPU (see `at_true_sizes.py`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tiny_pipelines import text_parts
from true_sizes import SIZED, checkpoint_of, made

ROOT = Path(__file__).resolve().parents[2]


def _run(marks: str, device: str, sizes: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-m", marks, "tests/models/at_true_sizes.py"],
        cwd=ROOT,
        env=os.environ | {"TRIPTYCH_DEVICE": device, "TRIPTYCH_SIZES": sizes},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def billions(name: str, part: nn.Module, part_name: str) -> float:
    sized = SIZED[name]
    grown = made(part, sized.full[part_name], device="meta", dtype=torch.bfloat16, anew=part_name in sized.defaults)
    return sum(parameter.numel() for parameter in grown.parameters()) / 1e9


@pytest.mark.parametrize("name", SIZED)
def test_released_sizes_are_those_that_memory_is_computed_from(name: str) -> None:
    backbone, shape = SIZED[name].make(), checkpoint_of(SIZED[name], is_full=True).shape
    texts = {key: part for key, part in text_parts(backbone.text).items() if isinstance(part, nn.Module)}
    assert billions(name, backbone.transformer, "transformer") == pytest.approx(shape.transformer, rel=0.02)
    assert billions(name, backbone.codec.vae, "vae") == pytest.approx(shape.codec, rel=0.05)
    # The released encoder of FLUX.2-dev has eyes too, which nothing here looks through.
    assert sum(billions(name, part, key) for key, part in texts.items()) == pytest.approx(shape.text, rel=0.03)


def test_what_runs_on_a_gpu_runs_small_on_a_second_device() -> None:
    _run("not slow", "far", "small")


@pytest.mark.slow
def test_what_runs_on_a_gpu_runs_small_on_a_second_device_for_every_checkpoint() -> None:
    _run("slow", "far", "small")


@pytest.mark.slow
def test_what_runs_compiled_on_a_gpu_runs_small_and_compiled_on_the_cpu() -> None:
    _run("not slow", "cpu", "small")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_every_checkpoint_at_its_released_size_on_a_gpu() -> None:
    _run("slow or not slow", "cuda", "full")
