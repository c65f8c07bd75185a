"""FLUX.2 against diffusers' own pipelines, on the same small random weights."""

from dataclasses import replace

import pytest
import torch
from diffusers import Flux2KleinInpaintPipeline, Flux2KleinKVPipeline, Flux2KleinPipeline, Flux2Pipeline
from einops import rearrange
from torch import Tensor

from tiny_models import (
    LAYERS,
    assert_same,
    card,
    dynamic_scheduler,
    filled,
    flux2_transformer,
    flux2_vae,
    klein,
    mistral,
    picture,
    solved,
    start,
    tokenizer,
)
from tiny_pipelines import stock
from triptych.canvas import composite
from triptych.errors import PromptError
from triptych.models.backbone import Conditioning, Conditions, Grid, Targets
from triptych.models.flux2.backbone import Flux2, MistralText, References
from triptych.models.reading import read
from triptych.page import Page, condition, slot
from triptych.prompts import Prompt, PromptPart, write_prompt
from triptych.sampling.ways import WAYS
from triptych.sampling.ways.canvas import page_canvas
from triptych.sampling.working import working_page


def theirs(backbone: Flux2, page: Page, pipeline, **more: object) -> Tensor:
    width, height = page.slots[0].size_px
    noise, grid = start(backbone, width, height)
    return pipeline(
        image=[panel.image for panel in page.conditions] or None,
        prompt=write_prompt(page).text,
        width=width,
        height=height,
        num_inference_steps=3,
        latents=rearrange(noise, "b (h w) c -> b c h w", h=grid.rows),
        output_type="pt",
        max_sequence_length=64,
        text_encoder_out_layers=LAYERS,
        **more,
    ).images


PAGES = {
    "no condition": Page(panels=(slot("the red fox", size_px=(32, 24)),)),
    "one condition": Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(32, 24)))),
    "two conditions": Page(
        panels=(condition(picture(1), "a fox"), condition(picture(2, 80, 64), "snow"), slot("both", size_px=(32, 32)))
    ),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_flux2_klein_equals_stock_pipeline(page):
    backbone = klein()
    expected = theirs(backbone, page, stock(backbone, Flux2KleinPipeline, is_distilled=True))
    assert_same(filled(backbone, page, Conditioning.REFERENCE)[0], expected)


def test_flux2_klein_base_with_guidance_equals_stock_pipeline():
    backbone = klein(guidance=4.0, negative="")
    page = PAGES["one condition"]
    expected = theirs(backbone, page, stock(backbone, Flux2KleinPipeline), guidance_scale=4.0)
    assert_same(filled(backbone, page, Conditioning.REFERENCE, guidance=4.0)[0], expected)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_flux2_klein_kv_equals_stock_pipeline(page):
    backbone = klein(References.ALONE)
    expected = theirs(backbone, page, stock(backbone, Flux2KleinKVPipeline))
    assert_same(filled(backbone, page, Conditioning.REFERENCE)[0], expected)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_flux2_dev_equals_stock_pipeline(page):
    text = MistralText(mistral(), tokenizer(), limit=64, layers=LAYERS)
    backbone = Flux2(
        card=card(Conditioning.REFERENCE, channels=16, factor=4, guidance=3.5),
        transformer=flux2_transformer(guidance=True),
        vae=flux2_vae(),
        text=text,
        scheduler=dynamic_scheduler(),
    )
    pipeline = stock(backbone, Flux2Pipeline)
    expected = theirs(backbone, page, pipeline, guidance_scale=3.5)
    assert_same(filled(backbone, page, Conditioning.REFERENCE, guidance=3.5)[0], expected)


