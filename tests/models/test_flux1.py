"""FLUX.1, Fill and Kontext against diffusers' own pipelines, on the same small random weights."""

import pytest
import torch
from diffusers import FluxFillPipeline, FluxInpaintPipeline, FluxKontextPipeline, FluxPipeline
from einops import rearrange

from tiny_models import assert_same, filled, flux1, picture, start
from tiny_pipelines import stock
from triptych.canvas import composite
from triptych.errors import PromptError
from triptych.models.backbone import Conditioning, Conditions, Grid, Targets
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux1.fill import Flux1Fill
from triptych.models.flux1.kontext import Kontext
from triptych.page import Page, condition, slot
from triptych.prompts import Prompt, PromptPart, write_prompt
from triptych.sampling import generate
from triptych.sampling.ways.canvas import page_canvas

GUIDANCE = 3.5
PAGE = Page(
    panels=(
        condition(picture(1), "a fox"),
        slot("on the beach", size_px=(64, 64)),
        condition(picture(2), "snow"),
        slot("at dusk", size_px=(64, 64)),
    )
)


def asked(backbone: Flux1, page: Page, width: int, height: int) -> dict:
    return {
        "prompt": write_prompt(page).text,
        "width": width,
        "height": height,
        "num_inference_steps": 3,
        "guidance_scale": GUIDANCE,
        "latents": start(backbone, width, height)[0],
        "max_sequence_length": backbone.text.limit,
        "output_type": "pt",
    }


def test_flux1_without_conditions_equals_flux_pipeline():
    backbone = flux1(Flux1)
    page = Page(panels=(slot("the red fox", size_px=(64, 48)),))
    expected = stock(backbone, FluxPipeline)(**asked(backbone, page, 64, 48)).images
    assert_same(filled(backbone, page, Conditioning.REPAINT, guidance=GUIDANCE)[0], expected)


def test_flux1_schnell_without_shift_or_guidance_equals_flux_pipeline():
    backbone = flux1(Flux1, guidance_embeds=False, dynamic=False)
    page = Page(panels=(slot("the red fox", size_px=(64, 48)),))
    expected = stock(backbone, FluxPipeline)(**asked(backbone, page, 64, 48)).images
    assert_same(filled(backbone, page, Conditioning.REPAINT)[0], expected)


def test_flux1_repaint_equals_inpaint_pipeline_at_strength_1():
    backbone = flux1(Flux1)
    canvas = page_canvas(PAGE, backbone.card.factor)
    image, mask = composite(PAGE, canvas)
    noise, grid = start(backbone, *canvas.size_px)
    settings = asked(backbone, PAGE, *canvas.size_px)
    # The inpaint pipeline takes unpacked noise, where the other FLUX.1 pipelines take it packed.
    settings["latents"] = rearrange(noise, "b (h w) (c p q) -> b c (h p) (w q)", h=grid.rows, p=2, q=2)
    expected = stock(backbone, FluxInpaintPipeline)(image=image, mask_image=mask, strength=1.0, **settings).images
    assert_same(filled(backbone, PAGE, Conditioning.REPAINT, guidance=GUIDANCE)[0], expected)


def test_flux1_repaint_returns_the_users_condition_where_the_pipeline_returns_the_codecs_copy():
    """Ours differs on purpose: the pipeline's canvas shows conditions decoded, a Result holds the user's own pixels."""
    backbone = flux1(Flux1)
    canvas = page_canvas(PAGE, backbone.card.factor)
    copy = filled(backbone, PAGE, Conditioning.REPAINT)[0]
    left, top, right, bottom = canvas.boxes[0].corners
    theirs = (copy[0, :, top:bottom, left:right] * 255).round().byte()
    mine = generate(backbone, PAGE).finished.panels[0].image
    assert mine is PAGE.panels[0].image
    assert not torch.equal(
        theirs, torch.tensor(list(mine.tobytes()), dtype=torch.uint8).view(64, 64, 3).permute(2, 0, 1)
    )


