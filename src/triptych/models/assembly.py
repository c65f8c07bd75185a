"""The parts of a checkpoint, loaded with their options and put together by family."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from triptych.errors import BackboneError
from triptych.models.backbone import Card
from triptych.models.catalog import CHECKPOINTS, Checkpoint
from triptych.models.flux1 import Flux1, Flux1Text
from triptych.models.flux1_fill import Flux1Fill
from triptych.models.flux2 import Flux2, MistralText, QwenText
from triptych.models.kontext import Kontext
from triptych.models.latent import LatentBackbone
from triptych.models.options import LoadOptions, Offload, References
from triptych.models.placing import compile_blocks, enable_step_cache, place, quantisation, relief
from triptych.models.qwen import QwenEdit, QwenEditText
from triptych.models.qwen21 import Qwen21, Qwen21Text
from triptych.models.sd3 import SD3, SD3Text
from triptych.models.singlefile import is_original, load_transformer

__all__ = ["Parts", "assemble", "load_parts", "refuse_index"]

_LIBRARIES = ("diffusers", "transformers")
_SCHEDULER = "FlowMatchEulerDiscreteScheduler"
_SAFE = {"use_safetensors": True}
_UNUSED = ("safety_checker", "feature_extractor", "image_encoder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The components of a pipeline, by the names that `model_index.json` gives them."""

    by_name: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        if name not in self.by_name:
            raise BackboneError(f"the checkpoint has no part {name!r}; it has: {', '.join(self.by_name)}.")
        return self.by_name[name]


def refuse_index(source: str, index: Mapping[str, Any]) -> None:
    """Raise BackboneError for a checkpoint that cannot be loaded, from its `model_index.json` alone."""
    pipeline = index.get("_class_name", "")
    known = sorted({each.pipeline for each in CHECKPOINTS})
    if pipeline not in known:
        raise BackboneError(f"{source} is a {pipeline or 'checkpoint of no pipeline'}; known are: {', '.join(known)}.")
    scheduler = index.get("scheduler")
    if isinstance(scheduler, list) and scheduler[1] != _SCHEDULER:
        raise BackboneError(
            f"{source} has the scheduler {scheduler[1]}; noise levels are read from {_SCHEDULER} alone. Take the "
            "folder scheduler/ of the original checkpoint, and name its class in model_index.json."
        )


def load_parts(
    source: str, index: Mapping[str, Any], options: LoadOptions, *, transformer_file: Path | None = None
) -> Parts:
    """Every component from its subfolder, safetensors only. Raises BackboneError naming the part that failed."""
    loaded = {}
    for name, entry in index.items():
        if not isinstance(entry, list) or name in _UNUSED or entry[0] is None:
            continue
        library, class_name = entry
        if library not in _LIBRARIES:
            raise BackboneError(f"{source}: part {name!r} is of the library {library!r}; known are {_LIBRARIES}.")
        part = loaded[name] = _load_part(source, name, library, class_name, options, transformer_file)
        if isinstance(part, nn.Module) and options.offload in (Offload.PARTS, Offload.LAYERS):
            # Quantised weights are packed on the device: each part leaves it before the next one comes.
            part.to("cpu")
    return Parts(by_name=loaded)


def assemble(
    parts: Parts, index: Mapping[str, Any], checkpoint: Checkpoint | None, options: LoadOptions, *, name: str
) -> LatentBackbone:
    """The family's room around the parts, on its device. Raises BackboneError for a pipeline without a room."""
    pipeline = index.get("_class_name", "")
    card = checkpoint.card if checkpoint else _card_of(pipeline, index, parts, name)
    backbone = _room(pipeline, card, parts, index, options)
    backbone.card = replace(card, factor=backbone.codec.factor, channels=backbone.codec.channels)
    modules = {part_name: part for part_name, part in parts.by_name.items() if isinstance(part, nn.Module)}
    place(backbone, modules, options)
    backbone.set_relief(relief(backbone, modules, options))
    enable_step_cache(backbone, options)
    if options.compile:
        compile_blocks(backbone)
    return backbone


