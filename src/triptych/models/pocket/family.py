"""The record of the pocket."""

from triptych.models.family import Checkpoint, Family, Shape
from triptych.models.flux2.layers import LAYERS
from triptych.models.pocket.backbone import PocketConfig, pocket_card

__all__ = ["POCKET"]

_SECOND = PocketConfig(name="pocket-2", codec="klt", channels=256, detail=True, moves=6, fits=True, sample_from=0.5)
"""The preview of the second generation: what its file says, without reading it."""
_SHAPE = Shape(transformer=0.02, text=0.0015, codec=0.004, width=320, double_blocks=2, single_blocks=8)

POCKET = Family(
    name="pocket",
    code="triptych.models.pocket.backbone:PocketBackbone",
    pipelines=(),
    checkpoints=tuple(
        Checkpoint(card=pocket_card(config), pipeline="", shape=_SHAPE, gated=False, cached=True)
        for config in (PocketConfig(), _SECOND)
    ),
    layers=LAYERS,
    architecture="triptych-pocket",
    base_model="Other",
    diffusers=False,
)
