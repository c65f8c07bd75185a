"""The record of Stable Diffusion 3.5."""

from dataclasses import replace

from triptych.models.backbone import Card, Conditioning
from triptych.models.family import Checkpoint, Family, Shape

__all__ = ["SD3_5"]

_LARGE = Shape(transformer=8.06, text=5.58, codec=0.084, width=2432, double_blocks=38, single_blocks=0)
_MEDIUM = Shape(transformer=2.24, text=5.58, codec=0.084, width=1536, double_blocks=24, single_blocks=0)
_PIPELINE = "StableDiffusion3Pipeline"
_OWNER = "stabilityai/stable-diffusion-3.5-"
_CARD = Card(
    name=_OWNER + "large",
    family="sd3",
    conditionings=(Conditioning.REPAINT,),
    factor=16,
    channels=64,
    side_px=1024,
    steps=28,
    guidance=3.5,
    negative="",
    max_text_tokens=256,
    licence="Stability AI Community License",
)
_TURBO = replace(_CARD, name=_OWNER + "large-turbo", steps=4, guidance=None, negative=None)
_MEDIUM_CARD = replace(_CARD, name=_OWNER + "medium", steps=40, guidance=4.5)

SD3_5 = Family(
    name="sd3",
    page="sd3.md",
    code="triptych.models.sd3.building:sd3",
    pipelines=(_PIPELINE,),
    checkpoints=(
        Checkpoint(card=_CARD, pipeline=_PIPELINE, shape=_LARGE),
        Checkpoint(card=_TURBO, pipeline=_PIPELINE, shape=_LARGE, undistilled=_CARD.name),
        Checkpoint(card=_MEDIUM_CARD, pipeline=_PIPELINE, shape=_MEDIUM),
    ),
    architecture="stable-diffusion-v3.5",
    base_model="SD 3.5",
)
