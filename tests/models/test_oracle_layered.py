"""Qwen-Image-Layered from a folder beside diffusers' pipeline: what test_oracle_folders.py asks of the others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import QwenImageLayeredPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_layered

from oracle_folders import SEEDS, STEPS
from qwen_folders import read_edit, write_layered
from tiny_models import picture, start
from tiny_qwen import qwen_layered
from triptych.models.loading import load
from triptych.models.options import LoadOptions
from triptych.models.qwen_layered.backbone import QwenLayered
from triptych.page import Page, condition, slot
from triptych.prompts import write_prompt
from triptych.sampling import generate
from triptych.sampling.ways.base import slot_noise

SIZE, LAYERS, GUIDANCE = (64, 48), 2, 4.0
UNTOLD = qwen_layered().text.untold
"""How many tokens of the template the small vocabulary makes; the released one makes as many as the pipeline has."""


def page(seed: int, words: str) -> Page:
    return Page(panels=(condition(picture(seed, *SIZE)), *[slot(size_px=SIZE)] * LAYERS), overview=words)


PAGES = (page(1, "a fox on the beach"), page(2, "the red fox, a wide shot in snow at dusk"))


def ours(folder: Path, dtype: torch.dtype, pages: tuple[Page, ...] = PAGES) -> np.ndarray:
    backbone = load(folder, LoadOptions(device="cpu", dtype=dtype))
    assert isinstance(backbone, QwenLayered)
    backbone.text.untold = UNTOLD
    made = generate(backbone, pages, seed=SEEDS, steps=STEPS, guidance=GUIDANCE, size_px=55)
    return np.stack([np.stack([np.asarray(layer, dtype=np.float32) for layer in result.images]) for result in made])


def theirs(folder: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """It knows areas of 640 and 1024 squared alone."""
    monkeypatch.setattr(pipeline_qwenimage_layered, "calculate_dimensions", lambda *_: SIZE)
    pipeline: Any = read_edit(QwenImageLayeredPipeline, folder, dtype)
    pipeline.prompt_template_encode_start_idx = UNTOLD
    pipeline.set_progress_bar_config(disable=True)
    _, grid = start(qwen_layered(), *SIZE)
    made = []
    for each, seed in zip(PAGES, SEEDS, strict=True):
        # The whole, which stands first there, takes the noise behind that of the layers.
        noise = torch.cat([slot_noise(seed, place, grid, 8) for place in (LAYERS, *range(LAYERS))])[None]
        (layers,) = pipeline(
            image=each.conditions[0].image.convert("RGBA"),
            prompt=write_prompt(each).text,
            negative_prompt=" ",
            layers=LAYERS,
            true_cfg_scale=GUIDANCE,
            cfg_normalize=True,
            use_en_prompt=True,
            num_inference_steps=STEPS,
            latents=noise.to(dtype),
            output_type="pt",
        ).images
        made.append((layers.float() * 255).round().permute(0, 2, 3, 1).numpy())
    return np.stack(made)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("layered")
    write_layered(written, qwen_layered(guidance=GUIDANCE, negative=" "))
    return written


def test_folder_loaded_and_generated_equals_its_own_pipeline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, expected = ours(folder, torch.float32), theirs(folder, torch.float32, monkeypatch)
    assert made.shape == expected.shape == (2, LAYERS, *SIZE[::-1], 4) and made.std() > 8
    # Rounding to 8 bits may fall to either side.
    assert np.abs(made - expected).max() <= 1
    assert (made != expected).mean() < 0.01


def test_folder_in_bfloat16_is_as_near_to_float32_as_its_own_pipeline(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact, half = (ours(folder, dtype) for dtype in (torch.float32, torch.bfloat16))
    stock, stock_half = (theirs(folder, dtype, monkeypatch) for dtype in (torch.float32, torch.bfloat16))
    apart, stock_apart = np.abs(half - exact).mean(), np.abs(stock_half - stock).mean()
    assert 0 < apart <= 1.25 * stock_apart + 0.25, (apart, stock_apart)


@pytest.mark.parametrize(
    "change",
    [lambda: page(40, PAGES[0].overview), lambda: page(1, "the red fox")],
    ids=["another picture", "other words"],
)
def test_every_layer_depends_on_picture_and_words_and_on_no_other_page(
    change: Callable[[], Page], folder: Path
) -> None:
    """What is compared above could else be the same for every page."""
    made, changed = ours(folder, torch.float32), ours(folder, torch.float32, (change(), PAGES[1]))
    # The comparison lets a hundredth of the numbers pass.
    assert all((before != after).mean() > 0.05 for before, after in zip(made[0], changed[0], strict=True))
    assert np.abs(made[1] - changed[1]).max() <= 1
