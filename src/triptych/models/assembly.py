"""The parts of a checkpoint, loaded with their options and put together by family."""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from torch import nn
from transformers import AutoTokenizer
from transformers.models.glm_image.image_processing_pil_glm_image import GlmImageImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from triptych.errors import BackboneError
from triptych.models.catalog import FAMILIES, Checkpoint, Family, card_alike, family_of_pipeline
from triptych.models.latent import LatentBackbone
from triptych.models.modular import Home, home_of
from triptych.models.options import LoadOptions, Offload
from triptych.models.parts import Parts
from triptych.models.placing import compile_blocks, enable_step_cache, place, quantisation, refuse_options, relief
from triptych.models.singlefile import is_foreign, load_transformer

__all__ = ["assemble", "foreign_file", "load_parts", "refuse_index"]

_LIBRARIES = ("diffusers", "transformers")
_SCHEDULER = "FlowMatchEulerDiscreteScheduler"
_SAFE = {"use_safetensors": True, "output_loading_info": True}
_EYES: Mapping[str, Any] = {"GlmImageProcessor": GlmImageImageProcessorPil}
"""Parts for pictures that are not Qwen2-VL's, by the processor that they belong to."""
_UNUSED = (
    "safety_checker",
    "feature_extractor",
    "image_encoder",
    "image_processor",
    "guider",
    "prompt_upsampler",
    "prompt_upsampler_processor",
)


def refuse_index(source: str, index: Mapping[str, Any], options: LoadOptions) -> None:
    """Raise BackboneError for a checkpoint that cannot be loaded like this, from its `model_index.json` alone."""
    refuse_options(source, _family(source, index), options)
    scheduler = index.get("scheduler")
    if isinstance(scheduler, list) and scheduler[1] != _SCHEDULER:
        raise BackboneError(
            f"{source} has the scheduler {scheduler[1]}; noise levels are read from {_SCHEDULER} alone. Take the "
            "folder scheduler/ of the original checkpoint, and name its class in model_index.json."
        )
    for name, (library, class_name, *_) in _used(index).items():
        if library not in _LIBRARIES:
            raise BackboneError(
                f"{source}: part {name!r} is of the library {library!r}; only {' and '.join(_LIBRARIES)} are loaded."
            )
        if not hasattr(importlib.import_module(library), class_name):
            raise BackboneError(f"{source}: part {name!r} is a {class_name}; this version of {library} has none.")


def _used(index: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The parts that are loaded."""
    return {
        name: entry
        for name, entry in index.items()
        if isinstance(entry, list) and name not in _UNUSED and entry[0] is not None
    }


def _family(source: str, index: Mapping[str, Any]) -> Family:
    pipeline = index.get("_class_name", "")
    family = family_of_pipeline(pipeline)
    if family is None:
        known = sorted(each for family in FAMILIES for each in family.pipelines)
        near = get_close_matches(pipeline, known, n=1, cutoff=0.5)
        meant = f" Nearest is {near[0]}, of another network." if near else ""
        raise BackboneError(
            f"{source} is a {pipeline or 'checkpoint of no pipeline'}; known are: {', '.join(known)}.{meant} "
            "CONTRIBUTING says how a new family is added."
        )
    return family


def foreign_file(source: str, index: Mapping[str, Any]) -> Path | None:
    """The transformer's file in a folder where it lies as ComfyUI has it: its authors' names, or scales."""
    entry = _used(index).get("transformer")
    if entry is None or not Path(source).expanduser().is_dir():
        return None
    home = home_of(source, "transformer", entry)
    file = Path(home.source).expanduser() / home.subfolder / "diffusion_pytorch_model.safetensors"
    kind = getattr(importlib.import_module(entry[0]), entry[1])
    with _reading(source, "transformer"):
        return file if file.is_file() and is_foreign(file, kind, home.source) else None


def load_parts(
    source: str, index: Mapping[str, Any], options: LoadOptions, *, transformer_file: Path | None = None
) -> Parts:
    """Every component from its subfolder, safetensors only. Raises BackboneError naming the part that failed."""
    loaded = {}
    for name, entry in _used(index).items():
        library, class_name = entry[:2]
        home = home_of(source, name, entry)
        part = loaded[name] = _load_part(home, name, library, class_name, options, transformer_file)
        if isinstance(part, nn.Module) and options.offload in (Offload.PARTS, Offload.LAYERS):
            # Quantised weights are packed on the device: each part leaves it before the next one comes.
            part.to("cpu")
    return Parts(by_name=loaded)


def assemble(
    parts: Parts, index: Mapping[str, Any], checkpoint: Checkpoint | None, options: LoadOptions, *, name: str
) -> LatentBackbone:
    """The family's room around the parts, on its device."""
    family = _family(name, index)
    card = checkpoint.card if checkpoint else card_alike(family, index, parts["transformer"].config, name)
    backbone = family.build(parts, card, index, options)
    backbone.card = replace(card, factor=backbone.codec.factor, channels=backbone.codec.channels)
    modules = {part_name: part for part_name, part in parts.by_name.items() if isinstance(part, nn.Module)}
    place(backbone, modules, options)
    backbone.set_relief(relief(backbone, modules, options))
    enable_step_cache(backbone, options)
    if options.compile:
        compile_blocks(backbone)
    return backbone


def _load_part(
    home: Home, name: str, library: str, class_name: str, options: LoadOptions, transformer_file: Path | None
) -> Any:
    source, place = home.source, home.arguments
    kind = getattr(importlib.import_module(library), class_name)
    is_module = issubclass(kind, nn.Module)
    settings: dict[str, Any] = {}
    if is_module:
        settings = {"torch_dtype" if library == "diffusers" else "dtype": options.dtype}
        if name != "vae":
            settings |= quantisation(library, options)
    with _reading(source, name):
        if name == "processor":
            # Its tokenizer and its part for pictures: the whole has one for videos too, which needs torchvision.
            eyes = _EYES.get(class_name, Qwen2VLImageProcessorPil)
            return tuple(part.from_pretrained(source, **place) for part in (AutoTokenizer, eyes))
        if name == "siglip_processor":
            # The one that its class stands for needs torchvision.
            return Siglip2ImageProcessorPil.from_pretrained(source, **place)
        if name == "tokenizer" and class_name.endswith("Processor"):
            # FLUX.2-dev's: only its tokenizer reads here, and its part for pictures needs torchvision.
            return AutoTokenizer.from_pretrained(source, **place)
        if name == "transformer" and transformer_file is not None:
            part = load_transformer(kind, transformer_file, source, settings)
        elif is_module:
            part, told = cast(Any, kind).from_pretrained(source, **place, **settings, **_SAFE)
            _refuse_missing(source, name, told["missing_keys"])
        else:
            part = kind.from_pretrained(source, **place)
    return part.eval().requires_grad_(False) if is_module else part


@contextmanager
def _reading(source: str, name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise BackboneError(f"{source}: the part {name!r} could not be loaded: {error}") from error


def _refuse_missing(source: str, name: str, missing: Iterable[str]) -> None:
    """What is missing would be random, or nowhere, after no more than a warning."""
    names = sorted(missing)
    if names:
        raise BackboneError(
            f"{source}: the part {name!r} lacks {len(names)} of its weights ({', '.join(names[:2])}"
            f"{', ...' if len(names) > 2 else ''}). Fetch it again."
        )
