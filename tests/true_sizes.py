"""Every checkpoint's parts with random weights: at their released sizes for a GPU, and small for the tests' own sake.

A small backbone of `tiny_models` says which parts there are; a part of the released size is one of the same class and
another configuration.
"""

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin
from torch import nn

from tiny_flux3 import flux3
from tiny_glm import glm_image
from tiny_models import dev, flux1, klein, sd3
from tiny_pipelines import text_parts
from tiny_qwen import qwen21, qwen_edit, qwen_layered
from tiny_z_image import z_image_omni
from triptych.models.assembly import assemble
from triptych.models.backbone import Conditioning
from triptych.models.catalog import Checkpoint, find_checkpoint
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux1.fill import Flux1Fill
from triptych.models.flux1.kontext import Kontext
from triptych.models.latent import LatentBackbone
from triptych.models.options import LoadOptions, References
from triptych.models.parts import Parts

Changes = Mapping[str, Mapping[str, Any]]

_FOUR = (128, 256, 512, 512)
_KL = {
    "block_out_channels": _FOUR,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "latent_channels": 16,
}
_FLUX2_VAE = _KL | {"latent_channels": 32}
_QWEN3_4B = {
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": True,
}
_KLEIN = {
    "in_channels": 128,
    "num_layers": 5,
    "num_single_layers": 20,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
    "axes_dims_rope": (32, 32, 32, 32),
}
_FLUX1 = {
    "in_channels": 64,
    "out_channels": 64,
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "axes_dims_rope": (16, 56, 56),
}
_CLIP_L = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
_CLIP_G = _CLIP_L | {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
}
_T5_XXL = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}
_BYT5_SMALL = {
    "d_model": 1472,
    "d_ff": 3584,
    "d_kv": 64,
    "num_layers": 12,
    "num_heads": 6,
    "feed_forward_proj": "gated-gelu",
}
_GLM_DRAFTER = {
    "text_config": {
        "vocab_size": 168064,
        "hidden_size": 4096,
        "intermediate_size": 13696,
        "num_hidden_layers": 40,
        "num_attention_heads": 32,
        "num_key_value_heads": 2,
        "vision_vocab_size": 16512,
    },
    "vision_config": {
        "depth": 40,
        "hidden_size": 1536,
        "num_heads": 16,
        "intermediate_size": 6144,
        "image_size": 2048,
    },
    "vq_config": {"embed_dim": 2048, "num_embeddings": 16384, "latent_channels": 1536},
}
_FLUX1_PARTS: Changes = {"transformer": _FLUX1, "vae": _KL, "text_encoder": _CLIP_L, "text_encoder_2": _T5_XXL}
_KLEIN_PARTS: Changes = {"transformer": _KLEIN, "vae": _FLUX2_VAE, "text_encoder": _QWEN3_4B}
_ROPE = {"rope_type": "default", "rope_theta": 1e6}
_QWEN25_VL = {
    "text_config": {
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "rope_parameters": _ROPE | {"mrope_section": [16, 24, 24]},
    },
    "vision_config": {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": 3584,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "window_size": 112,
    },
}
_QWEN_IMAGE = {
    "in_channels": 64,
    "out_channels": 16,
    "num_layers": 60,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 3584,
    "axes_dims_rope": (16, 56, 56),
}
_QWEN_VAE = {
    "base_dim": 96,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "temperal_downsample": [False, True, True],
    "latents_mean": [0.0] * 16,
    "latents_std": [1.0] * 16,
}
_QWEN3_VL = {
    "text_config": {
        "vocab_size": 151936,
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "rope_parameters": _ROPE | {"mrope_section": [24, 20, 20]},
    },
    "vision_config": {
        "depth": 27,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_heads": 16,
        "out_hidden_size": 4096,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [8, 16, 24],
    },
}
_QWEN3_VL_4B = {
    "text_config": _QWEN3_VL["text_config"]
    | {"hidden_size": 2560, "intermediate_size": 9728, "tie_word_embeddings": True},
    "vision_config": {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "out_hidden_size": 2560,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
    },
    "tie_word_embeddings": True,
}
_Z_IMAGE = {
    "in_channels": 16,
    "dim": 3840,
    "n_layers": 30,
    "n_refiner_layers": 2,
    "n_heads": 30,
    "n_kv_heads": 30,
    "cap_feat_dim": 2560,
    "siglip_feat_dim": 1152,
    "axes_dims": [32, 48, 48],
    "axes_lens": [1024, 512, 512],
}
_SIGLIP2 = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "num_patches": 256,
}
_DERIVED = ("layer_types", "is_gated_act", "dense_act_fn")
"""What transformers' configurations make of the rest."""
_OF_CLASS: dict[str, Any] = {}
"""As a class's own defaults are: diffusers writes the sizes of some released parts there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A checkpoint, how its parts are made small, and what is different at its released size."""

    name: str
    make: Callable[[], LatentBackbone]
    way: Conditioning
    full: Changes
    small: Changes
    defaults: tuple[str, ...] = ()
    """Parts of the released size whose class has it for its defaults."""