def _load_part(
    source: str, name: str, library: str, class_name: str, options: LoadOptions, transformer_file: Path | None
) -> Any:
    kind = getattr(importlib.import_module(library), class_name, None)
    if kind is None:
        raise BackboneError(f"{source}: part {name!r} is a {class_name}; this version of {library} has none.")
    is_module = issubclass(kind, nn.Module)
    settings: dict[str, Any] = {}
    if is_module:
        settings = {"torch_dtype" if library == "diffusers" else "dtype": options.dtype}
        if name != "vae":
            settings |= quantisation(library, options)
    try:
        if name == "processor":
            # Its tokenizer and its part for pictures: the whole has one for videos too, which needs torchvision.
            return tuple(
                part.from_pretrained(source, subfolder=name) for part in (AutoTokenizer, Qwen2VLImageProcessorPil)
            )
        if name == "tokenizer" and class_name.endswith("Processor"):
            # FLUX.2-dev's: only its tokenizer reads here, and its part for pictures needs torchvision.
            return AutoTokenizer.from_pretrained(source, subfolder=name)
        if name == "transformer" and (file := transformer_file or _original_file(source, kind)) is not None:
            part = load_transformer(kind, file, source, settings)
        else:
            part = kind.from_pretrained(source, subfolder=name, **settings, **_SAFE if is_module else {})
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise BackboneError(f"{source}: the part {name!r} could not be loaded: {error}") from error
    return part.eval().requires_grad_(False) if is_module else part


def _original_file(source: str, kind: Any) -> Path | None:
    """The transformer's file in a folder where it lies under the names of its authors' code, as ComfyUI has it."""
    file = Path(source).expanduser() / "transformer" / "diffusion_pytorch_model.safetensors"
    return file if file.is_file() and is_original(file, kind, source) else None


def _card_of(pipeline: str, index: Mapping[str, Any], parts: Parts, name: str) -> Card:
    """The card of a checkpoint that is not in the catalogue: that of its kin, with its own name and no promises."""
    kin = [each.card for each in CHECKPOINTS if each.pipeline == pipeline]
    card = kin[0]
    if pipeline == "Flux2KleinPipeline":
        distilled = bool(index.get("is_distilled"))
        card = next(each for each in kin if (each.negative is None) is distilled)
    elif pipeline == "FluxPipeline":
        guided = bool(parts["transformer"].config.guidance_embeds)
        card = next(each for each in kin if (each.guidance is not None) is guided)
    return replace(card, name=name, licence="see the card of the checkpoint")


def _room(pipeline: str, card: Card, parts: Parts, index: Mapping[str, Any], options: LoadOptions) -> LatentBackbone:
    shared: dict[str, Any] = {
        "card": card,
        "transformer": parts["transformer"],
        "vae": parts["vae"],
        "scheduler": parts["scheduler"],
    }
    limit = card.max_text_tokens
    match pipeline:
        case "FluxPipeline":
            return Flux1(text=_flux1_text(parts, limit), **shared)
        case "FluxFillPipeline":
            return Flux1Fill(text=_flux1_text(parts, limit), **shared)
        case "FluxKontextPipeline":
            return Kontext(text=_flux1_text(parts, limit), **shared)
        case "Flux2Pipeline":
            text = MistralText(parts["text_encoder"], parts["tokenizer"], limit=limit)
            seen = options.references or References.JOINT
            return Flux2(text=text, references=seen, trained=References.JOINT, **shared)
        case "Flux2KleinPipeline" | "Flux2KleinKVPipeline":
            text = QwenText(parts["text_encoder"], parts["tokenizer"], limit=limit)
            native = References.ALONE if pipeline == "Flux2KleinKVPipeline" else References.JOINT
            return Flux2(text=text, references=options.references or native, trained=native, **shared)
        case "QwenImageEditPlusPipeline":
            _, processor = parts["processor"]
            text = QwenEditText(parts["text_encoder"], parts["tokenizer"], processor, limit=limit)
            return QwenEdit(text=text, **shared)
        case "QwenImage21Pipeline":
            tokenizer, processor = parts["processor"]
            text = Qwen21Text(parts["text_encoder"], tokenizer, processor, limit=limit)
            return Qwen21(text=text, sample_sigmas=index.get("sample_sigmas"), **shared)
        case "StableDiffusion3Pipeline":
            return SD3(text=_sd3_text(parts, limit), **shared)
    raise BackboneError(f"{card.name} is a {pipeline}, which cannot be assembled here.")


def _flux1_text(parts: Parts, limit: int) -> Flux1Text:
    return Flux1Text(
        clip=parts["text_encoder"],
        clip_tokenizer=parts["tokenizer"],
        t5=parts["text_encoder_2"],
        t5_tokenizer=parts["tokenizer_2"],
        limit=limit,
    )


def _sd3_text(parts: Parts, limit: int) -> SD3Text:
    return SD3Text(
        clips=(parts["text_encoder"], parts["text_encoder_2"]),
        clip_tokenizers=(parts["tokenizer"], parts["tokenizer_2"]),
        t5=parts["text_encoder_3"],
        t5_tokenizer=parts["tokenizer_3"],
        limit=limit,
    )
