"""What a backbone is to the rest of the house: codec, text encoder, reader and velocity, whatever its family."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor, nn

from triptych.conditioning import Conditioning
from triptych.models.card import Card
from triptych.models.contexts import Conditions, Context, Grid, Keeps, Targets, Text
from triptych.page import Page
from triptych.prompts import Prompt

if TYPE_CHECKING:
    from triptych.models.sharing import Shared

__all__ = [
    "Adapter",
    "Backbone",
    "Card",
    "Conditioning",
    "Conditions",
    "Context",
    "Drafts",
    "EncodesMasks",
    "Grid",
    "Keeps",
    "ReadsConditions",
    "Relieves",
    "Targets",
    "Text",
    "frames",
]


@runtime_checkable
class Backbone(Protocol):
    """A diffusion transformer with its text encoder and image codec. Tensors are on `device` in `dtype`."""

    card: Card
    shared: "Shared"
    """What all users of the backbone share: its lock, the skills that are on, and what was encoded."""

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def transformer(self) -> nn.Module:
        """The module that skills adapt."""
        ...

    def encode_images(
        self, images: Float[Tensor, "batch colours height width"]
    ) -> Float[Tensor, "batch tokens channels"]:
        """Pictures in [-1, 1] to tokens in row order; sides must be multiples of `card.factor`.

        They have three colours, or for a `card.layered` four, the last saying how opaque they are.
        """
        ...

    def decode_images(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch colours height width"]:
        """Tokens to pictures, clamped to [-1, 1]."""
        ...

    def encode_prompts(self, prompts: Sequence[Prompt], frames: Sequence[int]) -> Text:
        """Encode one prompt per page; `frames` gives each of the page's `all_panels` its place, for per-panel text.

        Raises PromptError naming the instruction that does not fit the encoder's limit.
        """
        ...

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        """`steps` + 1 noise levels from 1 to 0 for a page of `tokens` target tokens."""
        ...

    @property
    def keeps(self) -> Keeps:
        """What of its reading can be kept."""
        ...

    def remember(
        self, text: Text, conditions: Conditions | None, *, guidance: float | None
    ) -> Float[Tensor, "batch blocks 2 kept heads width"] | None:
        """The memory of a context: None for a backbone that keeps nothing, or without anything to keep.

        Gradients flow through it. What it depends on is what `keeps` says, and `guidance` where the network reads that.
        """
        ...

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """Velocity (noise - data) of the target tokens, each row at its own noise level."""
        ...


@runtime_checkable
class Adapter(Protocol):
    """A skill made ready for backbones: what `sampling` needs to know of it."""

    @property
    def name(self) -> str:
        """What results say the skill was."""
        ...

    def applied(self, backbone: Backbone) -> AbstractContextManager[object]:
        """The backbone adapted inside the `with`, and exactly as before after it."""
        ...


@runtime_checkable
class ReadsConditions(Protocol):
    """A backbone whose text encoder also looks at the conditions (Qwen-Image-Edit)."""

    def encode_prompts_with_images(
        self, prompts: Sequence[Prompt], frames: Sequence[int], images: Sequence[Sequence[Image]]
    ) -> Text:
        """As `Backbone.encode_prompts`; `images` holds the conditions of each page, in order."""
        ...


@runtime_checkable
class Drafts(Backbone, Protocol):
    """A backbone whose language model drafts the slots of a page before the first step (GLM-Image)."""

    def draft(
        self,
        prompts: Sequence[Prompt],
        images: Sequence[Sequence[Image]],
        grids: tuple[Grid, ...],
        seeds: Sequence[int],
    ) -> Tensor:
        """Discrete tokens of the targets, one row a page, drawn from its own seed alone."""
        ...

    def drafted(self, answers: Sequence[Image], grids: tuple[Grid, ...]) -> Tensor:
        """What a draft of exactly these pictures would be, as one row: for training."""
        ...


@runtime_checkable
class Relieves(Protocol):
    """A backbone that can make itself smaller when memory runs out."""

    def relieve(self) -> str | None:
        """Take the next rung down; says what was done, or None where none is left."""
        ...


@runtime_checkable
class EncodesMasks(Protocol):
    """A backbone that can fill: it turns masks into channels."""

    def encode_masks(self, masks: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch tokens channels"]:
        """Masks of 0 and 1, at the size of the pictures, to one row of channels per token."""
        ...


def frames(page: Page) -> tuple[int, ...]:
    """Place of each of `page.all_panels` on the first position axis.

    Slots take 0, 1, ...; conditions 10, 20, ... (the offsets that FLUX.2 was trained with: one slot at 0, reference
    k at 10 k), the page's own first, so that a page keeps its places whatever examples stand in front of it.
    """
    places: list[int] = []
    slots = conditions = 0
    for position, panel in enumerate(page.all_panels):
        if position < len(page.panels) and panel.is_slot:
            places.append(slots)
            slots += 1
        else:
            conditions += 1
            places.append(10 * conditions)
    return tuple(places)
