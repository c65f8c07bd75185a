"""The peers: how each family is made small, and how its stock pipeline is asked for a page."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import (
    Flux2KleinKVPipeline,
    Flux2KleinPipeline,
    FluxFillPipeline,
    FluxInpaintPipeline,
    FluxKontextPipeline,
    QwenImage21Pipeline,
    QwenImageEditPlusPipeline,
    StableDiffusion3InpaintPipeline,
)
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from einops import rearrange
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from tiny_models import LAYERS, flux1, frozen, klein, sd3, start
from tiny_pipelines import stock, with_token_types
from tiny_qwen import qwen21, qwen_edit
from triptych.canvas import composite
from triptych.models.backbone import Conditioning
from triptych.models.codecs import pack, unpack
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux1.fill import Flux1Fill
from triptych.models.flux1.kontext import Kontext
from triptych.models.flux2.backbone import References
from triptych.models.latent import LatentBackbone
from triptych.page import Page
from triptych.prompts import write_prompt
from triptych.sampling.ways.canvas import page_canvas

SIDE_PX, HEADS = 64, 16
Tick = Callable[..., dict]
Ask = Callable[[LatentBackbone, Page, int, Tick], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A peer and what its operations are counted from."""

    make: Callable[[], LatentBackbone]
    ask: Ask
    conditions: tuple[int, ...] = (0, 1, 3)
    """Numbers of conditions that the stock pipeline takes."""
    whole_canvas: bool = False
    """The stock pipeline fills all slots in one call."""
    cached: bool = False
    """References are read in the first step only."""
    cached_text: bool = False
    double: bool = True
    """The blocks named `transformer_blocks` have weights of their own for the text."""
    text_tokens: int = 64
    latents_a_token: int = 1


def widened(backbone: LatentBackbone, **changes: Any) -> LatentBackbone:
    """The same architecture, 256 wide."""
    config = {name: value for name, value in backbone.transformer.config.items() if not name.startswith("_")}
    backbone._transformer = frozen(type(backbone.transformer)(**config | {"num_attention_heads": HEADS} | changes))
    # Where a canvas is of one colour, the codec's norms divide by little but rounding, and that depends on the order of
    # the memory, which the pipelines choose otherwise.
    backbone.codec.vae.encoder.register_forward_pre_hook(lambda _, seen: (seen[0].contiguous(), *seen[1:]))
    return backbone


def shared(backbone: LatentBackbone, page: Page, steps: int, tick: Tick) -> dict[str, Any]:
    return {
        "prompt": write_prompt(page).text,
        "num_inference_steps": steps,
        "output_type": "pt",
        "callback_on_step_end": tick,
        "max_sequence_length": backbone.text.limit,
    }


def on_canvas(kind: type, *, packed: bool, **settings: object) -> Ask:
    """Inpainting and filling: the canvas and its mask."""

    def ask(backbone: LatentBackbone, page: Page, steps: int, tick: Tick) -> Tensor:
        canvas = page_canvas(page, backbone.card.factor)
        image, mask = composite(page, canvas)
        width, height = canvas.size_px
        noise, grid = start(backbone, width, height)
        more = {} if packed else {"strength": 1.0}
        return stock(backbone, kind)(
            image=image,
            mask_image=mask,
            width=width,
            height=height,
            latents=noise if packed else unpack(noise, grid),
            guidance_scale=backbone.card.guidance,
            **shared(backbone, page, steps, tick) | more | settings,
        ).images

    return ask


def sd3_canvas(backbone: LatentBackbone, page: Page, steps: int, tick: Tick) -> Tensor:
    latents = on_canvas(StableDiffusion3InpaintPipeline, packed=False, output_type="latent")(
        backbone, page, steps, tick
    )
    grid = start(backbone, *page_canvas(page, backbone.card.factor).size_px)[1]
    # Decoded by ours: the pipeline forgets the codec's shift.
    return backbone.decode_images(pack(latents), grid) / 2 + 0.5


def kontext(backbone: LatentBackbone, page: Page, steps: int, tick: Tick) -> Tensor:
    return stock(backbone, FluxKontextPipeline)(
        image=page.conditions[0].image if page.conditions else None,
        width=SIDE_PX,
        height=SIDE_PX,
        latents=start(backbone, SIDE_PX, SIDE_PX)[0],
        guidance_scale=backbone.card.guidance,
        _auto_resize=False,
        max_area=SIDE_PX**2,
        **shared(backbone, page, steps, tick),
    ).images