_READ_TO_27: Changes = {"text_encoder": {"num_hidden_layers": 28}}
SIZED = {
    "flux2-klein": Sized(
        name="FLUX.2-klein-4B", make=klein, way=Conditioning.REFERENCE, full=_KLEIN_PARTS, small=_READ_TO_27
    ),
    "flux2-klein-kv": Sized(
        name="FLUX.2-klein-9b-kv",
        make=lambda: klein(References.ALONE),
        way=Conditioning.REFERENCE,
        full=_KLEIN_PARTS
        | {
            "transformer": _KLEIN
            | {"num_layers": 8, "num_single_layers": 24, "num_attention_heads": 32, "joint_attention_dim": 12288},
            "text_encoder": _QWEN3_4B | {"hidden_size": 4096, "intermediate_size": 12288, "tie_word_embeddings": False},
        },
        small=_READ_TO_27,
    ),
    "flux2-dev": Sized(
        name="FLUX.2-dev",
        make=dev,
        way=Conditioning.REFERENCE,
        full={
            "transformer": _KLEIN
            | {"num_layers": 8, "num_single_layers": 48, "num_attention_heads": 48, "joint_attention_dim": 15360},
            "vae": _FLUX2_VAE,
            "text_encoder": _QWEN3_4B
            | {
                "vocab_size": 131072,
                "hidden_size": 5120,
                "intermediate_size": 32768,
                "num_hidden_layers": 40,
                "tie_word_embeddings": False,
            },
        },
        small={"text_encoder": {"num_hidden_layers": 31}},
    ),
    "flux3": Sized(
        name="flux-3-image-klein",
        make=lambda: flux3(distilled=True),
        way=Conditioning.REFERENCE,
        full={
            "transformer": {
                "in_channels": 128,
                "cond_in_channels": 128,
                "num_layers": 5,
                "num_single_layers": 28,
                "attention_head_dim": 128,
                "num_attention_heads": 24,
                "joint_attention_dim": 20480,
                "timestep_channels": 256,
                "axes_dims_rope": (32, 32, 32, 32),
            },
            "vae": _FLUX2_VAE,
            "text_encoder": _QWEN3_VL_4B,
        },
        small={"text_encoder": {"text_config": {"num_hidden_layers": 33}}, "transformer": {"joint_attention_dim": 128}},
    ),
    "glm-image": Sized(
        name="GLM-Image",
        make=glm_image,
        way=Conditioning.REFERENCE,
        full={
            "transformer": {
                "in_channels": 16,
                "out_channels": 16,
                "num_layers": 30,
                "attention_head_dim": 128,
                "num_attention_heads": 32,
                "text_embed_dim": 1472,
                "time_embed_dim": 512,
                "condition_dim": 256,
                "prior_vq_quantizer_codebook_size": 16384,
            },
            "vae": _KL | {"latents_mean": None, "latents_std": None},
            "text_encoder": _BYT5_SMALL,
            "vision_language_encoder": _GLM_DRAFTER,
        },
        small={},
    ),
    "flux1": Sized(name="FLUX.1-dev", make=lambda: flux1(Flux1), way=Conditioning.REPAINT, full=_FLUX1_PARTS, small={}),
    "kontext": Sized(
        name="FLUX.1-Kontext-dev",
        make=lambda: flux1(Kontext, Conditioning.REFERENCE),
        way=Conditioning.REFERENCE,
        full=_FLUX1_PARTS,
        small={},
    ),
    "flux1-fill": Sized(
        name="FLUX.1-Fill-dev",
        make=lambda: flux1(Flux1Fill, Conditioning.FILL),
        way=Conditioning.FILL,
        full=_FLUX1_PARTS | {"transformer": _FLUX1 | {"in_channels": 384}},
        small={},
    ),
    "sd3": Sized(
        name="stable-diffusion-3.5-large",
        make=sd3,
        way=Conditioning.REPAINT,
        full={
            "transformer": {
                "sample_size": 128,
                "num_layers": 38,
                "num_attention_heads": 38,
                "attention_head_dim": 64,
                "joint_attention_dim": 4096,
                "caption_projection_dim": 2432,
                "pooled_projection_dim": 2048,
                "pos_embed_max_size": 192,
            },
            "vae": _KL,
            "text_encoder": _CLIP_L,
            "text_encoder_2": _CLIP_G,
            "text_encoder_3": _T5_XXL,
        },
        small={},
    ),
    "qwen": Sized(
        name="Qwen-Image-Edit-2509",
        make=qwen_edit,
        way=Conditioning.REFERENCE,
        full={"transformer": _OF_CLASS, "vae": _OF_CLASS, "text_encoder": _QWEN25_VL},
        small={},
        defaults=("transformer", "vae"),
    ),
    "qwen-layered": Sized(
        name="Qwen-Image-Layered",
        make=qwen_layered,
        way=Conditioning.REFERENCE,
        full={"transformer": _QWEN_IMAGE, "vae": _QWEN_VAE, "text_encoder": _QWEN25_VL},
        small={},
    ),
    "qwen21": Sized(
        name="Qwen-Image-2.1",
        make=qwen21,
        way=Conditioning.REFERENCE,
        full={"transformer": _OF_CLASS, "vae": _OF_CLASS, "text_encoder": _QWEN3_VL},
        small={},
        defaults=("transformer", "vae"),
    ),
    "z-image-omni": Sized(
        name="Z-Image-Omni-Base",
        make=z_image_omni,
        way=Conditioning.REFERENCE,
        full={"transformer": _Z_IMAGE, "vae": _KL, "text_encoder": _QWEN3_4B, "siglip": _SIGLIP2},
        small={},
    ),
}


