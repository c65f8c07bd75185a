"""Qwen-Image 2.1 against diffusers' own pipeline, on the same small random weights."""

from dataclasses import replace

import pytest
import torch
from diffusers import QwenImage21Pipeline
from einops import rearrange
from torch import Tensor

from tiny_models import assert_same, filled, picture, start
from tiny_pipelines import stock
from tiny_qwen import qwen21
from triptych.errors import BackboneError, PromptError
from triptych.models.backbone import Conditioning
from triptych.models.qwen21.backbone import Qwen21
from triptych.models.vision_text import MARKS
from triptych.page import Page, condition, slot
from triptych.prompts import Prompt, PromptPart, write_prompt
from triptych.sampling import generate

SIDE = 64
PAGES = {
    "no condition": Page(panels=(slot("the red fox", size_px=(96, 64)),)),
    "one condition": Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 96)))),
    "two conditions": Page(
        panels=(condition(picture(1), "a fox"), condition(picture(2), "snow"), slot("at dusk", size_px=(64, 64)))
    ),
}


def theirs(backbone: Qwen21, page: Page, pipeline: QwenImage21Pipeline, **more: object) -> Tensor:
    """The pipeline's picture on white: it gives four colours, where panels have three."""
    width, height = page.slots[0].size_px
    noise, grid = start(backbone, width, height)
    made = pipeline(
        image=[panel.image for panel in page.conditions] or None,
        prompt=write_prompt(page).text,
        width=width,
        height=height,
        latents=rearrange(noise, "b (h w) (c p q) -> b (h p w q) c", h=grid.rows, p=2, q=2),
        output_type="pt",
        output_resolution=SIDE,
        **{"num_inference_steps": 3, **more},
    ).images
    assert made.shape[1] == 4
    return made[:, :3] * made[:, 3:] + 1 - made[:, 3:]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_qwen21_equals_stock_pipeline(page, guidance):
    backbone = qwen21(guidance=guidance, negative=" " if guidance > 1 else None)
    asked = {"true_cfg_scale": guidance, "negative_prompt": " "} if guidance > 1 else {}
    expected = theirs(backbone, page, stock(backbone, QwenImage21Pipeline), **asked)
    assert_same(filled(backbone, page, Conditioning.REFERENCE, guidance=guidance)[0], expected)


def test_qwen21_at_the_noise_levels_of_a_distilled_checkpoint_equals_stock_pipeline():
    levels = [1.0, 0.8, 0.3]
    backbone, page = qwen21(sample_sigmas=levels), PAGES["one condition"]
    expected = theirs(backbone, page, stock(backbone, QwenImage21Pipeline, sample_sigmas=levels))
    assert_same(filled(backbone, page, Conditioning.REFERENCE)[0], expected)


def test_qwen21_whose_conditions_see_the_noise_equals_stock_pipeline():
    backbone, page = qwen21(causal=False), PAGES["two conditions"]
    assert_same(
        filled(backbone, page, Conditioning.REFERENCE)[0], theirs(backbone, page, stock(backbone, QwenImage21Pipeline))
    )


def test_qwen21_memory_of_another_request_equals_reading_it_again():
    backbone, page = qwen21(), PAGES["two conditions"]
    page = replace(page, panels=tuple(replace(p, size_px=(64, 64)) if p.is_slot else p for p in page.panels))
    first, second, alone = (generate(engine, page, seed=seed) for engine, seed in (
        (backbone, 1), (backbone, 2), (qwen21(), 2)))  # fmt: skip
    assert (first.cached_tokens, second.cached_tokens) == (0, first.read_tokens)
    assert second.images[0].tobytes() == alone.images[0].tobytes() != first.images[0].tobytes()


def test_qwen21_slots_side_by_side_are_the_two_halves_of_one_wide_slot():
    """The pipeline makes one picture. Ours makes several as one wide picture, cut apart; each has its own noise."""
    backbone = qwen21()
    both = Page(panels=(condition(picture(1), "a fox"), *(slot("at dusk", size_px=(64, 64)) for _ in range(2))))
    halves = filled(backbone, both, Conditioning.REFERENCE)
    alone = filled(backbone, PAGES["two conditions"], Conditioning.REFERENCE)
    assert [half.shape for half in halves] == [(1, 3, 64, 64)] * 2
    assert (halves[0] - halves[1]).abs().max() > 1e-3
    assert (halves[0] - alone[0]).abs().max() > 1e-3


def test_qwen21_slots_of_different_heights_are_refused_with_the_heights():
    page = Page(panels=(slot("a fox", size_px=(64, 64)), slot("snow", size_px=(64, 96))))
    with pytest.raises(BackboneError, match=r"they are \[64, 96\] px high"):
        filled(qwen21(), page, Conditioning.REFERENCE)


def test_qwen21_prompts_of_different_lengths_in_a_batch_equal_each_alone():
    backbone = qwen21()
    prompts = [Prompt(text=text, parts=()) for text in ("the red fox", "a fox on the beach at dusk in snow")]
    seen = [[picture(1)], [picture(2)]]
    both = backbone.encode_prompts_with_images(prompts, [0], seen)
    assert both.mask is not None
    for row, mask, prompt, images in zip(both.embeds, both.mask, prompts, seen, strict=True):
        alone = backbone.encode_prompts_with_images([prompt], [0], [images])
        torch.testing.assert_close(row[mask.bool()], alone.embeds[0])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("count", [0, 2])
def test_qwen21_pages_of_different_lengths_in_a_batch_are_the_pictures_of_each_alone(count, causal):
    """The transformer counts places from the front: padding would put the picture further behind the shorter prompt."""
    backbone = qwen21(causal=causal, guidance=4.0, negative=" ")
    pages = [
        Page(panels=(*(condition(picture(place)) for place in range(count)), slot(words, size_px=(64, 64))))
        for words in ("the red fox", "a fox on the beach at dusk in snow")
    ]
    both = generate(backbone, pages, seed=(1, 2), steps=3, guidance=4.0)
    for made, page, seed in zip(both, pages, (1, 2), strict=True):
        alone = generate(qwen21(causal=causal, guidance=4.0, negative=" "), page, seed=seed, steps=3, guidance=4.0)
        pixels = [torch.tensor(bytearray(each.images[0].tobytes()), dtype=torch.int) for each in (made, alone)]
        assert (pixels[0] - pixels[1]).abs().max() <= 1


def test_qwen21_text_too_long_names_the_instruction_that_fell_off():
    part = PromptPart(panel=0, text="the fox " * 60)
    with pytest.raises(PromptError, match=r"Qwen3-VL reads 110: the instruction of panel 1"):
        qwen21().encode_prompts([Prompt(text=part.text, parts=(part,))], [0])


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("seen", [[], [picture(1)]])
def test_qwen21_mark_of_a_picture_in_an_instruction_is_refused_where_it_stands(mark, seen):
    parts = (PromptPart(panel=0, text="a fox"), PromptPart(panel=1, text=f"the {mark} of a fox"))
    prompt = Prompt(text=" ".join(part.text for part in parts), parts=parts)
    with pytest.raises(
        PromptError, match=r"^the prompt says '<\|\w+_pad\|>' in the instruction of panel 2 .* Qwen3-VL "
    ):
        qwen21().encode_prompts_with_images([prompt], [0], [seen])
