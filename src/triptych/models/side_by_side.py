"""Several slots as one wide picture, for transformers that know one target and take all else for references."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from triptych.errors import BackboneError
from triptych.models.backbone import Card, Grid

__all__ = ["SideBySide"]


class SideBySide:
    """The way from the tokens of several grids to those of one wide grid, and back."""

    def __init__(self, grids: tuple[Grid, ...], card: Card) -> None:
        """Raises BackboneError for grids of different heights."""
        heights = sorted({grid.rows * card.factor for grid in grids})
        if len(heights) > 1:
            raise BackboneError(
                f"{card.name} makes the slots of a page side by side in one picture, but they are {heights} px high. "
                "Give them one height, or a page each."
            )
        self._columns = [grid.columns for grid in grids]
        self.wide = Grid(frame=grids[0].frame, rows=grids[0].rows, columns=sum(self._columns))

    def join(self, tokens: Float[Tensor, "batch target channels"]) -> Float[Tensor, "batch target channels"]:
        """Grid after grid to rows of the wide picture."""
        parts = tokens.split([self.wide.rows * columns for columns in self._columns], dim=1)
        rows = [rearrange(part, "b (h w) c -> b h w c", h=self.wide.rows) for part in parts]
        return torch.cat(rows, dim=2).flatten(1, 2)

    def part(self, tokens: Float[Tensor, "batch target channels"]) -> Float[Tensor, "batch target channels"]:
        """Inverse of `join`."""
        whole = rearrange(tokens, "b (h w) c -> b h w c", h=self.wide.rows)
        return torch.cat([part.flatten(1, 2) for part in whole.split(self._columns, dim=2)], dim=1)
