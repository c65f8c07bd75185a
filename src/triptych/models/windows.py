"""Texts of unlike lengths in one batch, for transformers that take no mask: each length goes through alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.models.backbone import Text

__all__ = ["Rows", "by_length"]

Rows: TypeAlias = "slice | Tensor"
"""Which rows of a batch."""


def by_length(
    text: Text, run: Callable[[Rows, Text], Float[Tensor, "rows target channels"]]
) -> Float[Tensor, "batch target channels"]:
    """Velocities of all rows: `run` gets rows whose texts have one length, and these texts as long as they are."""
    if text.mask is None:
        return run(slice(None), text)
    lengths, made = text.mask.sum(dim=1).tolist(), {}
    for length in dict.fromkeys(lengths):
        rows = torch.tensor([row for row, other in enumerate(lengths) if other == length])
        short = replace(
            text,
            embeds=text.embeds[rows, :length],
            positions=text.positions[:length],
            mask=None,
            seen=None if text.seen is None else text.seen[rows],
        )
        made |= dict(zip(rows.tolist(), run(rows, short).unbind(), strict=True))
    return torch.stack([made[row] for row in range(len(lengths))])
