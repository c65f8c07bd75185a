"""A transformer from one file, as ComfyUI and the authors' own code write them: other names, scaled weights, GGUF."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import GGUFQuantizationConfig
from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
from safetensors import safe_open
from torch import Tensor

from triptych.errors import BackboneError

__all__ = ["is_original", "load_transformer", "unscaled"]

_PREFIXES = ("model.diffusion_model.", "diffusion_model.")
_SCALES = (".scale_weight", ".weight_scale")
"""ComfyUI's name, and that of Black Forest Labs, for what a layer's stored weight is to be multiplied by."""
_OF_INPUTS = (".scale_input", ".input_scale")
"""For computing in fp8, which is not done here: weights are widened when they are read."""
_MARK = "scaled_fp8"


def load_transformer(kind: Any, file: Path, base: str, settings: Mapping[str, Any]) -> Any:
    """The transformer of class `kind` from `file`, with the configuration of the checkpoint `base`.

    Raises BackboneError, before weights are read, where names or sizes are not those of the base's transformer.
    """
    if file.suffix.lower() == ".gguf":
        return _from_gguf(kind, file, base, settings)
    with safe_open(file, framework="pt") as opened:
        names = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        plain = {name: torch.empty(shape, device="meta") for name, shape in names.items()}
        _refuse_misfit(kind, unscaled(plain), file, base)
        weights = unscaled({name: opened.get_tensor(name) for name in names})
    return kind.from_single_file(
        _converted(kind, weights, _empty(kind, base)), config=base, subfolder="transformer", **settings
    )


def is_original(file: Path, kind: Any, base: str) -> bool:
    """Whether the file has other names for its weights than diffusers."""
    with safe_open(file, framework="pt") as opened:
        return not _is_native(unscaled(dict.fromkeys(opened.keys(), torch.empty(0))), _empty(kind, base))


def unscaled(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights by their names without a prefix, multiplied by the scales that stand beside them."""
    tensors = {_bare(name): tensor for name, tensor in tensors.items()}
    scales = {
        name.removesuffix(ending) + ".weight": tensor
        for name, tensor in tensors.items()
        for ending in _SCALES
        if name.endswith(ending)
    }
    weights = {}
    for name, tensor in tensors.items():
        if name == _MARK or name.endswith((*_SCALES, *_OF_INPUTS)):
            continue
        scale = scales.get(name)
        if scale is not None and tensor.device.type != "meta":
            scale = scale.float()
            # One number for the layer, or one a row.
            scale = scale.reshape(-1, 1) if scale.numel() > 1 else scale
            tensor = (tensor.float() * scale).to(torch.bfloat16)
        weights[name] = tensor
    return weights


def _bare(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _from_gguf(kind: Any, file: Path, base: str, settings: Mapping[str, Any]) -> Any:
    if importlib.util.find_spec("gguf") is None:
        raise BackboneError(f"{file.name}: GGUF files need the package gguf: pip install 'triptych[gguf]'.")
    if "quantization_config" in settings:
        raise BackboneError(f"{file.name} holds quantised weights already; leave `quantise` out.")
    stored = GGUFQuantizationConfig(compute_dtype=settings["torch_dtype"])
    try:
        made = kind.from_single_file(
            str(file), config=base, subfolder="transformer", quantization_config=stored, **settings
        )
    except (KeyError, IndexError, ValueError, RuntimeError, AttributeError) as error:
        raise _misfit(file, kind, base, f"diffusers' GGUF reader says: {type(error).__name__} {error}") from error
    missing = [name for name, weight in made.named_parameters() if weight.device.type == "meta"]
    if missing:
        raise _misfit(file, kind, base, f"of its weights, {len(missing)} missing ({', '.join(missing[:2])})")
    return made


def _empty(kind: Any, base: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        return kind.from_config(kind.load_config(base, subfolder="transformer")).state_dict()


def _is_native(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return 2 * len(weights.keys() & expected.keys()) > len(expected)


def _converted(kind: Any, weights: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if _is_native(weights, expected):
        return weights
    convert = SINGLE_FILE_LOADABLE_CLASSES[kind.__name__]["checkpoint_mapping_fn"]
    return convert(checkpoint=dict(weights))


def _refuse_misfit(kind: Any, weights: dict[str, Tensor], file: Path, base: str) -> None:
    expected = _empty(kind, base)
    try:
        found = _converted(kind, weights, expected)
    # What diffusers' converters raise for names or sizes that they do not know.
    except (KeyError, IndexError, ValueError, RuntimeError, AttributeError) as error:
        raise _misfit(file, kind, base, f"its names are of another kind ({type(error).__name__}: {error})") from error
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    sizes = sorted(name for name in expected.keys() & found.keys() if expected[name].shape != found[name].shape)
    said = [
        f"{len(names)} {what} ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
        for what, names in (("missing", missing), ("unknown", unknown), ("of another size", sizes))
        if names
    ]
    if said:
        raise _misfit(file, kind, base, "of its weights, " + "; ".join(said))


def _misfit(file: Path, kind: Any, base: str, reason: str) -> BackboneError:
    return BackboneError(
        f"{file.name} is not the whole {kind.__name__} of {base}: {reason}. Name the base that the file was made from "
        "(FLUX.1 and FLUX.2, dev, schnell and klein differ), or fetch the file again."
    )
