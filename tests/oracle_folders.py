"""A checkpoint's folder through `load` and `generate`, beside diffusers' pipeline of the same folder.

Pages of unlike sizes, two in a batch with seeds of their own, more steps than the first few, guidance other than one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline
from PIL import Image
from torch import Tensor

from tiny_models import picture
from triptych.models.backbone import Conditioning, Grid
from triptych.models.latent import LatentBackbone
from triptych.models.loading import load
from triptych.models.options import LoadOptions
from triptych.page import Page, condition, slot
from triptych.prompts import write_prompt
from triptych.sampling import generate
from triptych.sampling.ways.base import slot_noise
from triptych.sampling.ways.canvas import page_canvas
from triptych.sampling.working import restore

STEPS = 5
SIZE = (96, 64)
SEEDS = (3, 8)
BEACH = Page(panels=(condition(picture(1, 80, 64), "a fox"), slot("on the beach", size_px=SIZE)))
SNOW = Page(panels=(condition(picture(2, 80, 64), "the red fox"), slot("a wide shot in snow", size_px=SIZE)))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A page for a pipeline, and the tokens that ours starts from."""

    pipeline: Any
    page: Page
    noise: Tensor
    grid: Grid


def from_folder(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    return kind.from_pretrained(folder, torch_dtype=dtype)


def write_flux1(folder: Path, made: Any, kind: Any, *, words: Any, long_words: Any) -> None:
    """As diffusers' pipeline `kind` writes it, with CLIP's tokenizer and T5's."""
    kind(
        scheduler=made._scheduler,
        vae=made.codec.vae,
        transformer=made.transformer,
        text_encoder=made.text.clip,
        tokenizer=words,
        text_encoder_2=made.text.t5,
        tokenizer_2=long_words,
    ).save_pretrained(folder)


def write_sd3(folder: Path, made: Any, *, words: Any, long_words: Any) -> None:
    """As diffusers' pipeline writes it, with both CLIPs' tokenizer and T5's."""
    StableDiffusion3Pipeline(
        scheduler=made._scheduler,
        vae=made.codec.vae,
        transformer=made.transformer,
        text_encoder=made.text.clips[0],
        tokenizer=words,
        text_encoder_2=made.text.clips[1],
        tokenizer_2=words,
        text_encoder_3=made.text.t5,
        tokenizer_3=long_words,
    ).save_pretrained(folder)


def unchanged(made: Image.Image) -> Image.Image:
    return made


@dataclass(frozen=True, kw_only=True)
class Case:
    write: Callable[[Path], object]
    pipeline: type
    ask: Callable[[Asked], dict[str, Any]]
    way: Conditioning = Conditioning.REFERENCE
    guidance: float | None = 3.5
    guidance_name: str = "guidance_scale"
    pages: Sequence[Page] = (BEACH, SNOW)
    text_tokens: int | None = 512
    read: Callable[[Any, Path, torch.dtype], Any] = from_folder
    shown: Callable[[Any], Image.Image] = unchanged
    """The pipeline's picture as panels are."""


def ours(folder: Path, case: Case, dtype: torch.dtype) -> tuple[LatentBackbone, np.ndarray]:
    backbone = load(folder, LoadOptions(device="cpu", dtype=dtype))
    assert isinstance(backbone, LatentBackbone)
    made = generate(backbone, case.pages, seed=SEEDS, steps=STEPS, guidance=case.guidance, conditioning=case.way)
    return backbone, np.stack([np.asarray(result.images[0], dtype=np.float32) for result in made])


def theirs(folder: Path, case: Case, dtype: torch.dtype, backbone: LatentBackbone) -> np.ndarray:
    pipeline = case.read(case.pipeline, folder, dtype)
    pipeline.set_progress_bar_config(disable=True)
    pictures = []
    for page, seed in zip(case.pages, SEEDS, strict=True):
        # Pages of words alone are one picture, which needs no canvas.
        stitched = case.way is not Conditioning.REFERENCE and page.conditions
        canvas = page_canvas(page, backbone.card.factor) if stitched else None
        width, height = canvas.size_px if canvas else SIZE
        grid = Grid(frame=0, rows=height // backbone.card.factor, columns=width // backbone.card.factor)
        noise = slot_noise(seed, 0, grid, backbone.card.channels)[None].to(dtype)
        made = pipeline(
            prompt=write_prompt(page).text,
            width=width,
            height=height,
            num_inference_steps=STEPS,
            **{} if case.text_tokens is None else {"max_sequence_length": case.text_tokens},
            **{} if case.guidance is None else {case.guidance_name: case.guidance},
            **case.ask(Asked(pipeline=pipeline, page=page, noise=noise, grid=grid)),
        ).images[0]
        made = case.shown(made)
        pictures.append(restore(made.crop(canvas.boxes[-1].corners), page, backbone.card, SIZE) if canvas else made)
    return np.stack([np.asarray(each, dtype=np.float32) for each in pictures])


def assert_equals_its_pipeline(folder: Path, case: Case) -> None:
    backbone, made = ours(folder, case, torch.float32)
    expected = theirs(folder, case, torch.float32, backbone)
    assert made.shape == expected.shape and made.std() > 8
    # Rounding to 8 bits may fall to either side, and what is cut out of a canvas is resampled after it.
    assert np.abs(made - expected).max() <= (1 if case.way is Conditioning.REFERENCE else 2)
    assert (made != expected).mean() < 0.01


def assert_bfloat16_is_as_near_as_its_pipeline(folder: Path, case: Case) -> None:
    """To float32, with room for the luck of a few roundings."""
    (backbone, exact), (_, half) = (ours(folder, case, dtype) for dtype in (torch.float32, torch.bfloat16))
    stock, stock_half = (theirs(folder, case, dtype, backbone) for dtype in (torch.float32, torch.bfloat16))
    apart, stock_apart = np.abs(half - exact).mean(), np.abs(stock_half - stock).mean()
    assert 0 < apart <= 1.25 * stock_apart + 0.25, (apart, stock_apart)
