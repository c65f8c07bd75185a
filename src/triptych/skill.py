"""The skill: a trained adapter with the page it was trained for, in one safetensors file.

Tensor keys are `transformer.<module>.lora_A.weight` and `.lora_B.weight`, as diffusers writes LoRAs, so the file
is at the same time a LoRA that diffusers' `load_lora_weights` reads.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from itertools import zip_longest
from math import sqrt
from pathlib import Path

from jaxtyping import Float
from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from triptych.errors import SkillError
from triptych.files import is_folder, why_unread, write_atomic
from triptych.page import Page, Role
from triptych.prompts import PageSketch, Template, page_from_template

__all__ = [
    "KEY_PREFIX",
    "Skill",
    "SkillCard",
    "architecture",
    "load_skill",
    "payload_sha256",
    "save_skill",
    "shipped_skills",
    "skill_file",
]

KEY_PREFIX = "transformer."
_METADATA = "triptych.skill"
_VERSION = 1
_KEY = re.compile(r"transformer\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
_ALIKE = 0.02
"""Widths by heights that differ by less are one shape: sides were rounded to whole pixels."""


class SkillCard(BaseModel):
    """A skill's metadata: enough to use it again and to know where it came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    description: str = ""
    backbone: str
    """Name of the backbone that it was trained on."""
    family: str
    architecture: str = ""
    """ModelSpec's name for the family's network; empty where it is that of the family."""
    rank: int = Field(ge=1)
    alpha: float = Field(gt=0, allow_inf_nan=False)
    rank_stabilised: bool = False
    """Scale by alpha / sqrt(rank) in place of alpha / rank (Kalajdzievski 2023, arXiv:2312.03732)."""
    frozen_conditions: bool = False
    """The adapter is off while the conditions' keys and values are computed."""
    template: Template
    """Prompt template, and in `template.page` the panels with roles, sizes and layout."""
    trigger: str = ""
    """Words put in front of the overview."""
    overview: str = ""
    """What all training pages said about the page; empty where they differed."""
    instructions: tuple[str, ...] = ()
    """What each panel said on all training pages; empty where they differed."""
    gutter_px: int = Field(default=0, ge=0)
    licence: str = ""
    recipe: dict[str, object] = {}
    steps: int = Field(default=0, ge=0)
    pages: int = Field(default=0, ge=0)
    data_sha256: str = ""
    """Of the training pages."""
    date: str = ""
    """Date of training, ISO 8601."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Skill:
    """A trained adapter: its card, and two tensors a module (A: rank x in, B: out x rank).

    Compared and hashed by identity, so that what was computed with it can be kept.
    """

    card: SkillCard
    tensors: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        _check_tensors(self.tensors, self.card.rank)

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def scale(self) -> float:
        """Factor on the product of B and A."""
        divisor = sqrt(self.card.rank) if self.card.rank_stabilised else self.card.rank
        return self.card.alpha / divisor

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """Names of the adapted modules in the transformer."""
        found = {match["module"] for key in self.tensors if (match := _KEY.fullmatch(key))}
        return tuple(sorted(found))

    def pair(self, module: str) -> tuple[Float[Tensor, "rank in"], Float[Tensor, "out rank"]]:
        """A and B of one module."""
        return self.tensors[f"{KEY_PREFIX}{module}.lora_A.weight"], self.tensors[f"{KEY_PREFIX}{module}.lora_B.weight"]

    def page(
        self,
        images: Sequence[Image],
        *,
        instructions: Sequence[str] = (),
        overview: str = "",
        size_px: tuple[int, int] | int | None = None,
    ) -> Page:
        """The page that the skill was trained for, with `images` in the places of its conditions, in order.

        `instructions` are given for all panels in order, or for the slots only; missing ones, and a missing overview,
        are what all training pages said. A slot that had the shape of its condition in training has it here too, at
        the area of the training pages; the others keep their own shape. `size_px` is the width and height of every
        slot, or one number: the side of the square whose area the slots take.
        """
        sketch = self.card.template.page
        if sketch is None:
            raise SkillError(f"skill {self.name!r} has no page of its own. Write the page and pass it with the skill.")
        places = [index for index, panel in enumerate(sketch.panels) if panel.role is not Role.SLOT]
        slots = [index for index in range(len(sketch.panels)) if index not in places]
        if len(images) != len(places):
            raise SkillError(f"skill {self.name!r} takes {len(places)} pictures; {len(images)} were given.")
        texts = list(instructions)
        if len(texts) == len(slots) < len(sketch.panels):
            spread = dict(zip(slots, texts, strict=True))
            texts = [spread.get(index, "") for index in range(len(sketch.panels))]
        texts = [text or own for text, own in zip_longest(texts, self.card.instructions, fillvalue="")]
        pictures = dict(zip(places, images, strict=True))
        page = page_from_template(
            self.card.template,
            overview=" ".join(filter(None, (self.card.trigger, overview or self.card.overview))),
            instructions=texts,
            images=pictures,
        )
        panels = list(page.panels)
        for index in slots:
            panels[index] = replace(panels[index], size_px=_slot_size(sketch, index, pictures, size_px))
        return replace(page, panels=tuple(panels), gutter_px=self.card.gutter_px)


def _slot_size(
    sketch: PageSketch, slot: int, images: Mapping[int, Image], size_px: tuple[int, int] | int | None
) -> tuple[int, int]:
    """Width and height of a slot: those asked for, else the shape of what it follows at the slot's trained area."""
    if isinstance(size_px, tuple):
        return size_px
    width, height = trained = sketch.panels[slot].size_px
    area = size_px**2 if size_px else width * height
    shape = trained
    # The picture to be edited comes before others, as it is the one that the slot is a version of.
    for index in sorted(images, key=lambda index: (sketch.panels[index].role is not Role.EDIT, index)):
        if _is_alike(sketch.panels[index].size_px, trained):
            if not _is_alike(images[index].size, trained):
                shape = images[index].size
            break
    if area == shape[0] * shape[1]:
        return shape
    scale = sqrt(area / (shape[0] * shape[1]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _is_alike(first: tuple[int, int], second: tuple[int, int]) -> bool:
    return abs(first[0] * second[1] / (first[1] * second[0]) - 1) < _ALIKE


def save_skill(skill: Skill, path: str | Path) -> None:
    """Write the skill as one file, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(skill.tensors.items())}
    digest = payload_sha256(save(tensors))
    metadata = {_METADATA: _written(skill.card), **_model_spec(skill.card, digest), **_peft_metadata(skill)}
    write_atomic(path, save(tensors, metadata={"format": "pt", **metadata}))


def load_skill(path: str | Path) -> Skill:
    """The skill in a file, or the one of that name in the package.

    Raises SkillError for a file that is not a skill, is truncated, or was changed since it was saved.
    """
    path = skill_file(str(path))
    if is_folder(path):
        raise SkillError(
            f"skill {path} is a folder. Name a .safetensors file; `triptych skills list {path}` shows them."
        )
    if path.suffix in {".pt", ".pth", ".ckpt", ".bin"}:
        raise SkillError(
            f"{path} may run code when it is read; only .safetensors is taken. Convert it with safetensors."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        digest = payload_sha256(path.read_bytes())
    except FileNotFoundError:
        raise SkillError(f"there is no skill {path}. Train one with `triptych train PAGESET --out {path}`.") from None
    except (OSError, SafetensorError) as error:
        raise SkillError(
            f"skill {path} cannot be read: {why_unread(path, error)}. The file is truncated, or not a safetensors file."
        ) from error
    if _METADATA not in metadata:
        raise SkillError(
            f"{path} is not a skill: it has no page. Import a foreign LoRA with `triptych skills import {path}`."
        )
    recorded = metadata.get("modelspec.hash_sha256", "")
    if recorded != f"0x{digest}":
        raise SkillError(f"skill {path} is damaged: its tensors are not those that were saved. Fetch it again.")
    try:
        return Skill(card=_read(metadata[_METADATA], path), tensors=tensors)
    except SkillError as error:
        raise SkillError(f"skill {path}: {error}") from error


def shipped_skills() -> tuple[str, ...]:
    """Names of the skills in the package, sorted."""
    folder = Path(str(files("triptych") / "skills"))
    return tuple(sorted(path.stem for path in folder.glob("*.safetensors")))


def payload_sha256(data: bytes) -> str:
    """SHA-256 of everything after the header of a safetensors file, as ModelSpec defines it."""
    header = int.from_bytes(data[:8], "little")
    return hashlib.sha256(memoryview(data)[8 + header :]).hexdigest()


def architecture(card: SkillCard) -> str:
    """ModelSpec's name for what the skill is an adapter of."""
    return f"{card.architecture or card.family}/lora"


def skill_file(name: str) -> Path:
    """The file of the skill of that name in the package, or else the file so called."""
    return Path(str(files("triptych") / "skills" / f"{name}.safetensors")) if name in shipped_skills() else Path(name)


def _written(card: SkillCard) -> str:
    return json.dumps({"version": _VERSION, **card.model_dump(mode="json")}, ensure_ascii=False, sort_keys=True)


def _read(text: str, path: Path) -> SkillCard:
    try:
        data = json.loads(text)
        version = data.pop("version")
        if version != _VERSION:
            raise SkillError(f"it has version {version}; this triptych reads version {_VERSION}. Update triptych.")
        if data.get("backbone") == "pocket" and data.get("family") == "flux2":
            data["family"] = "pocket"  # as skills of the pocket were labelled before it was a family of its own
        return SkillCard.model_validate(data)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        what = error.errors()[0] if isinstance(error, ValidationError) else error
        raise SkillError(f"the card in {path.name} cannot be used: {what}.") from error


def _check_tensors(tensors: Mapping[str, Tensor], rank: int) -> None:
    if not tensors:
        raise SkillError("there are no tensors in it; an adapter has two for each module.")
    sides: dict[str, set[str]] = {}
    for key, tensor in tensors.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise SkillError(f"the key {key!r} is not transformer.<module>.lora_A.weight or .lora_B.weight.")
        axis = 0 if match["side"] == "A" else 1
        if tensor.ndim != 2 or tensor.shape[axis] != rank:
            raise SkillError(f"{key} has the shape {tuple(tensor.shape)}; the card says rank {rank}.")
        if not bool(tensor.isfinite().all()):
            raise SkillError(
                f"{key} has values that are not finite: the training diverged, or the file is damaged. "
                "Take an earlier checkpoint, or train with a lower learning rate."
            )
        sides.setdefault(match["module"], set()).add(match["side"])
    for module, found in sides.items():
        if len(found) != 2:
            raise SkillError(f"module {module} has only lora_{found.pop()}; an adapter has A and B for each module.")


def _peft_metadata(skill: Skill) -> dict[str, str]:
    """The scale as diffusers reads it back."""
    config = {
        "r": skill.card.rank,
        "lora_alpha": skill.card.alpha,
        "use_rslora": skill.card.rank_stabilised,
        "target_modules": list(skill.modules),
    }
    return {"lora_adapter_metadata": json.dumps({f"{KEY_PREFIX}{key}": value for key, value in config.items()})}


def _model_spec(card: SkillCard, digest: str) -> dict[str, str]:
    """ModelSpec 1.0.1 (github.com/Stability-AI/ModelSpec): the keys that other programs show."""
    sizes = [panel.size_px for panel in card.template.page.panels] if card.template.page else []
    width, height = max(sizes, default=(0, 0))
    facts = {
        "sai_model_spec": "1.0.1",
        "architecture": architecture(card),
        "implementation": "diffusers",
        "title": card.name,
        "description": card.description,
        "date": card.date,
        "license": card.licence,
        "resolution": f"{width}x{height}" if sizes else "",
        "trigger_phrase": " ".join(filter(None, (card.template.opening, card.trigger))),
        "prediction_type": "velocity",
        "hash_sha256": f"0x{digest}",
    }
    return {f"modelspec.{key}": value for key, value in facts.items() if value}
