"""Constants that small networks cannot show to be wrong, against those in diffusers' own code."""

from inspect import signature

import pytest
from diffusers import Flux2KleinPipeline, Flux2Pipeline
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import CONDITION_IMAGE_SIZE, calculate_dimensions
from PIL import Image

from tiny_qwen import qwen_edit
from triptych.models.flux2.backbone import MistralText, QwenText, _empirical_mu
from triptych.models.qwen.backbone import QwenEditText


@pytest.mark.parametrize(("ours", "theirs"), [(QwenText, Flux2KleinPipeline), (MistralText, Flux2Pipeline)])
def test_text_layers_are_those_of_the_pipeline(ours: type, theirs: type) -> None:
    layers = signature(ours.__init__).parameters["layers"].default
    assert layers == signature(theirs.__call__).parameters["text_encoder_out_layers"].default


@pytest.mark.parametrize("tokens", [16, 1024, 4096, 4300, 4301, 8192, 20000])
@pytest.mark.parametrize("steps", [1, 4, 28, 50, 200])
def test_time_shift_is_that_of_the_pipeline_below_and_above_its_bend(tokens: int, steps: int) -> None:
    assert _empirical_mu(tokens, steps) == pytest.approx(compute_empirical_mu(tokens, steps), abs=1e-12)


@pytest.mark.parametrize("size", [(640, 320), (320, 640), (500, 333), (64, 64)])
def test_what_qwen_sees_has_the_pipelines_width_and_height(size: tuple[int, int]) -> None:
    text = qwen_edit().text
    assert isinstance(text, QwenEditText)
    text.seen_side_px = 384
    expected = calculate_dimensions(CONDITION_IMAGE_SIZE, size[0] / size[1])
    assert text._seen(Image.new("RGB", size)).size == expected
