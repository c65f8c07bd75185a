"""Memory computed from sizes."""

import pytest
import torch

from triptych.models.catalog import find_checkpoint
from triptych.models.memory import estimate

KLEIN = find_checkpoint("FLUX.2-klein-4B").shape


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


@pytest.mark.parametrize("name", ["flux.2-klein-4b", "black-forest-labs/FLUX.2-klein-4B", "FLUX.2-klein-4B/"])
def test_find_checkpoint_minds_neither_case_nor_owner(name):
    assert find_checkpoint(name).card.name == "black-forest-labs/FLUX.2-klein-4B"


def test_estimate_of_a_packed_transformer_counts_its_file_in_every_stage_that_it_is_in():
    packed, whole = (estimate(KLEIN, packed_bytes=size) for size in (2**30, None))
    spared = 1.1 * (2e9 * KLEIN.transformer - 2**30)
    assert whole.steps - packed.steps == pytest.approx(spared, rel=0.01)
    assert whole.text - packed.text == pytest.approx(spared, rel=0.01)
