"""A transformer from one file, as ComfyUI and the authors' own code write them: other names, scaled weights, GGUF."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import GGUFQuantizationConfig
from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
from safetensors import safe_open
from torch import Tensor

from triptych.errors import BackboneError

__all__ = ["is_foreign", "load_transformer", "refuse_unread_gguf", "unscaled"]

_PREFIXES = ("model.diffusion_model.", "diffusion_model.")
_SCALES = (".scale_weight", ".weight_scale")
"""ComfyUI's name, and that of Black Forest Labs, for what a layer's stored weight is to be multiplied by."""
_OF_INPUTS = (".scale_input", ".input_scale")
"""For computing in fp8, which is not done here: weights are widened when they are read."""
_MARK = "scaled_fp8"
_KIND = ".comfy_quant"
"""Beside a layer: how it is stored, as JSON in bytes. `_KINDS` of the file's metadata has the same for all layers."""
_KINDS = "_quantization_metadata"
_READ = ("float8_e4m3fn", "float8_e5m2")
_SECOND_SCALE = ".weight_scale_2"
"""Of weights in four bits."""


def load_transformer(kind: Any, file: Path, base: str, settings: Mapping[str, Any]) -> Any:
    """The transformer of class `kind` from `file`, with the configuration of the checkpoint `base`.

    Raises BackboneError, before weights are read, where names or sizes are not those of the base's transformer.
    """
    if file.suffix.lower() == ".gguf":
        return _from_gguf(kind, file, base, settings)
    stored = settings.get("quantization_config")
    with safe_open(file, framework="pt") as opened:
        names = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        plain = {name: torch.empty(shape, device="meta") for name, shape in names.items()}
        _refuse_kinds(opened, file)
        _refuse_scales(plain, file)
        _refuse_misfit(kind, unscaled(plain), file, base)
        weights = unscaled({name: opened.get_tensor(name) for name in names}, settings["torch_dtype"])
    made = kind.from_single_file(
        _converted(kind, weights, _empty(kind, base)),
        config=base,
        subfolder="transformer",
        torch_dtype=settings["torch_dtype"],
    )
    if stored is not None:
        # diffusers 0.42 takes a file for one that is quantised already, and would leave it as it is.
        importlib.import_module("torchao.quantization").quantize_(made, stored.get_apply_tensor_subclass())
    return made


def refuse_unread_gguf(file: Path) -> None:
    """Raise BackboneError for a GGUF file that is cut short or none at all. Its weights are mapped, and not read."""
    if importlib.util.find_spec("gguf") is None:
        raise BackboneError(f"{file.name}: GGUF files need the package gguf: pip install 'triptych[gguf]'.")
    from gguf import GGUFReader

    try:
        GGUFReader(file)
    # What the reader says of bytes that are none of GGUF, or end too soon.
    except (OSError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise BackboneError(f"{file.name} is not a readable GGUF file: {error}. Fetch it again.") from error


def is_foreign(file: Path, kind: Any, base: str) -> bool:
    """Whether diffusers' own reader would misread the file: other names for its weights, or scales beside them."""
    with safe_open(file, framework="pt") as opened:
        plain = {name: torch.empty(0, device="meta") for name in opened.keys()}  # noqa: SIM118
    return any(name.endswith(_SCALES) for name in plain) or not _is_native(unscaled(plain), _empty(kind, base))


def unscaled(tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.bfloat16) -> dict[str, Tensor]:
    """The weights by their names without a prefix; those with scales beside them multiplied, and of type `dtype`."""
    tensors = {_bare(name): tensor for name, tensor in tensors.items()}
    scales = _scales(tensors)
    return {
        name: _multiplied(tensor, scales[name], dtype) if name in scales else tensor
        for name, tensor in tensors.items()
        if name != _MARK and not name.endswith((*_SCALES, *_OF_INPUTS, _KIND))
    }


def _scales(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By the name of the weight that they belong to."""
    return {
        name.removesuffix(ending) + ".weight": tensor
        for name, tensor in tensors.items()
        for ending in _SCALES
        if name.endswith(ending)
    }


def _multiplied(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """One number for the layer, one a row, or one for every block of a row."""
    if weight.device.type == "meta":
        return weight
    rows = 1 if scale.numel() == 1 else len(weight)
    blocks = scale.numel() // rows
    wide = weight.float().reshape(rows, blocks, -1) * scale.float().reshape(rows, blocks, 1)
    return wide.reshape(weight.shape).to(dtype)


def _refuse_kinds(opened: Any, file: Path) -> None:
    """Raise BackboneError for layers that are stored in another way than eight-bit floats with scales."""
    whole = _told((opened.metadata() or {}).get(_KINDS) or "{}", file, _KINDS)
    said = _told(json.dumps(whole.get("layers", {})), file, _KINDS)
    for name in opened.keys():  # noqa: SIM118
        if name.endswith(_KIND):
            stored = opened.get_tensor(name).flatten().view(torch.uint8)
            said[name.removesuffix(_KIND)] = _told(bytes(stored.tolist()), file, name)
        elif name.endswith(_SECOND_SCALE):
            said.setdefault(name.removesuffix(_SECOND_SCALE), {"format": "nvfp4"})
    for layer, how in said.items():
        how = how if isinstance(how, dict) else {"format": how}
        if how.get("format") not in _READ or how.get("convrot"):
            kind = f"{how.get('format')}{', rotated' if how.get('convrot') else ''}"
            raise BackboneError(
                f"{file.name} stores {layer} as {kind}, which cannot be read. Take a file of the same model in bf16, "
                "fp16, fp8 with or without scales, or GGUF."
            )


def _told(text: str | bytes, file: Path, place: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise BackboneError(
            f"{file.name} says at {place} how its layers are stored, in another way than is known ({text[:30]!r}). "
            "Take a file of the same model in bf16."
        )
    return told


def _refuse_scales(tensors: Mapping[str, Tensor], file: Path) -> None:
    bare = {_bare(name): tensor for name, tensor in tensors.items()}
    for name, scale in _scales(bare).items():
        weight = bare.get(name)
        if weight is None:
            raise BackboneError(
                f"{file.name} has a scale for {name}, and no such weight. It is damaged: fetch it again."
            )
        rows, count = len(weight) if weight.ndim else 0, scale.numel()
        fits = rows and count and not count % rows and not weight[0].numel() % (count // rows)
        if count != 1 and not fits:
            raise BackboneError(
                f"{file.name}: the scales of {name} ({tuple(weight.shape)}) are of size {tuple(scale.shape)}; they can "
                "be one for the layer, one per row, or one for every block of a row. Take the bf16 file."
            )


def _bare(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _from_gguf(kind: Any, file: Path, base: str, settings: Mapping[str, Any]) -> Any:
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
