"""As a user meets it: a checkpoint's folder, `load` and `generate`, beside diffusers' pipeline of the same folder.

Pages of unlike sizes, two in a batch with seeds of their own, more steps than the first few, guidance other than one;
then the same in bfloat16, where ours may differ from float32 by no more than the pipeline does.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
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
from transformers import PreTrainedTokenizerFast

from oracle_folders import (
    BEACH,
    SIZE,
    Asked,
    Case,
    assert_bfloat16_is_as_near_as_its_pipeline,
    assert_equals_its_pipeline,
    ours,
    theirs,
    write_flux1,
    write_sd3,
)
from tiny_files import write_klein
from tiny_models import dev, dynamic_scheduler, flux1, flux2_vae, mistral, picture, sd3, tokenizer
from triptych.canvas import composite
from triptych.models.backbone import Conditioning
from triptych.models.codecs import unpack
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux1.fill import Flux1Fill
from triptych.models.flux1.kontext import Kontext
from triptych.page import Page, condition, slot
from triptych.sampling.ways.canvas import page_canvas

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


def write_one(folder: Path, made: Flux1, kind: type) -> None:
    write_flux1(folder, made, kind, words=long_tokenizer(), long_words=long_tokenizer())


def write_dev(folder: Path) -> None:
    Flux2Pipeline(
        scheduler=dynamic_scheduler(),
        vae=flux2_vae(),
        transformer=dev().transformer,
        # The layers that dev's text is taken from (10, 20, 30) must exist.
        text_encoder=mistral(layers=31),
        tokenizer=long_tokenizer(),
    ).save_pretrained(folder)


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
        write=lambda folder: write_one(folder, flux1(Flux1), FluxPipeline),
        pipeline=FluxInpaintPipeline,
        ask=of_canvas,
        way=Conditioning.REPAINT,
    ),
    "flux1-fill": Case(
        write=lambda folder: write_one(folder, flux1(Flux1Fill, Conditioning.FILL), FluxFillPipeline),
        pipeline=FluxFillPipeline,
        ask=of_canvas,
        way=Conditioning.FILL,
    ),
    "kontext": Case(
        write=lambda folder: write_one(folder, flux1(Kontext, Conditioning.REFERENCE), FluxKontextPipeline),
        pipeline=FluxKontextPipeline,
        ask=of_kontext,
    ),
    "sd3": Case(
        write=lambda folder: write_sd3(folder, sd3(), words=long_tokenizer(), long_words=long_tokenizer()),
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


@pytest.mark.parametrize("name", CASES)
def test_folder_loaded_and_generated_equals_its_own_pipeline(name: str, folders: Callable[[str], Path]) -> None:
    assert_equals_its_pipeline(folders(name), CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_folder_in_bfloat16_is_as_near_to_float32_as_its_own_pipeline(
    name: str, folders: Callable[[str], Path]
) -> None:
    assert_bfloat16_is_as_near_as_its_pipeline(folders(name), CASES[name])


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
