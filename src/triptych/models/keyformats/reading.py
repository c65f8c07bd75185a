"""LoRA files of other programs as skills: diffusers/PEFT, kohya, ComfyUI, XLabs, BFL, fal, DiffSynth."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from triptych.errors import SkillError
from triptych.files import why_unread
from triptych.models.catalog import find_family
from triptych.models.keyformats.fusing import Pair, swap_halves, unfuse
from triptych.models.keyformats.layers import Place, find_layer
from triptych.models.keyformats.scales import PeftConfig, find_peft_config
from triptych.prompts import Template, find_template
from triptych.skill import KEY_PREFIX, Skill, SkillCard

__all__ = ["Report", "inspect_lora", "read_lora"]

_PREFIXES = re.compile(
    r"^(?:base_model\.model\.|lora_unet_|lora_transformer_|diffusion_model\.|transformer\.|pipe\.dit\.)+"
)
_SUFFIX = re.compile(
    r"\.(?:lora_(?P<side>[AB]|down|up)(?:\.default)?\.weight|(?P<xlabs>down|up)\.weight|(?P<alpha>alpha))$"
)
_SIDES = {"A": "A", "down": "A", "B": "B", "up": "B"}
_TEXT_ENCODER = re.compile(
    r"^(?:base_model\.model\.)?"
    r"(?:lora_te\d*_|(?:lora_)?text_encoders?(?:_\d)?[._]|text_model\.|cond_stage_model\.|conditioner\.|bundle_emb\.)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What happened to every key of a file."""

    matched: tuple[str, ...]
    unmatched: tuple[str, ...]
    misshaped: tuple[str, ...]
    """Keys that cannot be used, with the reason behind them."""
    left_out: tuple[str, ...] = ()
    """Keys of text encoders, where these are ignored."""

    @property
    def is_whole(self) -> bool:
        return bool(self.matched) and not self.unmatched and not self.misshaped

    def __str__(self) -> str:
        lines = [f"{len(self.matched)} keys matched, {len(self.unmatched)} unmatched, {len(self.misshaped)} misshaped"]
        lines[0] += f", {len(self.left_out)} of text encoders left out" if self.left_out else ""
        kinds = (("unmatched", self.unmatched), ("misshaped", self.misshaped), ("left out", self.left_out))
        for kind, keys in kinds:
            lines += [f"  {kind}: {key}" for key in keys[:8]]
            lines += [f"  ... and {len(keys) - 8} more {kind}"] if len(keys) > 8 else []
        return "\n".join(lines)


@dataclass(slots=True)
class _Found:
    """One layer of the file, as its keys are met."""

    name: str
    place: Place
    sides: dict[str, Tensor] = field(default_factory=dict)
    alpha: float | None = None
    keys: list[str] = field(default_factory=list)


def inspect_lora(
    tensors: Mapping[str, Tensor],
    family: str,
    transformer: nn.Module | None = None,
    *,
    ignore_text_encoder: bool = False,
) -> Report:
    """What `read_lora` would make of every key; shapes are compared with `transformer` if given."""
    return _collect(tensors, family, transformer, PeftConfig(), ignore_text_encoder)[0]


