"""What a family of backbones says of itself: one record, which loading, catalogue, placing, skills and cards read."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triptych.errors import BackboneError
from triptych.models.backbone import Card
from triptych.models.options import LoadOptions, StepCache

if TYPE_CHECKING:
    from triptych.models.latent import LatentBackbone
    from triptych.models.parts import Parts

__all__ = ["GUIDANCE_NAME", "PICTURE_NAME", "Checkpoint", "Family", "Layer", "Shape"]

PICTURE_NAME = "image {number}"
GUIDANCE_NAME = "guidance_scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes that memory and operations are computed from. Parameters in thousands of millions."""

    transformer: float
    text: float
    codec: float
    width: int
    double_blocks: int
    single_blocks: int
    decoding: int = 1400
    """Numbers alive at once for every pixel while a picture is decoded, as measured (docs/backbones/memory.md)."""

    @property
    def blocks(self) -> int:
        return self.double_blocks + self.single_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A card before it is loaded; `pipeline` is the class that diffusers' `model_index.json` names."""

    card: Card
    pipeline: str
    shape: Shape
    gated: bool = True
    """The licence must be accepted on the Hub before the weights can be fetched."""
    public: bool = True
    """Whether anybody can fetch the weights at all; False for those that are announced."""
    undistilled: str = ""
    """For one that was distilled to a few steps: the checkpoint of the same network that was not. Skills are trained on
    that one, and fit both."""
    cached: bool = False
    """Conditions are read once, as the weights were trained, and their keys and values kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the original code; `{n}` in names is the block's number.

    Where the original code has one fused layer and diffusers has several, `modules` lists them from the first row on,
    and `heights` their rows as multiples of the layer's input width.
    """

    original: str
    modules: tuple[str, ...]
    heights: tuple[int, ...] = (1,)
    aliases: tuple[str, ...] = ()
    """Names in XLabs and DiffSynth files."""
    swapped: bool = False
    """The original code has shift above scale, diffusers scale above shift."""

    @property
    def is_fused(self) -> bool:
        return len(self.modules) > 1


def _any(card: Card, index: Mapping[str, Any], transformer: Mapping[str, Any]) -> bool:  # noqa: ARG001
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Backbones of one network and one code. What their pages may hold (`most_references` and kin) is in the cards."""

    name: str
    code: str
    """`module:function` that puts a room around the parts of a checkpoint, or the class of one in the package; imported
    when one is loaded."""
    pipelines: tuple[str, ...]
    """Classes in `model_index.json`; none for a family that ships inside the package."""
    checkpoints: tuple[Checkpoint, ...]
    resembles: Callable[[Card, Mapping[str, Any], Mapping[str, Any]], bool] = _any
    """Whether a checkpoint that is not known, by its index and its transformer's configuration, is of a card's kind."""
    layers: tuple[Layer, ...] = ()
    """Names of the layers in the authors' code, for skills of other trainers; none where they are diffusers' own."""
    step_caches: tuple[StepCache, ...] = ()
    """Which of diffusers' step caches can follow the network."""
    chooses_references: bool = False
    """Whether `LoadOptions.references` may say how it sees them."""
    picture_name: str = PICTURE_NAME
    """How a prompt calls the pictures that come with it: `{number}` counts from 1, `{index}` from 0."""
    guidance_name: str = GUIDANCE_NAME
    """The field of image servers, and the argument of diffusers' pipeline, that guidance goes by."""
    page: str = ""
    """File in docs/backbones that describes it."""
    architecture: str
    """What ModelSpec calls it in the metadata of a skill."""
    base_model: str
    """What LoRA managers call it."""
    network: str = "networks.lora"
    """What kohya's scripts call an adapter of it."""
    diffusers: bool = True
    """Whether diffusers and other programs run it, and so its skills."""
    lora_loader: bool = True
    """Whether diffusers' pipeline loads a LoRA (`load_lora_weights`); its transformer does in any case."""

    def __post_init__(self) -> None:
        for each in self.checkpoints:
            if each.card.family != self.name or (self.pipelines and each.pipeline not in self.pipelines):
                raise BackboneError(f"{each.card.name} is a {each.pipeline} of {each.card.family}, not of {self.name}.")

    def build(self, parts: "Parts", card: Card, index: Mapping[str, Any], options: LoadOptions) -> "LatentBackbone":
        """A backbone of the parts, still where they were loaded."""
        module, _, function = self.code.partition(":")
        return getattr(importlib.import_module(module), function)(parts, card, index, options)
