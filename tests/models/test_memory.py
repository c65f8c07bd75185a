"""Memory computed from sizes, and the choice made from it."""

import importlib.util

import pytest
import torch

from triptych.errors import BackboneError
from triptych.models.catalog import CHECKPOINTS, find_checkpoint
from triptych.models.memory import choose, estimate, installed_kinds
from triptych.models.options import Offload, Quantise, Training

GIB = 2**30
KLEIN = find_checkpoint("FLUX.2-klein-4B").shape
DEV = find_checkpoint("black-forest-labs/flux.2-dev").shape


def test_estimate_weights_alone_are_parameters_times_bytes():
    least = estimate(KLEIN, conditions=0, side_px=16, text_tokens=1).peak
    assert least == pytest.approx(1.1 * 2e9 * (KLEIN.transformer + KLEIN.text + KLEIN.codec), rel=0.01)


def test_estimate_grows_with_panels_side_and_precision():
    base = estimate(KLEIN, conditions=1, slots=1, side_px=512).steps
    assert base < estimate(KLEIN, conditions=3, slots=1, side_px=512).steps
    assert base < estimate(KLEIN, conditions=1, slots=3, side_px=512).steps
    assert base < estimate(KLEIN, conditions=1, slots=1, side_px=1024).steps
    assert base < estimate(KLEIN, conditions=1, slots=1, side_px=512, dtype=torch.float32).steps
    assert base < estimate(KLEIN, conditions=1, slots=1, side_px=512, cached=True).steps


def test_choose_takes_the_truest_that_fits_and_says_why(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    choices = [choose(KLEIN, free=gib * GIB, device="cuda") for gib in (40, 14, 8)]
    assert (choices[0].quantise, choices[0].offload) == (Quantise.NONE, Offload.NONE)
    assert (choices[1].quantise, choices[1].offload) == (Quantise.NONE, Offload.PARTS)
    assert choices[2].quantise is not Quantise.NONE
    assert "GiB of 14.0 GiB free on cuda" in choices[1].reason
    assert "would need" in choices[1].reason


def test_choose_keeps_what_the_user_fixed():
    choice = choose(DEV, free=100 * GIB, device="cuda", quantise=Quantise.NF4)
    assert choice.quantise is Quantise.NF4


def test_choose_never_takes_more_than_is_free():
    for checkpoint in CHECKPOINTS:
        for gib in (6, 12, 24, 48, 80):
            try:
                choice = choose(checkpoint.shape, free=gib * GIB, device="cuda")
            except BackboneError:
                continue
            need = estimate(checkpoint.shape, quantise=choice.quantise, offload=choice.offload)
            assert need.peak <= gib * GIB


def test_choose_without_room_names_the_least_that_would_do():
    with pytest.raises(BackboneError, match=r"1\.0 GiB are free on cpu; even the least .* needs"):
        choose(DEV, free=GIB, device="cpu")


@pytest.mark.parametrize("name", ["flux.2-klein-4b", "black-forest-labs/FLUX.2-klein-4B", "FLUX.2-klein-4B/"])
def test_find_checkpoint_minds_neither_case_nor_owner(name):
    assert find_checkpoint(name).card.name == "black-forest-labs/FLUX.2-klein-4B"


def test_choose_takes_only_what_is_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert installed_kinds("cuda") == [Quantise.NONE]
    assert choose(KLEIN, free=8 * GIB, device="cuda").quantise is Quantise.NONE
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert installed_kinds("cpu") == [Quantise.NONE, Quantise.INT8]


def test_choose_treats_a_numbered_device_like_its_kind():
    one, other = (choose(DEV, free=40 * GIB, device=device) for device in ("cuda", "cuda:0"))
    assert (one.quantise, one.offload) == (other.quantise, other.offload)


def test_choose_never_lends_blocks_of_nf4():
    with pytest.raises(BackboneError, match="even the least"):
        choose(DEV, free=4 * GIB, device="cuda", quantise=Quantise.NF4)


def test_choose_for_training_counts_the_step_and_lends_blocks_only_where_activations_are_computed_anew(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    light, heavy = (Training(step_bytes=gib * GIB, recomputes=True) for gib in (1, 25))
    ways = [choose(KLEIN, free=40 * GIB, device="cuda", training=training).offload for training in (None, light, heavy)]
    assert ways == [Offload.NONE, Offload.NONE, Offload.PARTS]
    assert choose(KLEIN, free=8 * GIB, device="cuda", training=light).offload is Offload.LAYERS
    with pytest.raises(BackboneError, match="to train"):
        choose(KLEIN, free=8 * GIB, device="cuda", training=Training(step_bytes=GIB, recomputes=False))
