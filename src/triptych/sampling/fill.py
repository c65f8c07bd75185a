"""Fill: the masked canvas and its mask enter as extra channels of every target token (FLUX.1-Fill)."""

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.canvas import Box
from triptych.models.backbone import Grid, Sequences, Text
from triptych.sampling.plan import Cut, Plan

__all__ = ["fill"]


def fill(
    *,
    text: Text,
    negative: Text | None = None,
    masked: Float[Tensor, "batch tokens channels"],
    mask: Float[Tensor, "batch tokens extra"],
    grid: Grid,
    noise: Float[Tensor, "batch tokens channels"],
    slots: tuple[Box, ...],
    guidance: float | None = None,
) -> Plan:
    """`masked` is the encoded canvas with grey slots; `mask` its mask as channels, 1 in the slots."""
    return Plan(
        sequences=Sequences(
            text=text,
            negative=negative,
            targets=(grid,),
            extra=torch.cat((masked, mask.to(masked.dtype)), dim=-1),
            guidance=guidance,
        ),
        noise=noise,
        cuts=tuple(Cut(target=0, box=box) for box in slots),
    )
