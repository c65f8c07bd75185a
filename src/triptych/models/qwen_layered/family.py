"""The record of Qwen-Image-Layered."""

from triptych.models.backbone import Card, Conditioning
from triptych.models.family import Checkpoint, Family, Shape
from triptych.models.options import StepCache

__all__ = ["QWEN_LAYERED"]

_CARD = Card(
    name="Qwen/Qwen-Image-Layered",
    family="qwen-layered",
    conditionings=(Conditioning.REFERENCE,),
    factor=16,
    channels=64,
    side_px=640,
    steps=50,
    guidance=4.0,
    negative=" ",
    max_text_tokens=1024,
    licence="Apache-2.0",
    one_area=True,
    layered=True,
    most_references=1,
)
_SHAPE = Shape(transformer=20.4, text=8.29, codec=0.127, width=3072, double_blocks=60, single_blocks=0, decoding=2750)

QWEN_LAYERED = Family(
    name="qwen-layered",
    guidance_name="true_cfg_scale",
    page="qwen-layered.md",
    code="triptych.models.qwen_layered.building:layered",
    pipelines=("QwenImageLayeredPipeline",),
    checkpoints=(Checkpoint(card=_CARD, pipeline="QwenImageLayeredPipeline", shape=_SHAPE, gated=False),),
    step_caches=(StepCache.FIRST_BLOCK, StepCache.TAYLORSEER),
    architecture="qwen-image-layered",
    base_model="Qwen",
)