def flux2(kind: type, **more: Any) -> Ask:
    def ask(backbone: LatentBackbone, page: Page, steps: int, tick: Tick) -> Tensor:
        noise, grid = start(backbone, SIDE_PX, SIDE_PX)
        return stock(backbone, kind)(
            image=[panel.image for panel in page.conditions] or None,
            width=SIDE_PX,
            height=SIDE_PX,
            latents=rearrange(noise, "b (h w) c -> b c h w", h=grid.rows),
            text_encoder_out_layers=LAYERS,
            **shared(backbone, page, steps, tick),
            **more,
        ).images

    return ask


def qwen(backbone: LatentBackbone, page: Page, steps: int, tick: Tick) -> Tensor:
    # The pipeline scales pictures to areas that are no arguments.
    pipeline_qwenimage_edit_plus.VAE_IMAGE_SIZE = SIDE_PX**2
    pipeline_qwenimage_edit_plus.CONDITION_IMAGE_SIZE = SIDE_PX**2
    return stock(backbone, QwenImageEditPlusPipeline)(
        image=[panel.image for panel in page.conditions],
        true_cfg_scale=1.0,
        width=SIDE_PX,
        height=SIDE_PX,
        latents=start(backbone, SIDE_PX, SIDE_PX)[0],
        **shared(backbone, page, steps, tick),
    ).images


def make_qwen() -> LatentBackbone:
    backbone = widened(qwen_edit())
    backbone.text.limit = 400
    with_token_types(backbone.text.encoder)
    return backbone


def qwen_2_1(backbone: LatentBackbone, page: Page, steps: int, tick: Tick) -> Tensor:
    noise, grid = start(backbone, SIDE_PX, SIDE_PX)
    asked = shared(backbone, page, steps, tick)
    del asked["max_sequence_length"]
    made = stock(backbone, QwenImage21Pipeline)(
        image=[panel.image for panel in page.conditions] or None,
        width=SIDE_PX,
        height=SIDE_PX,
        latents=rearrange(noise, "b (h w) (c p q) -> b (h p w q) c", h=grid.rows, p=2, q=2),
        output_resolution=SIDE_PX,
        **asked,
    ).images
    return made[:, :3] * made[:, 3:] + 1 - made[:, 3:]


def make_qwen_2_1() -> LatentBackbone:
    backbone = widened(qwen21())
    backbone.text.limit = 400
    return backbone


FAMILIES = {
    "FluxInpaintPipeline": Family(
        make=lambda: widened(flux1(Flux1)), ask=on_canvas(FluxInpaintPipeline, packed=False), whole_canvas=True
    ),
    "FluxFillPipeline": Family(
        make=lambda: widened(flux1(Flux1Fill, Conditioning.FILL)),
        ask=on_canvas(FluxFillPipeline, packed=True),
        whole_canvas=True,
    ),
    "FluxKontextPipeline": Family(
        make=lambda: widened(flux1(Kontext, Conditioning.REFERENCE)), ask=kontext, conditions=(0, 1)
    ),
    "Flux2KleinPipeline": Family(
        make=lambda: klein(heads=HEADS, single_blocks=6), ask=flux2(Flux2KleinPipeline, guidance_scale=1.0)
    ),
    "Flux2KleinKVPipeline": Family(
        make=lambda: klein(References.ALONE, heads=HEADS, single_blocks=6), ask=flux2(Flux2KleinKVPipeline), cached=True
    ),
    "QwenImageEditPlusPipeline": Family(make=make_qwen, ask=qwen, conditions=(1, 3)),
    "QwenImage21Pipeline": Family(
        make=make_qwen_2_1, ask=qwen_2_1, cached=True, cached_text=True, double=False, latents_a_token=4
    ),
    "StableDiffusion3InpaintPipeline": Family(
        make=lambda: widened(sd3(guidance=1.0), caption_projection_dim=16 * HEADS, pos_embed_max_size=128),
        ask=sd3_canvas,
        whole_canvas=True,
        text_tokens=80,
    ),
}
