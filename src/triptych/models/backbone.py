"""What a backbone is to the rest of the house: codec, text encoder, reader and velocity, whatever its family."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor, nn

from triptych.conditioning import Conditioning, Reading, Words
from triptych.errors import BackboneError
from triptych.page import Page, Role
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The facts of a backbone that the rest of the house plans with."""

    name: str
    family: str
    conditionings: tuple[Conditioning, ...]
    """What it can do, its native way first."""
    factor: int
    """Side of a token in pixels: panel sides are resampled to multiples of this."""
    channels: int
    """Values per token."""
    side_px: int
    """Side of a square panel at which it works best."""
    steps: int
    """0 where a server decides."""
    guidance: float | None
    """Default guidance scale; None where the model takes no guidance."""
    max_text_tokens: int
    licence: str
    negative: str | None = None
    """Prompt of the second pass where guidance is classifier-free; None where it is distilled or absent."""
    fixed_side: bool = False
    """Every panel is a square of `side_px`; others are set in one on white."""
    one_area: bool = False
    """Conditions and slots have one area, as in training: what is asked of slots holds for conditions too."""
    clean_canvas: bool = False
    """By repaint, conditions stay clean at every noise level, as the network was trained to see them; where False they
    are put back at the level reached, as a text-to-picture model must see them."""
    layered: bool = False
    """It takes a picture apart: one condition, and slots that lie on it as its layers, with what is transparent. All
    have one size, and the whole is made once more beside them."""
    most_references: int | None = None
    """Conditions by reference that it was trained with, or that its authors advise; None where they name no number."""
    most_slots: int | None = None
    """Most slots on one page; None where only memory limits them."""
    sizes_px: tuple[tuple[int, int], ...] = ()
    """Widths and heights that it was trained at, where they are few; otherwise any around `side_px` squared."""

    sample_steps: int | None = None
    """Steps to a sample where `steps` lead to the mean of all right answers; None where the backbone knows one way."""

    words: Words = Words.ANY

    weights: str | None = None
    """Fingerprint of the file that its weights are from, where `name` is not enough to find them again: a pocket in a
    file of its own, or a transformer beside its base."""

    summary: str = ""
    """What it is for, in a few words, where one has to choose; empty where its name is known everywhere."""

    picture_name: str | None = None
    """How prompts call the pictures that come with them, where the network learnt such names: `{number}` counts from 1,
    `{index}` from 0. None where they are called by the tags of the page's template."""

    reads_boxes: bool = False
    """It was trained with boxes, as a table behind the words of its prompt, and conditions that enter by reference."""

    own_skills: bool = False
    """No skill of another checkpoint fits, though the layers have the same names and sizes: the tokens differ."""

    def steps_for(self, page: Page, reading: Reading | None = None) -> int:
        """Steps of a page where nobody says how many; raises BackboneError for a reading that it does not know.

        A page of words alone, or with nothing but control pictures, has many right answers: without a `reading` it gets
        a sample. Everything else says what is right, and gets the mean.
        """
        if self.sample_steps is None:
            if reading is not None:
                raise BackboneError(f"{self.name} knows no other reading than its own. Leave {reading.value!r} out.")
            return self.steps
        open_page = not page.context and all(panel.role is Role.CONTROL for panel in page.conditions)
        return self.sample_steps if (reading is Reading.SAMPLE or (reading is None and open_page)) else self.steps

    def check_boxes(self, page: Page, way: Conditioning) -> None:
        """Raise BackboneError for a page with boxes where nothing would read them."""
        if not page.has_boxes:
            return
        if not self.reads_boxes:
            raise BackboneError(
                f"the page has boxes, and {self.name} reads none. Say in words where things stand, and leave boxes out."
            )
        if way is not Conditioning.REFERENCE:
            raise BackboneError(
                f"the page has boxes, which {self.name} reads with conditions by 'reference', not by {way.value!r}."
            )

    @property
    def native(self) -> Conditioning:
        """How conditions enter where nobody asks for a way."""
        return self.conditionings[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The tokens of one image: `frame` is its place on the first position axis, rows and columns count tokens."""

    frame: int
    rows: int
    columns: int

    @property
    def tokens(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Encoded prompts, as the family's transformer reads them."""

    embeds: Float[Tensor, "batch length width"]
    positions: Float[Tensor, "length axes"]
    pooled: Float[Tensor, "batch pooled"] | None = None
    mask: Tensor | None = None
    seen: Tensor | None = None
    """Discrete tokens of the pictures that the text encoder looked at, one behind the other."""

    def repeated(self, count: int) -> "Text":
        """Every row `count` times, next to each other."""
        embeds, *others = (
            None if rows is None else rows.repeat_interleave(count, dim=0)
            for rows in (self.embeds, self.pooled, self.mask, self.seen)
        )
        assert embeds is not None, "there is a text in every page"
        return replace(self, embeds=embeds, pooled=others[0], mask=others[1], seen=others[2])

    def row(self, index: int) -> "Text":
        """The text of one page."""
        embeds, *others = (
            None if rows is None else rows[index : index + 1]
            for rows in (self.embeds, self.pooled, self.mask, self.seen)
        )
        assert embeds is not None, "there is a text in every page"
        return replace(self, embeds=embeds, pooled=others[0], mask=others[1], seen=others[2])


class Keeps(StrEnum):
    """What of its reading a backbone can keep, exactly, for further steps and further requests."""

    NOTHING = "nothing"
    """Conditions attend to the slots, or see their noise level: they are recomputed in every step."""
    CONDITIONS = "conditions"
    """Keys and values of the conditions, which attend to conditions only."""
    PROMPT = "prompt"
    """Keys and values of the prompt and the conditions that stand in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Conditions that enter as clean tokens, one grid each."""

    tokens: Float[Tensor, "batch reference channels"]
    grids: tuple[Grid, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What has been read before the first step, one row per page. It serves every step and every draw of noise."""

    text: Text
    conditions: Conditions | None = None
    memory: Float[Tensor, "batch blocks 2 kept heads width"] | None = None
    """Keys and values in every block, where the backbone keeps them."""
    guidance: float | None = None
    draft: Tensor | None = None
    """Discrete tokens of the targets, where a language model drafts them before the first step."""
    negative: "Context | None" = None
    """What the second pass of classifier-free guidance reads, present only where `guidance` asks for it."""

    def repeated(self, count: int) -> "Context":
        """Every row `count` times, next to each other: for several draws of noise per page."""
        conditions = self.conditions
        return replace(
            self,
            text=self.text.repeated(count),
            conditions=conditions and replace(conditions, tokens=conditions.tokens.repeat_interleave(count, dim=0)),
            memory=None if self.memory is None else self.memory.repeat_interleave(count, dim=0),
            draft=None if self.draft is None else self.draft.repeat_interleave(count, dim=0),
            negative=self.negative and self.negative.repeated(count),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The images that are denoised, jointly; `extra` are channels appended to every token (fill)."""

    grids: tuple[Grid, ...]
    extra: Float[Tensor, "batch target extra"] | None = None
    toward: Float[Tensor, " batch"] | None = None
    """Noise levels that the step leads to, which networks distilled to jump read; None for those they are at."""

    def repeated(self, count: int) -> "Targets":
        """As `Context.repeated`."""
        extra, toward = (
            None if rows is None else rows.repeat_interleave(count, dim=0) for rows in (self.extra, self.toward)
        )
        return replace(self, extra=extra, toward=toward)


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
