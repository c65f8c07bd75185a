"""Where the parts of a backbone live and how they compute: devices, offload, quantised weights, step caches."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from diffusers import FirstBlockCacheConfig, MagCacheConfig, TaylorSeerCacheConfig
from diffusers.hooks.mag_cache import FLUX_MAG_RATIOS
from torch import nn

from triptych.errors import BackboneError
from triptych.models.catalog import FAMILIES, Family
from triptych.models.latent import LatentBackbone
from triptych.models.offloading import bring_back, lend_blocks, outer_blocks, take_turns
from triptych.models.options import LoadOptions, Offload, Quantise, References, StepCache

__all__ = ["compile_blocks", "enable_step_cache", "place", "quantisation", "refuse_options", "relief"]


def refuse_options(name: str, family: Family, options: LoadOptions) -> None:
    """Raise BackboneError for what a family cannot do, before weights are read."""
    if options.references is not None and not family.chooses_references:
        chooses = ", ".join(each.name for each in FAMILIES if each.chooses_references)
        raise BackboneError(
            f"references {options.references.value!r} is a choice of {chooses}; {name} is of family {family.name} and "
            "sees references as it was trained. Leave references out."
        )
    _refuse_step_cache(name, family.name, options, alone=options.references is References.ALONE)


def _refuse_step_cache(name: str, family: str, options: LoadOptions, *, alone: bool) -> None:
    if options.step_cache is StepCache.NONE:
        return
    allowed = [each.name for each in FAMILIES if options.step_cache in each.step_caches]
    if family not in allowed:
        raise BackboneError(
            f"the step cache {options.step_cache.value!r} works with {', '.join(allowed)}; {name} is of family "
            f"{family}. Leave step_cache out."
        )
    if alone:
        raise BackboneError(
            f"{name} keeps its conditions (references 'alone'), where no block may be left out. Leave step_cache out, "
            "or references."
        )


def quantisation(library: str, options: LoadOptions) -> dict[str, Any]:
    """What `from_pretrained` is told where weights are to be stored in fewer bits."""
    quantise = options.quantise or Quantise.NONE
    if quantise is Quantise.NONE:
        return {}
    home = importlib.import_module(library)
    if quantise is Quantise.NF4:
        config = home.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=options.dtype
        )
        # Without a place they are packed on the current CUDA device, whichever was asked for.
        return {"quantization_config": config, "device_map": {"": torch.device(options.device or "cpu")}}
    kinds = importlib.import_module("torchao.quantization")
    kind = kinds.Int8WeightOnlyConfig if quantise is Quantise.INT8 else kinds.Float8WeightOnlyConfig
    return {"quantization_config": home.TorchAoConfig(kind())}


def place(backbone: LatentBackbone, modules: Mapping[str, nn.Module], options: LoadOptions) -> None:
    """Move the modules, or let them take turns; the backbone computes on `options.device` either way."""
    device = torch.device(options.device or "cpu")
    backbone.runs_on(device)
    match options.offload:
        case Offload.PARTS:
            take_turns(modules.values(), device)
        case Offload.LAYERS:
            for name, module in modules.items():
                if name == "vae":
                    module.to(device)
                else:
                    lend_blocks(module, device)
        case _:
            for module in modules.values():
                module.to(device)


def relief(
    backbone: LatentBackbone, modules: Mapping[str, nn.Module], options: LoadOptions
) -> tuple[Callable[[], str], ...]:
    """The rungs that are left below `options`: tiles in the codec, then parts, then layers out of the device."""

    codec: Any = modules.get("vae")

    def decode_in_tiles() -> str:
        codec.enable_tiling()
        return "pictures are decoded in tiles"

    def move(offload: Offload, said: str) -> Callable[[], str]:
        def again() -> str:
            for module in modules.values():
                bring_back(module)
            place(backbone, modules, replace(options, offload=offload))
            return said

        return again

    rungs: list[Callable[[], str]] = [decode_in_tiles] if hasattr(codec, "enable_tiling") else []
    on_gpu = torch.device(options.device or "cpu").type != "cpu"
    # Quantised weights do not survive being moved between devices in all libraries; those stay where they are.
    if on_gpu and options.quantise in (None, Quantise.NONE):
        if options.offload in (None, Offload.NONE):
            rungs.append(move(Offload.PARTS, "text encoder, transformer and codec take turns on the device"))
        if options.offload is not Offload.LAYERS:
            rungs.append(move(Offload.LAYERS, "the transformer comes layer by layer, which is slow"))
    return tuple(rungs)


def compile_blocks(backbone: LatentBackbone) -> None:
    """Compile the repeated blocks once for all of them: for the first page's lengths, at the second's for any."""
    for block in outer_blocks(backbone.transformer):
        block.compile()


def enable_step_cache(backbone: LatentBackbone, options: LoadOptions) -> None:
    """Switch on an approximation of diffusers. Raises BackboneError where the transformer has none."""
    if options.step_cache is StepCache.NONE:
        return
    alone = getattr(backbone, "references", References.JOINT) is References.ALONE
    _refuse_step_cache(backbone.card.name, backbone.card.family, options, alone=alone)
    backbone.transformer.enable_cache(_cache_config(backbone.card.steps, options))
    if options.step_cache is StepCache.MAGCACHE:
        # It starts over after a fixed number of steps, however many the page takes.
        def count(steps: int) -> None:
            backbone.transformer.disable_cache()
            backbone.transformer.enable_cache(_cache_config(steps, options))

        backbone.when_scheduled(count)


def _cache_config(steps: int, options: LoadOptions) -> FirstBlockCacheConfig | MagCacheConfig | TaylorSeerCacheConfig:
    match options.step_cache:
        case StepCache.FIRST_BLOCK:
            return FirstBlockCacheConfig(threshold=options.step_cache_threshold)
        case StepCache.MAGCACHE:
            return MagCacheConfig(
                threshold=options.step_cache_threshold,
                num_inference_steps=steps,
                mag_ratios=FLUX_MAG_RATIOS,
            )
        case _:
            return TaylorSeerCacheConfig(disable_cache_before_step=3, cache_interval=5)
