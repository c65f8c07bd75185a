"""The record of Z-Image-Omni."""

from triptych.models.backbone import Card, Conditioning
from triptych.models.family import Checkpoint, Family, Shape

__all__ = ["Z_IMAGE_OMNI"]

_CARD = Card(
    name="Tongyi-MAI/Z-Image-Omni-Base",
    family="z-image-omni",
    conditionings=(Conditioning.REFERENCE,),
    factor=16,
    channels=64,
    side_px=1024,
    steps=50,
    guidance=5.0,
    negative="",
    max_text_tokens=512,
    licence="not public yet",
)
# Text: Qwen3-4B, and the eyes beside it.
_SHAPE = Shape(transformer=6.52, text=4.45, codec=0.084, width=3840, double_blocks=0, single_blocks=36)

Z_IMAGE_OMNI = Family(
    name="z-image-omni",
    page="z-image-omni.md",
    code="triptych.models.z_image.building:omni",
    pipelines=("ZImageOmniPipeline",),
    checkpoints=(Checkpoint(card=_CARD, pipeline="ZImageOmniPipeline", shape=_SHAPE, gated=False, public=False),),
    architecture="z-image-omni",
    base_model="ZImageBase",
)
