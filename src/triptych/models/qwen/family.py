"""The record of Qwen-Image-Edit, plain and Plus."""

from dataclasses import replace

from triptych.models.backbone import Card, Conditioning
from triptych.models.family import Checkpoint, Family, Shape
from triptych.models.options import StepCache

__all__ = ["QWEN"]

_SHAPE = Shape(transformer=20.4, text=8.29, codec=0.127, width=3072, double_blocks=60, single_blocks=0, decoding=2750)
_2509 = Card(
    name="Qwen/Qwen-Image-Edit-2509",
    family="qwen",
    conditionings=(Conditioning.REFERENCE,),
    factor=16,
    channels=64,
    side_px=1024,
    steps=40,
    guidance=4.0,
    negative=" ",
    max_text_tokens=1024,
    licence="Apache-2.0",
    most_references=3,
)
_PLAIN = replace(_2509, name="Qwen/Qwen-Image-Edit", steps=50, most_references=1)
_2511 = replace(_2509, name="Qwen/Qwen-Image-Edit-2511")

QWEN = Family(
    name="qwen",
    picture_name="Picture {number}",
    guidance_name="true_cfg_scale",
    page="qwen.md",
    code="triptych.models.qwen.building:edit",
    pipelines=("QwenImageEditPipeline", "QwenImageEditPlusPipeline"),
    checkpoints=tuple(
        Checkpoint(card=card, pipeline=pipeline, shape=_SHAPE, gated=False)
        for card, pipeline in (
            (_PLAIN, "QwenImageEditPipeline"),
            (_2509, "QwenImageEditPlusPipeline"),
            (_2511, "QwenImageEditPlusPipeline"),
        )
    ),
    step_caches=(StepCache.FIRST_BLOCK, StepCache.TAYLORSEER),
    architecture="qwen-image",
    base_model="Qwen",
)
