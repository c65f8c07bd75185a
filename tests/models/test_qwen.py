"""Qwen-Image-Edit-Plus against diffusers' own pipeline, on the same small random weights."""

from dataclasses import replace

import pytest
import torch
from diffusers import QwenImageEditPipeline, QwenImageEditPlusPipeline, QwenImagePipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus

from tiny_models import assert_same, filled, picture, start
from tiny_pipelines import stock, with_token_types
from tiny_qwen import qwen_edit
from triptych.errors import BackboneError, PromptError
from triptych.models.backbone import Conditioning, ReadsConditions
from triptych.models.vision_text import MARKS
from triptych.page import Page, condition, slot
from triptych.prompts import Prompt, PromptPart, write_prompt

# Widths and heights whose area the pipeline keeps, once its areas are as small as the model.
SIDE, SEEN = 64, 64
PAGES = {
    "one condition": Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 48)))),
    "two conditions": Page(
        panels=(condition(picture(1), "a fox"), condition(picture(2), "snow"), slot("at dusk", size_px=(64, 64)))
    ),
}


@pytest.fixture(autouse=True)
def small_areas(monkeypatch):
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", SIDE**2)
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "CONDITION_IMAGE_SIZE", SEEN**2)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_qwen_edit_equals_stock_pipeline(page, guidance):
    backbone = qwen_edit(guidance=guidance, negative=" " if guidance > 1 else None)
    with_token_types(backbone.text.encoder)
    width, height = page.slots[0].size_px
    expected = stock(backbone, QwenImageEditPlusPipeline)(
        image=[panel.image for panel in page.conditions],
        prompt=write_prompt(page).text,
        negative_prompt=" " if guidance > 1 else None,
        true_cfg_scale=guidance,
        width=width,
        height=height,
        num_inference_steps=3,
        latents=start(backbone, width, height)[0],
        output_type="pt",
    ).images
    assert_same(filled(backbone, page, Conditioning.REFERENCE, guidance=guidance)[0], expected)


@pytest.mark.parametrize("size", [(64, 64), (96, 32)])
def test_plain_qwen_edit_equals_stock_pipeline(size, monkeypatch):
    width, height = size
    monkeypatch.setattr(pipeline_qwenimage_edit, "calculate_dimensions", lambda *_: (width, height, None))
    page = Page(panels=(condition(picture(1, width, height), "a fox"), slot("on the beach", size_px=(64, 48))))
    backbone = qwen_edit(guidance=4.0, negative=" ", seen_side_px=None)
    with_token_types(backbone.text.encoder)
    expected = stock(backbone, QwenImageEditPipeline)(
        image=page.conditions[0].image,
        prompt=write_prompt(page).text,
        negative_prompt=" ",
        true_cfg_scale=4.0,
        width=64,
        height=48,
        num_inference_steps=3,
        latents=start(backbone, 64, 48)[0],
        output_type="pt",
    ).images
    assert_same(filled(backbone, page, Conditioning.REFERENCE, guidance=4.0)[0], expected)


def test_qwen_edit_text_equals_encode_prompt_once_it_is_told_the_token_types():
    backbone = qwen_edit()
    prompt, image = Prompt(text="the red fox", parts=()), picture(1)
    text = backbone.encode_prompts_with_images([prompt], [0], [[image]])
    untold, _ = stock(backbone, QwenImageEditPlusPipeline).encode_prompt(prompt.text, image=[image])
    with_token_types(backbone.text.encoder)
    told, mask = stock(backbone, QwenImageEditPlusPipeline).encode_prompt(prompt.text, image=[image])
    torch.testing.assert_close(text.embeds, told)
    assert mask is None
    assert text.mask is None
    assert not torch.allclose(text.embeds, untold, atol=1e-3)


