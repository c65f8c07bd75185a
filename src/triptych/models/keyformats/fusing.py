"""Several low-rank updates as one of a fused layer, and back; both ways keep the product of B and A."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Pair", "fuse", "swap_halves", "unfuse"]

Pair = tuple[Float[Tensor, "_ _"], Float[Tensor, "_ _"]]
"""A (rank x in) and B (out x rank) of one layer; ranks and heights differ from layer to layer."""


def fuse(parts: Sequence[Pair | None], heights: Sequence[int]) -> Pair:
    """One update for the layers below each other: their A stacked, their B on a diagonal; None is an untouched layer.

    `heights` are rows of the layers. Layers that share one A keep it, so that the rank does not grow.
    """
    present = [part for part in parts if part is not None]
    first = present[0][0]
    if len(present) == len(parts) and all(
        down.shape == first.shape and torch.equal(down, first) for down, _ in present
    ):
        return first, torch.cat([up for _, up in present])
    rows, ranks = sum(heights), [0 if part is None else part[0].shape[0] for part in parts]
    up = first.new_zeros(rows, sum(ranks))
    top = left = 0
    for part, height, rank in zip(parts, heights, ranks, strict=True):
        if part is not None:
            up[top : top + height, left : left + rank] = part[1]
        top, left = top + height, left + rank
    return torch.cat([down for down, _ in present]), up


def unfuse(down: Float[Tensor, "rank in"], up: Float[Tensor, "out rank"], heights: Sequence[int]) -> list[Pair | None]:
    """The inverse of `fuse`: for each layer the rows of B that are its own, and the part of the rank that they use.

    A layer whose rows are all zero was untouched, unless all are.
    """
    parts = up.split(list(heights))
    if not bool(up.any()):
        return [(down, part) for part in parts]
    found: list[Pair | None] = []
    for part in parts:
        used = part.ne(0).any(dim=0)
        found.append((down[used], part[:, used].contiguous()) if bool(used.any()) else None)
    return found


def swap_halves(up: Float[Tensor, "out rank"]) -> Float[Tensor, "out rank"]:
    """The lower half of the rows above the upper half; its own inverse."""
    upper, lower = up.chunk(2)
    return torch.cat([lower, upper])
