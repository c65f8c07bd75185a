"""Where the parts of a backbone live and how they compute: devices, offload, quantised weights, step caches."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from accelerate import cpu_offload_with_hook
from accelerate.hooks import remove_hook_from_module
from diffusers import FirstBlockCacheConfig, MagCacheConfig, TaylorSeerCacheConfig
from diffusers.hooks import apply_group_offloading
from diffusers.hooks.mag_cache import FLUX_MAG_RATIOS
from torch import nn

from triptych.errors import BackboneError
from triptych.models.latent import LatentBackbone
from triptych.models.options import LoadOptions, Offload, Quantise, StepCache
from triptych.models.pocket import PocketBackbone

__all__ = ["compile_blocks", "enable_step_cache", "place", "quantisation", "relief"]

_FLUX1 = ("flux1", "flux1-fill", "kontext")
# diffusers 0.42 follows two streams through a first block and cannot follow FLUX.2's one; MagCache's ratios were
# measured on FLUX.1 alone; where references are read once ("flux2-kv") no block may be left out.
_STEP_CACHES = {
    StepCache.FIRST_BLOCK: (*_FLUX1, "qwen"),
    StepCache.MAGCACHE: _FLUX1,
    StepCache.TAYLORSEER: (*_FLUX1, "flux2", "qwen"),
}


def quantisation(library: str, options: LoadOptions) -> dict[str, Any]:
    """The `quantization_config` of `from_pretrained`, where weights are to be stored in fewer bits."""
    quantise = options.quantise or Quantise.NONE
    if quantise is Quantise.NONE:
        return {}
    package = "bitsandbytes" if quantise is Quantise.NF4 else "torchao"
    if importlib.util.find_spec(package) is None:
        raise BackboneError(f"weights in {quantise.value} need the package {package}: pip install {package}.")
    home = importlib.import_module(library)
    if quantise is Quantise.NF4:
        config = home.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=options.dtype
        )
    else:
        kinds = importlib.import_module("torchao.quantization")
        kind = kinds.Int8WeightOnlyConfig if quantise is Quantise.INT8 else kinds.Float8WeightOnlyConfig
        config = home.TorchAoConfig(kind())
    return {"quantization_config": config}


def place(backbone: LatentBackbone, modules: Mapping[str, nn.Module], options: LoadOptions) -> None:
    """Move the modules, or let them take turns; the backbone computes on `options.device` either way."""
    device = torch.device(options.device or "cpu")
    backbone.runs_on(device)
    match options.offload:
        case Offload.PARTS:
            _take_turns(modules, device)
        case Offload.LAYERS:
            for name, module in modules.items():
                if name == "vae":
                    module.to(device)
                else:
                    apply_group_offloading(module, onload_device=device, offload_type="leaf_level")
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
                remove_hook_from_module(module, recurse=True)
                module.to("cpu")
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


def _take_turns(modules: Mapping[str, nn.Module], device: torch.device) -> None:
    """Each module comes when it is called and sends the one before it away; the last sends the next page's first."""
    order = sorted(modules, key=lambda name: (not name.startswith("text"), name != "transformer"))
    hooks = []
    for name in order:
        _, hook = cpu_offload_with_hook(modules[name], device, prev_module_hook=hooks[-1] if hooks else None)
        hooks.append(hook)
    hooks[0].hook.prev_module_hook = hooks[-1]


def compile_blocks(backbone: LatentBackbone | PocketBackbone) -> None:
    """Compile the repeated blocks once for all of them: for the first page's lengths, at the second's for any."""
    backbone.transformer.compile_repeated_blocks()


def enable_step_cache(backbone: LatentBackbone, options: LoadOptions) -> None:
    """Switch on an approximation of diffusers. Raises BackboneError where the transformer has none."""
    if options.step_cache is StepCache.NONE:
        return
    allowed = _STEP_CACHES[options.step_cache]
    if backbone.card.family not in allowed:
        raise BackboneError(
            f"the step cache {options.step_cache.value!r} works with {', '.join(allowed)}; {backbone.card.name} is of "
            f"family {backbone.card.family}. Leave step_cache out."
        )
    backbone.transformer.enable_cache(_cache_config(backbone, options))


def _cache_config(
    backbone: LatentBackbone, options: LoadOptions
) -> FirstBlockCacheConfig | MagCacheConfig | TaylorSeerCacheConfig:
    match options.step_cache:
        case StepCache.FIRST_BLOCK:
            return FirstBlockCacheConfig(threshold=options.step_cache_threshold)
        case StepCache.MAGCACHE:
            return MagCacheConfig(
                threshold=options.step_cache_threshold,
                num_inference_steps=backbone.card.steps,
                mag_ratios=FLUX_MAG_RATIOS,
            )
        case _:
            return TaylorSeerCacheConfig(disable_cache_before_step=3, cache_interval=5)
