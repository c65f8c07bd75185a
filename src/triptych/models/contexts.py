"""What a backbone reads and makes, as values: grids of tokens, encoded text, conditions, the context, the targets."""

from dataclasses import dataclass, replace
from enum import StrEnum

from jaxtyping import Float
from torch import Tensor

__all__ = ["Conditions", "Context", "Grid", "Keeps", "Targets", "Text"]


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
