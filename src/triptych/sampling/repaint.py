"""Repaint: conditions and slots on one canvas; the conditions are put back at every noise level.

The way of the published IC-LoRA (Huang et al. 2024, arXiv:2410.23775, with SDEdit-style inpainting at strength 1):
conditions are put back with the noise of the level. A network trained on canvases may be shown them clean instead.
"""

from jaxtyping import Float
from torch import Tensor

from triptych.canvas import Box
from triptych.models.backbone import Grid, Sequences, Text
from triptych.sampling.plan import Cut, Known, Plan

__all__ = ["repaint"]


def repaint(
    *,
    text: Text,
    negative: Text | None = None,
    canvas: Float[Tensor, "batch tokens channels"],
    grid: Grid,
    keep: Float[Tensor, "batch tokens 1"],
    noise: Float[Tensor, "batch tokens channels"],
    slots: tuple[Box, ...],
    guidance: float | None = None,
    clean: bool = False,
) -> Plan:
    """`canvas` is the encoded canvas of the conditions; `keep` is 0 on the tokens of slots and 1 elsewhere.

    `clean` keeps the conditions free of noise at every level.
    """
    return Plan(
        sequences=Sequences(text=text, negative=negative, targets=(grid,), guidance=guidance),
        noise=noise,
        cuts=tuple(Cut(target=0, box=box) for box in slots),
        known=Known(data=canvas, keep=keep, clean=clean) if bool(keep.any()) else None,
    )