@pytest.mark.parametrize("page", [PAGE, Page(panels=(slot("the red fox", size_px=(64, 64)),))], ids=["2+2", "0+1"])
def test_flux1_fill_equals_fill_pipeline(page):
    backbone = flux1(Flux1Fill, Conditioning.FILL)
    # On a picture of one grey the codec's norms divide by nothing but rounding, and that depends on the memory's order.
    backbone.codec.vae.encoder.register_forward_pre_hook(lambda _, pictures: (pictures[0].contiguous(),))
    canvas = page_canvas(page, backbone.card.factor)
    image, mask = composite(page, canvas)
    settings = asked(backbone, page, *canvas.size_px)
    expected = stock(backbone, FluxFillPipeline)(image=image, mask_image=mask, **settings).images
    assert_same(filled(backbone, page, Conditioning.FILL, guidance=GUIDANCE)[0], expected)


@pytest.mark.parametrize("conditions", [0, 1])
def test_kontext_equals_kontext_pipeline(conditions):
    backbone = flux1(Kontext, Conditioning.REFERENCE)
    given = [condition(picture(1, 72, 56), "a fox")][:conditions]
    page = Page(panels=(*given, slot("on the beach", size_px=(64, 48))))
    expected = stock(backbone, FluxKontextPipeline)(
        image=given[0].image if given else None, _auto_resize=False, max_area=64 * 48, **asked(backbone, page, 64, 48)
    ).images
    assert_same(filled(backbone, page, Conditioning.REFERENCE, guidance=GUIDANCE)[0], expected)


def test_kontext_several_wide_conditions_and_slots_never_share_a_position():
    """The pipeline takes one picture; the second of ours gets a frame of its own, whatever its width."""
    backbone = flux1(Kontext, Conditioning.REFERENCE)
    targets = Targets(grids=(Grid(frame=0, rows=2, columns=3), Grid(frame=1, rows=4, columns=5)))
    grids = (Grid(frame=10, rows=2, columns=40), Grid(frame=20, rows=3, columns=7))
    slots, references = backbone.places(targets, Conditions(tokens=torch.zeros(1, 101, 16), grids=grids))
    assert (slots[:, 0].unique().tolist(), references[:, 0].unique().tolist()) == ([0], [1, 2])
    places = torch.cat((slots, references))
    assert len({tuple(place) for place in places.tolist()}) == 6 + 20 + 80 + 21


def test_flux1_text_equals_encode_prompt():
    backbone = flux1(Flux1)
    prompts = ["the red fox", "a wide shot of the beach , at dusk"]
    embeds, pooled, ids = stock(backbone, FluxPipeline).encode_prompt(
        prompts, prompt_2=None, max_sequence_length=backbone.text.limit
    )
    text = backbone.encode_prompts([Prompt(text=prompt, parts=()) for prompt in prompts], [0])
    torch.testing.assert_close((text.embeds, text.pooled, text.positions), (embeds, pooled, ids))


def test_flux1_text_over_the_limit_of_t5_names_the_overview():
    overview = PromptPart(panel=None, text="the fox " * 60)
    with pytest.raises(PromptError, match=r"T5 reads 64: the overview \('the fox"):
        flux1(Flux1).encode_prompts([Prompt(text=overview.text + "at dusk", parts=(overview,))], [0])


def test_flux1_text_over_the_limit_of_clip_is_read_by_t5():
    """CLIP gives only a summary of the first tokens; what it leaves out still reaches the picture through T5."""
    backbone = flux1(Flux1)
    texts = ["the fox " * 20 + ending for ending in ("red", "blue")]
    red, blue = (backbone.encode_prompts([Prompt(text=text, parts=())], [0]) for text in texts)
    torch.testing.assert_close(red.pooled, blue.pooled)
    assert not torch.equal(red.embeds, blue.embeds)
