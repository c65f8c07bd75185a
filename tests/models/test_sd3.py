"""Stable Diffusion 3.5 against diffusers' own pipelines, on the same small random weights."""

import pytest
import torch
from diffusers import StableDiffusion3InpaintPipeline, StableDiffusion3Pipeline

from tiny_models import assert_same, filled, picture, sd3, start
from tiny_pipelines import stock
from triptych.canvas import composite
from triptych.errors import BackboneError, PromptError
from triptych.models.backbone import Conditioning
from triptych.models.codecs import pack, unpack
from triptych.models.sd3.backbone import SD3
from triptych.page import Layout, Page, condition, slot
from triptych.prompts import Prompt, write_prompt
from triptych.sampling.ways.canvas import page_canvas

PAGE = Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 64))))


def asked(backbone: SD3, page: Page, width: int, height: int, guidance: float) -> dict:
    noise, grid = start(backbone, width, height)
    return {
        "prompt": write_prompt(page).text,
        "width": width,
        "height": height,
        "num_inference_steps": 3,
        "guidance_scale": guidance,
        "latents": unpack(noise, grid),
        "max_sequence_length": backbone.text.limit,
        "output_type": "pt",
    }


@pytest.mark.parametrize("guidance", [1.0, 4.5])
def test_sd3_without_conditions_equals_stock_pipeline(guidance):
    backbone = sd3(guidance=guidance, negative="" if guidance > 1 else None)
    page = Page(panels=(slot("the red fox", size_px=(64, 48)),))
    expected = stock(backbone, StableDiffusion3Pipeline)(**asked(backbone, page, 64, 48, guidance)).images
    assert_same(filled(backbone, page, Conditioning.REPAINT, guidance=guidance)[0], expected)


def test_sd3_repaint_equals_inpaint_pipeline_at_strength_1():
    """Compared as latents: the inpaint pipeline forgets the codec's shift when it decodes, the plain one does not."""
    backbone = sd3(guidance=4.5, negative="")
    canvas = page_canvas(PAGE, backbone.card.factor)
    image, mask = composite(PAGE, canvas)
    settings = asked(backbone, PAGE, *canvas.size_px, 4.5) | {"output_type": "latent"}
    pipeline = stock(backbone, StableDiffusion3InpaintPipeline)
    latents = pipeline(image=image, mask_image=mask, strength=1.0, **settings).images
    grid = start(backbone, *canvas.size_px)[1]
    expected = backbone.decode_images(pack(latents), grid) / 2 + 0.5
    assert_same(filled(backbone, PAGE, Conditioning.REPAINT, guidance=4.5)[0], expected)


def test_sd3_text_equals_encode_prompt():
    backbone = sd3()
    prompts = ["the red fox", "a wide shot of the beach , at dusk"]
    embeds, _, pooled, _ = stock(backbone, StableDiffusion3Pipeline).encode_prompt(
        prompts, None, None, do_classifier_free_guidance=False, max_sequence_length=backbone.text.limit
    )
    text = backbone.encode_prompts([Prompt(text=prompt, parts=()) for prompt in prompts], [0])
    torch.testing.assert_close((text.embeds, text.pooled), (embeds, pooled))


def test_sd3_text_over_the_limit_of_t5_is_refused():
    with pytest.raises(PromptError, match="T5 reads 64"):
        sd3().encode_prompts([Prompt(text="the fox " * 60, parts=())], [0])


def test_sd3_canvas_beyond_its_positions_is_refused():
    long = Page(panels=tuple(slot("a fox", size_px=(64, 64)) for _ in range(3)), layout=Layout.ROW)
    with pytest.raises(BackboneError, match=r"192x64 px and tiny has positions for 160 px"):
        filled(sd3(), long, Conditioning.REPAINT)