def test_flux2_repaint_that_also_refers_to_its_canvas_equals_inpaint_pipeline():
    """Ours differs on purpose: the pipeline shows the whole canvas a second time, as a reference; repaint does not,
    which halves the work. Given that reference, the two are equal."""
    backbone = klein()
    page = working_page(Page(panels=(condition(picture(1), "a fox"), slot("snow", size_px=(64, 64)))), backbone.card)
    image, mask = composite(page, page_canvas(page, backbone.card.factor))
    noise, grid = start(backbone, *image.size)
    expected = stock(backbone, Flux2KleinInpaintPipeline)(
        image=image,
        mask_image=mask,
        strength=1.0,
        prompt=write_prompt(page).text,
        num_inference_steps=3,
        guidance_scale=1.0,
        latents=rearrange(noise, "b (h w) c -> b c h w", h=grid.rows),
        output_type="pt",
        max_sequence_length=64,
        text_encoder_out_layers=LAYERS,
    ).images
    with torch.no_grad():
        plan = WAYS[Conditioning.REPAINT].plan(backbone, [page], [0])
        canvas = Conditions(tokens=plan.known.data, grids=(replace(grid, frame=10),))
        last = solved(backbone, page, replace(plan, conditions=canvas))
        assert_same(backbone.decode_images(last.tokens, grid) / 2 + 0.5, expected)
        ours = solved(backbone, page, plan)
    assert (ours.tokens - last.tokens).abs().max() > 1e-3


def test_flux2_text_equals_encode_prompt():
    backbone = klein()
    prompts = ["the red fox", "a wide shot of the beach , at dusk"]
    embeds, ids = stock(backbone, Flux2KleinPipeline).encode_prompt(
        prompts, max_sequence_length=64, text_encoder_out_layers=LAYERS
    )
    text = backbone.encode_prompts([Prompt(text=prompt, parts=()) for prompt in prompts], [0])
    torch.testing.assert_close(text.embeds, embeds)
    torch.testing.assert_close(text.positions, ids[0].float())


def test_flux2_text_too_long_names_the_instruction_that_fell_off():
    words = ("a fox on the beach", "in the snow " * 30)
    parts = tuple(PromptPart(panel=index, text=text) for index, text in enumerate(words))
    with pytest.raises(PromptError, match=r"instruction of panel 2 \('in the snow"):
        klein().encode_prompts([Prompt(text=" ".join(words), parts=parts)], [0, 1])


def test_flux2_slots_together_differ_from_slots_alone():
    """The stock pipelines make one picture; ours sees its sibling, and sits at its own frame."""
    first, second = slot("the red fox", size_px=(32, 32)), slot("the blue fox", size_px=(32, 32))
    together = filled(klein(), Page(panels=(first, second)), Conditioning.REFERENCE)
    alone = filled(klein(), Page(panels=(first,)), Conditioning.REFERENCE)
    assert len(together) == 2
    assert (together[0] - alone[0]).abs().max() > 1e-3
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_flux2_velocity_has_gradients_through_the_memory():
    backbone = klein(References.ALONE)
    tokens = torch.randn(1, 4, 16, requires_grad=True)
    text = backbone.encode_prompts([Prompt(text="a fox", parts=())], [0])
    grid = Grid(frame=0, rows=2, columns=2)
    context = read(backbone, text, Conditions(tokens=tokens, grids=(replace(grid, frame=10),)))
    two, t = context.repeated(2), torch.tensor([1.0, 0.5])
    backbone.velocity(torch.randn(2, 4, 16), t, two, Targets(grids=(grid,))).square().sum().backward()
    assert tokens.grad is not None
    assert tokens.grad.abs().sum() > 0


@pytest.mark.parametrize("references", References)
def test_flux2_rows_at_their_own_levels_equal_each_row_alone(references):
    backbone, grid = klein(references), Grid(frame=0, rows=2, columns=2)
    text = backbone.encode_prompts([Prompt(text="a fox", parts=())], [0])
    context = read(backbone, text, Conditions(tokens=torch.randn(1, 4, 16), grids=(replace(grid, frame=10),)))
    tokens, t, targets = torch.randn(2, 4, 16), torch.tensor([0.9, 0.2]), Targets(grids=(grid,))
    together = backbone.velocity(tokens, t, context.repeated(2), targets)
    alone = [backbone.velocity(tokens[row, None], t[row, None], context, targets) for row in range(2)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)
