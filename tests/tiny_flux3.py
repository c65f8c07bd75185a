"""FLUX 3 Image Klein at toy size with random weights, diffusers' own blocks around it, and its folder."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    Flux3AutoBlocks,
    Flux3DistilledAutoBlocks,
    Flux3Transformer2DModel,
)
from diffusers.modular_pipelines.flux3.image_processor import Flux3ImageProcessor
from PIL.Image import Image

from tiny_models import LAYERS, card, flux2_vae, frozen, tokenizer
from tiny_qwen import qwen3_vl
from triptych.models.backbone import Conditioning
from triptych.models.flux3.backbone import Flux3, Flux3Text

PICTURE_NAME = "<ref_image_{index}>"
_RELEASED = (4, 8, 12, 16, 20, 24, 28, 32)


class Speaker:
    """What the blocks take of Qwen3-VL's processor, the whole of which needs torchvision."""

    def __init__(self, text: Flux3Text) -> None:
        self.tokenizer = text.tokenizer
        self.apply_chat_template = text.tokenizer.apply_chat_template


def flux3_transformer(text_layers: int, *, distilled: bool) -> Flux3Transformer2DModel:
    return frozen(
        Flux3Transformer2DModel(
            in_channels=16,
            cond_in_channels=16,
            num_layers=2,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16 * text_layers,
            timestep_channels=32,
            axes_dims_rope=(4, 4, 4, 4),
            flow_map=distilled,
        )
    )


def flux3(layers: tuple[int, ...] = LAYERS, *, distilled: bool = False, **facts: object) -> Flux3:
    guidance = {} if distilled else {"guidance": 4.0, "negative": ""}
    ways = (Conditioning.REFERENCE, Conditioning.REPAINT)
    return Flux3(
        card=card(*ways, channels=16, factor=4, **guidance, **{"picture_name": PICTURE_NAME, **facts}),
        transformer=flux3_transformer(len(layers), distilled=distilled),
        vae=flux2_vae(),
        text=Flux3Text(qwen3_vl(max(layers) + 1), tokenizer(), limit=400, layers=layers),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.93),
    )


def blocks(backbone: Flux3, upsampler: Any = None) -> Any:
    """diffusers' pipeline on the same parts; without an `upsampler` it reads the prompt as it is given."""
    kind = Flux3DistilledAutoBlocks if backbone.transformer.config.flow_map else Flux3AutoBlocks
    made = kind()
    if upsampler is None:
        made.sub_blocks.pop("prompt_upsampler")
    pipeline = made.init_pipeline()
    if upsampler is not None:
        pipeline.prompt_upsampler = pipeline.prompt_upsampler_processor = upsampler
    pipeline.update_components(
        transformer=backbone.transformer,
        vae=backbone.codec.vae,
        text_encoder=backbone.text.encoder,
        image_processor=Flux3ImageProcessor(vae_scale_factor=backbone.card.factor, vae_latent_channels=4),
    )
    pipeline.tokenizer = Speaker(backbone.text)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def write_flux3(folder: Path, *, distilled: bool = False) -> Flux3:
    """A folder as diffusers writes it, and what is in it; text is of the layers that the blocks take it from."""
    backbone = flux3(_RELEASED, distilled=distilled)
    pipeline = blocks(backbone)
    pipeline.tokenizer = None
    pipeline.save_pretrained(str(folder), overwrite_modular_index=True)
    # A whole processor has a part for videos, which needs torchvision; its files are these.
    backbone.text.tokenizer.save_pretrained(folder / "tokenizer")
    file = folder / "modular_model_index.json"
    index = json.loads(file.read_text())
    index["tokenizer"][2] |= {"pretrained_model_name_or_path": "owner/name", "subfolder": "tokenizer"}
    file.write_text(json.dumps(index))
    return backbone


def latents(tokens: torch.Tensor, rows: int) -> torch.Tensor:
    """Tokens in row order as the blocks take noise."""
    return tokens.transpose(1, 2).unflatten(2, (rows, -1))


def seen(images: list[Image]) -> dict[str, object]:
    return {"image": images} if images else {}
