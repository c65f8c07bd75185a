"""The heads at the network's end, which read the references' own tokens, called alike in both of its classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from triptych.models.pocket.attention import KeysAndValues, Rotary
from triptych.models.pocket.detail import DetailHead
from triptych.models.pocket.fits import FitHead
from triptych.models.pocket.moves import MoveHead

__all__ = ["LastHeads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastHeads:
    """Those of a network that has them: what they keep of references, and what they make of an answer."""

    detail: DetailHead | None
    moves: MoveHead | None
    fits: FitHead | None
    head_width: int

    def kept(
        self,
        stream: Float[Tensor, "batch reference wide"],
        tokens: Float[Tensor, "batch reference channels"],
        places: Float[Tensor, "reference 4"],
        rotary: Rotary,
    ) -> tuple[KeysAndValues, ...]:
        """What each head keeps of references, all in the shape of a block's keys and values."""
        own: list[KeysAndValues] = []
        if self.detail is not None:
            own.append(self.detail.kept(stream, tokens, rotary))
        if self.moves is not None:
            own.append(self.moves.kept(stream, tokens, places, head_width=self.head_width))
        if self.fits is not None:
            own.append(self.fits.kept(stream, tokens, places, head_width=self.head_width))
        return tuple(own)

    def added(
        self,
        clean: Float[Tensor, "batch target channels"],
        stream: Float[Tensor, "batch target wide"],
        kept: Sequence[KeysAndValues],
        places: Float[Tensor, "target 4"],
        rotary: Rotary,
    ) -> Float[Tensor, "batch target channels"]:
        """The answer's tokens, and what the heads bring to them of the references."""
        known = iter(kept)
        if self.detail is not None:
            clean = clean + self.detail(stream, next(known), rotary)
        if self.moves is not None:
            clean = clean + self.moves(stream, next(known), places)
        if self.fits is not None:
            clean = self.fits(clean, stream, next(known), places)
        return clean