def checkpoint_of(sized: Sized, *, is_full: bool) -> Checkpoint:
    """The record; small parts read short prompts and see small pictures."""
    found = find_checkpoint(sized.name)
    assert found is not None, sized.name
    return found if is_full else replace(found, card=replace(found.card, side_px=80, max_text_tokens=128))


def parts_of(sized: Sized, *, is_full: bool, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """By the names of `model_index.json`; each made on `device`, and taken to main memory before the next."""
    backbone = sized.make()
    text = backbone.text  # pyright: ignore[reportAttributeAccessIssue]
    parts = {"transformer": backbone.transformer, "vae": backbone.codec.vae, "scheduler": backbone._scheduler}  # pyright: ignore[reportAttributeAccessIssue]
    parts |= text_parts(text)
    if hasattr(text, "image_processor"):
        parts["processor"] = (text.tokenizer, text.image_processor)
    torch.manual_seed(0)
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            changes = (sized.full if is_full else sized.small).get(name, {})
            anew = is_full and name in sized.defaults
            parts[name] = made(part, changes, device=device, dtype=dtype, anew=anew).to("cpu")
            gc.collect()
    return parts


def made(part: nn.Module, changes: Mapping[str, Any], *, device: str, dtype: torch.dtype, anew: bool) -> nn.Module:
    """A part of the same class with random weights, and a configuration that differs in `changes`."""
    config: Any = part.config
    with torch.device(device), _default(dtype):
        if anew:
            fresh = type(part)()
        elif isinstance(part, ConfigMixin):
            fresh = type(part).from_config(dict(config) | dict(changes))
        else:
            fresh = type(part)(type(config).from_dict(_changed(config.to_dict(), changes)))
    assert isinstance(fresh, nn.Module)
    return fresh.to(dtype).eval().requires_grad_(False)


def _changed(told: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in told.items() if name not in _DERIVED}
    inner = {
        name: _changed(kept[name], value) if isinstance(value, dict) and isinstance(kept.get(name), dict) else value
        for name, value in changes.items()
    }
    return kept | inner


class _default:  # noqa: N801
    """torch's default type inside a `with`: half the memory while a part is made."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype, self._before = dtype, torch.get_default_dtype()

    def __enter__(self) -> None:
        torch.set_default_dtype(self._dtype)

    def __exit__(self, *_: object) -> None:
        torch.set_default_dtype(self._before)


def assembled(sized: Sized, parts: Mapping[str, Any], options: LoadOptions, *, is_full: bool) -> LatentBackbone:
    """As `load` does it once parts are read."""
    checkpoint = checkpoint_of(sized, is_full=is_full)
    index = {"_class_name": checkpoint.pipeline}
    return assemble(Parts(by_name=parts), index, checkpoint, options, name=sized.name)
