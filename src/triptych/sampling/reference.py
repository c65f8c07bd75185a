"""Reference: conditions are clean tokens that the slots attend to; all slots are denoised jointly."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.models.backbone import Grid, Sequences, Text
from triptych.sampling.plan import Cut, Plan

__all__ = ["reference"]


def reference(
    *,
    text: Text,
    negative: Text | None = None,
    conditions: Sequence[Float[Tensor, "batch _ channels"]],
    condition_grids: tuple[Grid, ...],
    noises: Sequence[Float[Tensor, "batch _ channels"]],
    slot_grids: tuple[Grid, ...],
    guidance: float | None = None,
    cached: bool = True,
) -> Plan:
    """One tensor and one grid for each condition (examples included) and for each slot, in the page's order."""
    return Plan(
        sequences=Sequences(
            text=text,
            negative=negative,
            targets=slot_grids,
            reference_grids=condition_grids,
            references=torch.cat(list(conditions), dim=1) if conditions else None,
            guidance=guidance,
            cached=cached,
        ),
        noise=torch.cat(list(noises), dim=1),
        cuts=tuple(Cut(target=index) for index in range(len(slot_grids))),
    )
