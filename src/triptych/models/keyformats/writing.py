"""Skills with the keys that other programs read."""

from enum import StrEnum
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from triptych.errors import SkillError
from triptych.files import write_atomic
from triptych.models.card import Card
from triptych.models.catalog import FAMILIES, find_family
from triptych.models.keyformats.fusing import Pair, fuse, swap_halves
from triptych.models.keyformats.layers import Place, find_layer
from triptych.skill import KEY_PREFIX, Skill, architecture

__all__ = ["KeyFormat", "advice", "check_kin", "exported", "exported_file", "save_exported"]


class KeyFormat(StrEnum):
    """`diffusers` is also PEFT's; `kohya` is read by sd-scripts and most user interfaces, `comfyui` by ComfyUI."""

    DIFFUSERS = "diffusers"
    KOHYA = "kohya"
    COMFYUI = "comfyui"


def exported(skill: Skill, keys: KeyFormat) -> dict[str, Tensor]:
    """The skill's tensors by the format's keys.

    The scale is written as alpha (kohya), or multiplied into B (the others), so that every reader gets it right.
    Raises SkillError for a skill that cannot be written whole.
    """
    if skill.card.frozen_conditions:
        raise SkillError(
            f"skill {skill.name!r} leaves the processing of conditions unchanged, which other programs cannot do. "
            "Train with `frozen_conditions: false` to export."
        )
    family = find_family(skill.card.family)
    if keys is not KeyFormat.DIFFUSERS and family is not None and not family.diffusers:
        raise SkillError(
            f"skill {skill.name!r} is for the {family.name}, which only triptych runs: there is no {keys.value} LoRA "
            "of it. Share the skill's own file, or train on a backbone that other programs have."
        )
    if keys is not KeyFormat.DIFFUSERS and (family is None or not family.layers):
        known = ", ".join(each.name for each in FAMILIES if each.layers and each.diffusers)
        raise SkillError(
            f"skill {skill.name!r} is of the family {skill.card.family}, whose layers have no names in {keys.value} "
            f"LoRAs; those of {known} have. Export it with `--format diffusers`."
        )
    if keys is KeyFormat.DIFFUSERS:
        return {
            f"{KEY_PREFIX}{module}.lora_{side}.weight": tensor
            for module in skill.modules
            for side, tensor in zip("AB", _scaled(skill.pair(module), skill.scale), strict=True)
        }
    tensors: dict[str, Tensor] = {}
    for name, pair in _fused(skill).items():
        down, up = pair
        if keys is KeyFormat.KOHYA:
            stem = "lora_unet_" + name.replace(".", "_")
            tensors[f"{stem}.lora_down.weight"], tensors[f"{stem}.lora_up.weight"] = down, up
            # The rank of fused layers is larger, and readers divide alpha by it.
            tensors[f"{stem}.alpha"] = torch.tensor(skill.scale * down.shape[0])
        else:
            down, up = _scaled(pair, skill.scale)
            tensors[f"diffusion_model.{name}.lora_A.weight"] = down
            tensors[f"diffusion_model.{name}.lora_B.weight"] = up
    return dict(sorted(tensors.items()))


def check_kin(skill: Skill, card: Card) -> None:
    """Raise SkillError for a skill whose layers are not those of the backbone's family: others leave it out unsaid."""
    own, there = find_family(skill.card.family), find_family(card.family)
    if skill.card.family == card.family or (own and there and own.layers and own.layers == there.layers):
        return
    raise SkillError(
        f"skill {skill.name!r} was trained on {skill.card.backbone} ({skill.card.family}); {card.name} is of the "
        f"family {card.family}, and has no such layers. Name its own backbone with --backbone."
    )


def advice(skill: Skill, keys: KeyFormat, file: str) -> str | None:
    """How diffusers loads the exported `file` where its pipeline has no loader for LoRAs; None where it has one."""
    family = find_family(skill.card.family)
    if keys is not KeyFormat.DIFFUSERS or family is None or not family.diffusers or family.lora_loader:
        return None
    return (
        f"diffusers' {family.pipelines[0]} has no load_lora_weights. Its transformer takes the file: "
        f'pipeline.transformer.load_lora_adapter(safetensors.torch.load_file("{file}"), prefix="transformer")'
    )


def save_exported(skill: Skill, path: str | Path, keys: KeyFormat) -> None:
    """Write the skill for another program, atomically."""
    write_atomic(path, exported_file(skill, keys))


def exported_file(skill: Skill, keys: KeyFormat) -> bytes:
    """A safetensors file of the skill for another program, with the metadata that such programs show."""
    card, family = skill.card, find_family(skill.card.family)
    trigger = " ".join(filter(None, (card.template.opening, card.trigger)))
    metadata = {
        "format": "pt",
        "ss_output_name": card.name,
        "ss_network_module": "networks.lora" if family is None else family.network,
        "ss_network_dim": str(card.rank),
        "ss_network_alpha": str(card.alpha),
        "ss_base_model_version": card.family,
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": architecture(card),
        "modelspec.title": card.name,
        "modelspec.license": card.licence,
        "modelspec.trigger_phrase": trigger,
    }
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in exported(skill, keys).items()}
    return save(tensors, metadata=metadata)


def _scaled(pair: Pair, scale: float) -> Pair:
    return pair[0], pair[1] if scale == 1 else pair[1] * scale


def _fused(skill: Skill) -> dict[str, Pair]:
    """Updates by the names of the original code's layers."""
    unknown = [module for module in skill.modules if find_layer(module, skill.card.family) is None]
    if unknown:
        raise SkillError(
            f"{len(unknown)} layers of skill {skill.name!r} have no name in this format ({', '.join(unknown[:3])}). "
            "Export it as diffusers, or train without them (recipe key adapter.targets)."
        )
    groups: dict[str, tuple[Place, dict[str, Pair]]] = {}
    for module in skill.modules:
        place = find_layer(module, skill.card.family)
        assert place is not None, "unknown layers were refused"
        groups.setdefault(place.filled(place.layer.original), (place, {}))[1][module] = skill.pair(module)
    fused = {}
    for name, (place, pairs) in groups.items():
        modules = [place.filled(module) for module in place.layer.modules]
        if len(modules) == 1:
            down, up = pairs[modules[0]]
            fused[name] = (down, swap_halves(up)) if place.layer.swapped else (down, up)
        else:
            width = next(iter(pairs.values()))[0].shape[1]
            fused[name] = fuse([pairs.get(module) for module in modules], [h * width for h in place.layer.heights])
    return fused