def read_lora(
    path: str | Path,
    *,
    family: str,
    backbone: str,
    transformer: nn.Module | None = None,
    template: Template | None = None,
    ignore_text_encoder: bool = False,
) -> tuple[Skill, Report]:
    """A foreign LoRA as a skill for pages of `template`, and what became of its keys.

    Its scale is the alpha noted beside each layer, else what PEFT's configuration says: in the file's metadata, or in
    `adapter_config.json` beside the file. Raises SkillError with the report where a key was not matched or cannot be
    used: nothing is left out, except, with `ignore_text_encoder`, the layers of text encoders.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise SkillError(
            f"{path} is not a .safetensors file; others may run code when they are read. Convert it first."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError) as error:
        raise SkillError(f"{path} cannot be read: {why_unread(path, error)}.") from error
    config = find_peft_config(path, metadata)
    report, pairs = _collect(tensors, family, transformer, config, ignore_text_encoder)
    if not report.is_whole:
        raise SkillError(
            f"{path} cannot be taken whole for the family {family!r}, so nothing was taken.\n{report}{_advice(report)}"
        )
    record = find_family(family)
    rank, alpha, converted = _alike(pairs)
    card = SkillCard(
        name=path.stem[:100],
        description=f"Imported from {path.name}",
        backbone=backbone,
        family=family,
        architecture=record.architecture if record else "",
        rank=rank,
        alpha=alpha,
        template=template or find_template("panels"),
    )
    return Skill(card=card, tensors=converted), report


def _advice(report: Report) -> str:
    if report.unmatched and all(_TEXT_ENCODER.match(key) for key in report.unmatched):
        return "\nAll unmatched keys are of text encoders; --ignore-text-encoder leaves them out."
    return ""


def _collect(
    tensors: Mapping[str, Tensor],
    family: str,
    transformer: nn.Module | None,
    config: PeftConfig,
    ignore_text_encoder: bool,
) -> tuple[Report, dict[str, tuple[Pair, float]]]:
    layers: dict[str, _Found] = {}
    unmatched: list[str] = []
    left_out: list[str] = []
    for key, tensor in sorted(tensors.items()):
        if ignore_text_encoder and _TEXT_ENCODER.match(key):
            left_out.append(key)
            continue
        suffix = _SUFFIX.search(key)
        name = _PREFIXES.sub("", key[: suffix.start()]) if suffix else ""
        place = find_layer(name, family) if name else None
        if suffix is None or place is None:
            unmatched.append(key)
            continue
        found = layers.setdefault(name, _Found(name=name, place=place))
        found.keys.append(key)
        if suffix["alpha"]:
            found.alpha = float(tensor) if tensor.numel() == 1 else float("nan")
        else:
            found.sides[_SIDES[suffix["side"] or suffix["xlabs"]]] = tensor
    widths = _widths(transformer)
    misshaped: list[str] = []
    pairs: dict[str, tuple[Pair, float]] = {}
    matched: list[str] = []
    for found in layers.values():
        reason = _fault(found, widths)
        if reason:
            misshaped += [f"{key} ({reason})" for key in found.keys]
            continue
        matched += found.keys
        pairs |= _unfused(found, config)
    report = Report(
        matched=tuple(matched), unmatched=tuple(unmatched), misshaped=tuple(misshaped), left_out=tuple(left_out)
    )
    return report, pairs


def _widths(transformer: nn.Module | None) -> dict[str, tuple[int, int]] | None:
    if transformer is None:
        return None
    layers = transformer.named_modules()
    return {name: (child.out_features, child.in_features) for name, child in layers if isinstance(child, nn.Linear)}


def _fault(found: _Found, widths: Mapping[str, tuple[int, int]] | None) -> str:
    """Why a layer's tensors cannot be what they say; empty where they can."""
    if set(found.sides) != {"A", "B"}:
        return "its other half is missing"
    down, up = found.sides["A"], found.sides["B"]
    if down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1]:
        return f"A is {tuple(down.shape)} and B is {tuple(up.shape)}: the ranks differ"
    if not all(bool(side.isfinite().all()) for side in (down, up)):
        return "it has values that are not finite: the training diverged, or the file is damaged"
    if found.alpha is not None and not isfinite(found.alpha):
        return "its alpha is not a number"
    heights = _heights(found)
    if found.place.module is None and sum(heights) != up.shape[0]:
        return f"B has {up.shape[0]} rows, the layer has {sum(heights)}"
    if widths is None:
        return ""
    for module, height in zip(found.place.modules, heights, strict=True):
        if module not in widths:
            return f"the transformer has no {module}"
        own = (up.shape[0] if found.place.module is not None else height, down.shape[1])
        if own != widths[module]:
            return f"{module} is {widths[module][0]}x{widths[module][1]}, the update is {own[0]}x{own[1]}"
    return ""


def _heights(found: _Found) -> list[int]:
    if found.place.module is not None:
        return [found.sides["B"].shape[0]]
    return [height * found.sides["A"].shape[1] for height in found.place.layer.heights]


def _unfused(found: _Found, config: PeftConfig) -> dict[str, tuple[Pair, float]]:
    """Updates by diffusers' module names, each with its scale."""
    down, up = (found.sides[side].float() for side in "AB")
    rank = down.shape[0]
    scale = config.scale_of(found.name, rank) if found.alpha is None else found.alpha / rank
    if found.place.is_swapped:
        up = swap_halves(up)
    parts = [(down, up)] if found.place.module is not None else unfuse(down, up, _heights(found))
    return {module: (part, scale) for module, part in zip(found.place.modules, parts, strict=True) if part is not None}


def _alike(pairs: Mapping[str, tuple[Pair, float]]) -> tuple[int, float, dict[str, Tensor]]:
    """One rank and one scale for all: smaller ranks are filled with zeros, unlike scales multiplied into B."""
    rank = max(down.shape[0] for (down, _), _ in pairs.values())
    scales = {scale for _, scale in pairs.values()}
    common = scales.pop() if len(scales) == 1 and min(scales) > 0 else None
    tensors = {}
    for module, ((down, up), scale) in sorted(pairs.items()):
        missing = rank - down.shape[0]
        factor = 1.0 if common is not None else scale
        tensors[f"{KEY_PREFIX}{module}.lora_A.weight"] = torch.nn.functional.pad(down, (0, 0, 0, missing))
        tensors[f"{KEY_PREFIX}{module}.lora_B.weight"] = torch.nn.functional.pad(up * factor, (0, missing))
    return rank, (1.0 if common is None else common) * rank, tensors
