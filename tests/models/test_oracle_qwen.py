"""Qwen-Image's families from folders, beside diffusers' pipelines: what test_oracle_folders.py asks of the others."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import QwenImage21Pipeline, QwenImageEditPipeline, QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from einops import rearrange
from PIL import Image
from torch import Tensor

from oracle_folders import (
    SIZE,
    Asked,
    Case,
    assert_bfloat16_is_as_near_as_its_pipeline,
    assert_equals_its_pipeline,
    ours,
)
from qwen_folders import read_21, read_edit, write_qwen
from tiny_models import picture
from tiny_qwen import qwen21, qwen_edit
from triptych.models.qwen.backbone import QwenEdit
from triptych.models.qwen21.backbone import Qwen21
from triptych.page import Page, condition, slot

AREA = SIZE[0] * SIZE[1]
"""Of every picture here, upright or lying: the pipelines bring conditions to one area."""
LONG = "a wide shot in snow at dusk, the red fox on the beach in snow"


def page(seed: int, words: str, *sizes: tuple[int, int]) -> Page:
    given = (condition(picture(seed + place, *size), "a fox") for place, size in enumerate(sizes))
    return Page(panels=(*given, slot(words, size_px=SIZE)))


ONE = (page(1, "on the beach", SIZE[::-1]), page(2, LONG, SIZE[::-1]))
TWO = (page(1, "on the beach", SIZE[::-1], SIZE), page(5, LONG, SIZE[::-1], SIZE))


def of_edit(asked: Asked) -> dict[str, Any]:
    images = [panel.image for panel in asked.page.conditions]
    one = isinstance(asked.pipeline, QwenImageEditPipeline)
    return {"image": images[0] if one else images, "negative_prompt": " ", "latents": asked.noise}


def of_21(asked: Asked) -> dict[str, Any]:
    return {
        "image": [panel.image for panel in asked.page.conditions] or None,
        "negative_prompt": " ",
        "latents": rearrange(asked.noise, "b (h w) (c p q) -> b (h p w q) c", h=asked.grid.rows, p=2, q=2),
        "output_resolution": AREA**0.5,
        "output_type": "pt",
    }


def on_white(made: Tensor) -> Image.Image:
    """Before it is rounded: the pipeline gives four colours, where panels have three."""
    colours, alpha = made[:3].float(), made[3:].float()
    opaque = (colours * alpha + 1 - alpha).clamp(0, 1) * 255
    return Image.fromarray(opaque.round().byte().permute(1, 2, 0).numpy())


def edit(made: Callable[[], QwenEdit], pipeline: type, pages: tuple[Page, ...]) -> Case:
    return Case(
        write=lambda folder: write_qwen(folder, made(), pipeline, "Qwen2VLProcessor"),
        pipeline=pipeline,
        ask=of_edit,
        guidance=4.0,
        guidance_name="true_cfg_scale",
        pages=pages,
        read=read_edit,
    )


PLUS = edit(qwen_edit, QwenImageEditPlusPipeline, TWO)
V21 = Case(
    write=lambda folder: write_qwen(folder, qwen21(), QwenImage21Pipeline, "Qwen3VLProcessor"),
    pipeline=QwenImage21Pipeline,
    ask=of_21,
    guidance=4.0,
    guidance_name="true_cfg_scale",
    pages=TWO,
    text_tokens=None,
    read=read_21,
    shown=on_white,
)
CASES = {
    "edit": edit(lambda: qwen_edit(seen_side_px=None), QwenImageEditPipeline, ONE),
    "edit-2509": PLUS,
    "edit-2511": edit(lambda: qwen_edit(zero_cond_t=True), QwenImageEditPlusPipeline, TWO),
    "2.1": V21,
    "2.1 without guidance": replace(V21, guidance=1.0, pages=ONE),
    "2.1 without conditions": replace(V21, pages=(page(1, "the red fox"), page(1, LONG))),
}


@pytest.fixture(autouse=True)
def small_areas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The codec's; what Qwen2.5-VL sees of 2509 and 2511 has its real size."""
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", AREA)
    whole = pipeline_qwenimage_edit.calculate_dimensions
    monkeypatch.setattr(pipeline_qwenimage_edit, "calculate_dimensions", lambda _, ratio: whole(AREA, ratio))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def written(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name.split()[0])
        CASES[name].write(folder)
        return folder

    return written


@pytest.mark.parametrize("name", CASES)
def test_folder_loaded_and_generated_equals_its_own_pipeline(name: str, folders: Callable[[str], Path]) -> None:
    assert_equals_its_pipeline(folders(name), CASES[name])


@pytest.mark.parametrize("name", [name for name in CASES if "without" not in name])
def test_folder_in_bfloat16_is_as_near_to_float32_as_its_own_pipeline(
    name: str, folders: Callable[[str], Path]
) -> None:
    assert_bfloat16_is_as_near_as_its_pipeline(folders(name), CASES[name])


@pytest.mark.parametrize(("name", "kind"), [("edit", QwenEdit), ("edit-2509", QwenEdit), ("2.1", Qwen21)])
def test_folder_becomes_its_family_and_its_pictures_hear_every_panel(
    name: str, kind: type, folders: Callable[[str], Path]
) -> None:
    """What is compared above depends on page, seed and each condition."""
    case = CASES[name]
    backbone, made = ours(folders(name), case, torch.float32)
    assert type(backbone) is kind
    assert abs(made[0] - made[1]).mean() > 4
    for place in range(len(case.pages[0].conditions)):
        panels = list(case.pages[0].panels)
        panels[place] = condition(picture(40, *panels[place].image.size), "a fox")
        changed = ours(folders(name), replace(case, pages=(Page(panels=tuple(panels)), case.pages[1])), torch.float32)[
            1
        ]
        # The comparison lets a hundredth of the numbers pass.
        assert (made[0] != changed[0]).mean() > 0.1
        assert abs(made[1] - changed[1]).max() <= 1
