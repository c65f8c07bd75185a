"""As a user meets it: a checkpoint's folder, `load` and `generate`, beside diffusers' pipeline of the same folder.

Pages of unlike sizes, two in a batch with seeds of their own, more steps than the first few, guidance other than one;
then the same in bfloat16, where ours may differ from float32 by no more than the pipeline does.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    Flux2KleinPipeline,
    Flux2Pipeline,
    FluxFillPipeline,
    FluxInpaintPipeline,
    FluxKontextPipeline,
    FluxPipeline,
    StableDiffusion3Pipeline,
)
from einops import rearrange
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tiny_files import write_klein
from tiny_models import dev, dynamic_scheduler, flux1, flux2_vae, mistral, picture, sd3, tokenizer
from triptych.canvas import composite
from triptych.models.backbone import Conditioning, Grid
from triptych.models.codecs import unpack
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux1.fill import Flux1Fill
from triptych.models.flux1.kontext import Kontext
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
WORDS = (
    Page(panels=(slot("the red fox on the beach", size_px=SIZE),)),
    Page(panels=(slot("a wide shot at dusk", size_px=SIZE),)),
)


@cache
def long_tokenizer() -> PreTrainedTokenizerFast:
    """CLIP's reads 77 tokens."""
    made = deepcopy(tokenizer())
    made.model_max_length = 77
    return made


def write_flux1(folder: Path, backbone: Flux1, kind: type) -> None:
    text = backbone.text
    kind(
        scheduler=backbone._scheduler,
        vae=backbone.codec.vae,
        transformer=backbone.transformer,
        text_encoder=text.clip,
        tokenizer=long_tokenizer(),
        text_encoder_2=text.t5,
        tokenizer_2=long_tokenizer(),
    ).save_pretrained(folder)


def write_sd3(folder: Path) -> None:
    made = sd3()
    StableDiffusion3Pipeline(
        scheduler=made._scheduler,
        vae=made.codec.vae,
        transformer=made.transformer,
        text_encoder=made.text.clips[0],
        tokenizer=long_tokenizer(),
        text_encoder_2=made.text.clips[1],
        tokenizer_2=long_tokenizer(),
        text_encoder_3=made.text.t5,
        tokenizer_3=long_tokenizer(),
    ).save_pretrained(folder)


