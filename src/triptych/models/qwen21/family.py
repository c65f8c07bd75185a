"""The record of Qwen-Image 2.1."""

from triptych.models.backbone import Card, Conditioning
from triptych.models.family import Checkpoint, Family, Shape

__all__ = ["QWEN21"]

_CARD = Card(
    name="Qwen/Qwen-Image-2.1",
    family="qwen21",
    conditionings=(Conditioning.REFERENCE,),
    factor=32,
    channels=256,
    side_px=1024,
    steps=40,
    guidance=1.0,  # above 1 takes a second pass; the authors advise none
    negative=" ",
    max_text_tokens=1024,
    licence="Qwen Research License",
)
_SHAPE = Shape(transformer=7.12, text=8.77, codec=0.338, width=4096, double_blocks=0, single_blocks=32, decoding=4200)

QWEN21 = Family(
    name="qwen21",
    picture_name="<image{number}>",
    guidance_name="true_cfg_scale",
    page="qwen.md",
    code="triptych.models.qwen21.building:qwen21",
    pipelines=("QwenImage21Pipeline",),
    checkpoints=(Checkpoint(card=_CARD, pipeline="QwenImage21Pipeline", shape=_SHAPE, gated=False, cached=True),),
    architecture="qwen-image-2.1",
    base_model="Qwen",
)