def test_qwen_edit_without_conditions_equals_the_pipeline_that_takes_no_picture():
    """The editing pipeline needs at least one picture; the network without any is that of text to picture."""
    page = Page(panels=(slot("the red fox", size_px=(64, 48)),))
    backbone = qwen_edit(guidance=4.0, negative=" ")
    text, negative = (
        backbone.encode_prompts([Prompt(text=words, parts=())], [0]).embeds for words in (write_prompt(page).text, " ")
    )
    expected = stock(backbone, QwenImagePipeline)(
        prompt_embeds=text,
        prompt_embeds_mask=torch.ones(text.shape[:2], dtype=torch.long),
        negative_prompt_embeds=negative,
        negative_prompt_embeds_mask=torch.ones(negative.shape[:2], dtype=torch.long),
        true_cfg_scale=4.0,
        width=64,
        height=48,
        num_inference_steps=3,
        latents=start(backbone, 64, 48)[0],
        output_type="pt",
    ).images
    assert_same(filled(backbone, page, Conditioning.REFERENCE, guidance=4.0)[0], expected)


def test_qwen_edit_slots_together_differ_from_slots_alone():
    """The stock pipeline makes one picture; ours sees its sibling, and sits at a picture index of its own."""
    slots = [slot("at dusk", size_px=(64, 64)), slot("at dusk", size_px=(64, 32))]
    together = filled(qwen_edit(), Page(panels=(condition(picture(1)), *slots)), Conditioning.REFERENCE)
    alone = filled(qwen_edit(), Page(panels=(condition(picture(1)), slots[0])), Conditioning.REFERENCE)
    assert [made.shape[-2:] for made in together] == [(64, 64), (32, 64)]
    assert (together[0] - alone[0]).abs().max() > 1e-3


def test_qwen_edit_2511_equals_stock_pipeline_and_makes_slots_side_by_side():
    """Its weights hold everything but the first picture to be clean, so that several slots share the first."""
    backbone, page = qwen_edit(zero_cond_t=True), PAGES["two conditions"]
    with_token_types(backbone.text.encoder)
    expected = stock(backbone, QwenImageEditPlusPipeline)(
        image=[panel.image for panel in page.conditions],
        prompt=write_prompt(page).text,
        true_cfg_scale=1.0,
        width=64,
        height=64,
        num_inference_steps=3,
        latents=start(backbone, 64, 64)[0],
        output_type="pt",
    ).images
    assert_same(filled(backbone, page, Conditioning.REFERENCE)[0], expected)
    both = replace(page, panels=(*page.panels, slot("at dusk", size_px=(32, 64))))
    halves = filled(backbone, both, Conditioning.REFERENCE)
    assert [half.shape[-2:] for half in halves] == [(64, 64), (64, 32)]
    low = replace(page, panels=(*page.panels, slot("at dusk", size_px=(32, 32))))
    with pytest.raises(BackboneError, match=r"they are \[32, 64\] px high"):
        filled(backbone, low, Conditioning.REFERENCE)


def test_qwen_edit_prompts_of_different_lengths_in_a_batch_equal_each_alone():
    backbone = qwen_edit()
    prompts = [Prompt(text=text, parts=()) for text in ("the red fox", "a fox on the beach at dusk in snow")]
    both = backbone.encode_prompts(prompts, [0])
    assert isinstance(backbone, ReadsConditions)
    assert both.mask is not None
    for row, mask, prompt in zip(both.embeds, both.mask, prompts, strict=True):
        torch.testing.assert_close(row[mask.bool()], backbone.encode_prompts([prompt], [0]).embeds[0])


def test_qwen_edit_text_too_long_names_the_instruction_that_fell_off():
    part = PromptPart(panel=0, text="the fox " * 60)
    with pytest.raises(PromptError, match=r"Qwen2\.5-VL reads 110: the instruction of panel 1"):
        qwen_edit().encode_prompts([Prompt(text=part.text, parts=(part,))], [0])


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("seen", [[], [picture(1)]])
def test_qwen_edit_mark_of_a_picture_in_an_instruction_is_refused_where_it_stands(mark, seen):
    parts = (PromptPart(panel=0, text="a fox"), PromptPart(panel=1, text=f"the {mark} of a fox"))
    prompt = Prompt(text=" ".join(part.text for part in parts), parts=parts)
    with pytest.raises(
        PromptError, match=r"^the prompt says '<\|\w+_pad\|>' in the instruction of panel 2 .* Qwen2\.5-VL "
    ):
        qwen_edit().encode_prompts_with_images([prompt], [0], [seen])