def write_dev(folder: Path) -> None:
    Flux2Pipeline(
        scheduler=dynamic_scheduler(),
        vae=flux2_vae(),
        transformer=dev().transformer,
        # The layers that dev's text is taken from (10, 20, 30) must exist.
        text_encoder=mistral(layers=31),
        tokenizer=long_tokenizer(),
    ).save_pretrained(folder)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A page for a pipeline, and the tokens that ours starts from."""

    pipeline: Any
    page: Page
    noise: Tensor
    grid: Grid


def of_flux2(asked: Asked) -> dict[str, Any]:
    return {
        "image": [panel.image for panel in asked.page.conditions],
        "latents": rearrange(asked.noise, "b (h w) c -> b c h w", h=asked.grid.rows),
    }


def of_canvas(asked: Asked) -> dict[str, Any]:
    image, mask = composite(asked.page, page_canvas(asked.page, 4))
    if isinstance(asked.pipeline, FluxInpaintPipeline):
        noise = rearrange(asked.noise, "b (h w) (c p q) -> b c (h p) (w q)", h=asked.grid.rows, p=2, q=2)
        return {"image": image, "mask_image": mask, "strength": 1.0, "latents": noise}
    return {"image": image, "mask_image": mask, "latents": asked.noise}


def of_kontext(asked: Asked) -> dict[str, Any]:
    image, area = asked.page.conditions[0].image, SIZE[0] * SIZE[1]
    return {"image": image, "latents": asked.noise, "_auto_resize": False, "max_area": area}


def of_sd3(asked: Asked) -> dict[str, Any]:
    return {"latents": unpack(asked.noise, asked.grid)}


@dataclass(frozen=True, kw_only=True)
class Case:
    write: Callable[[Path], object]
    pipeline: type
    ask: Callable[[Asked], dict[str, Any]]
    way: Conditioning = Conditioning.REFERENCE
    guidance: float | None = 3.5
    pages: Sequence[Page] = (BEACH, SNOW)
    text_tokens: int = 512


CASES = {
    "klein": Case(
        write=lambda folder: write_klein(folder, is_distilled=True),
        pipeline=Flux2KleinPipeline,
        ask=of_flux2,
        guidance=None,
    ),
    "klein-base": Case(
        write=lambda folder: write_klein(folder, is_distilled=False),
        pipeline=Flux2KleinPipeline,
        ask=of_flux2,
        guidance=4.0,
    ),
    "flux2-dev": Case(write=write_dev, pipeline=Flux2Pipeline, ask=of_flux2),
    "flux1": Case(
        write=lambda folder: write_flux1(folder, flux1(Flux1), FluxPipeline),
        pipeline=FluxInpaintPipeline,
        ask=of_canvas,
        way=Conditioning.REPAINT,
    ),
    "flux1-fill": Case(
        write=lambda folder: write_flux1(folder, flux1(Flux1Fill, Conditioning.FILL), FluxFillPipeline),
        pipeline=FluxFillPipeline,
        ask=of_canvas,
        way=Conditioning.FILL,
    ),
    "kontext": Case(
        write=lambda folder: write_flux1(folder, flux1(Kontext, Conditioning.REFERENCE), FluxKontextPipeline),
        pipeline=FluxKontextPipeline,
        ask=of_kontext,
    ),
    "sd3": Case(
        write=write_sd3,
        pipeline=StableDiffusion3Pipeline,
        ask=of_sd3,
        way=Conditioning.REPAINT,
        guidance=4.5,
        pages=WORDS,
        text_tokens=256,
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def written(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        CASES[name].write(folder)
        return folder

    return written


def ours(folder: Path, case: Case, dtype: torch.dtype) -> tuple[LatentBackbone, np.ndarray]:
    backbone = load(folder, LoadOptions(device="cpu", dtype=dtype))
    assert isinstance(backbone, LatentBackbone)
    made = generate(backbone, case.pages, seed=SEEDS, steps=STEPS, guidance=case.guidance, conditioning=case.way)
    return backbone, np.stack([np.asarray(result.images[0], dtype=np.float32) for result in made])


def theirs(folder: Path, case: Case, dtype: torch.dtype, backbone: LatentBackbone) -> np.ndarray:
    pipeline = case.pipeline.from_pretrained(folder, torch_dtype=dtype)
    pipeline.set_progress_bar_config(disable=True)
    pictures = []
    for page, seed in zip(case.pages, SEEDS, strict=True):
        canvas = page_canvas(page, backbone.card.factor) if case.ask is of_canvas else None
        width, height = canvas.size_px if canvas else SIZE
        grid = Grid(frame=0, rows=height // backbone.card.factor, columns=width // backbone.card.factor)
        noise = slot_noise(seed, 0, grid, backbone.card.channels)[None].to(dtype)
        made = pipeline(
            prompt=write_prompt(page).text,
            width=width,
            height=height,
            num_inference_steps=STEPS,
            max_sequence_length=case.text_tokens,
            **{} if case.guidance is None else {"guidance_scale": case.guidance},
            **case.ask(Asked(pipeline=pipeline, page=page, noise=noise, grid=grid)),
        ).images[0]
        pictures.append(restore(made.crop(canvas.boxes[-1].corners), page, backbone.card, SIZE) if canvas else made)
    return np.stack([np.asarray(each, dtype=np.float32) for each in pictures])


@pytest.mark.parametrize("name", CASES)
def test_folder_loaded_and_generated_equals_its_own_pipeline(name: str, folders: Callable[[str], Path]) -> None:
    case, folder = CASES[name], folders(name)
    backbone, made = ours(folder, case, torch.float32)
    expected = theirs(folder, case, torch.float32, backbone)
    assert made.shape == expected.shape and made.std() > 8
    # Rounding to 8 bits may fall to either side, and what is cut out of a canvas is resampled after it.
    assert np.abs(made - expected).max() <= (1 if case.way is Conditioning.REFERENCE else 2)
    assert (made != expected).mean() < 0.01


@pytest.mark.parametrize("name", CASES)
def test_folder_in_bfloat16_is_as_near_to_float32_as_its_own_pipeline(
    name: str, folders: Callable[[str], Path]
) -> None:
    case, folder = CASES[name], folders(name)
    (backbone, exact), (_, half) = (ours(folder, case, dtype) for dtype in (torch.float32, torch.bfloat16))
    stock, stock_half = (theirs(folder, case, dtype, backbone) for dtype in (torch.float32, torch.bfloat16))
    apart, stock_apart = np.abs(half - exact).mean(), np.abs(stock_half - stock).mean()
    assert 0 < apart <= 1.25 * stock_apart + 0.25, (apart, stock_apart)


def test_condition_of_an_odd_size_is_the_pipelines_once_it_is_cropped_as_there(folders: Callable[[str], Path]) -> None:
    case, odd = CASES["klein"], picture(5, 90, 70)
    (whole, cropped), slots = (condition(odd, "a fox"), condition(odd.crop((1, 1, 89, 69)), "a fox")), BEACH.panels[1:]
    pages = [Page(panels=(given, *slots)) for given in (whole, cropped)]
    backbone, made = ours(folders("klein"), replace(case, pages=pages), torch.float32)
    expected = theirs(folders("klein"), replace(case, pages=(pages[0], pages[0])), torch.float32, backbone)
    # The seeds are those of the second page.
    assert np.abs(made[1] - expected[1]).max() <= 1
    alone = ours(folders("klein"), replace(case, pages=pages[::-1]), torch.float32)[1]
    assert np.abs(alone[1] - expected[1]).max() > 1


def test_pictures_of_the_two_pages_differ(folders: Callable[[str], Path]) -> None:
    """What is compared above depends on page and seed."""
    _, made = ours(folders("klein"), CASES["klein"], torch.float32)
    assert np.abs(made[0] - made[1]).mean() > 4
