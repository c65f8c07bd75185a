"""The record of GLM-Image."""

from triptych.models.backbone import Card, Conditioning
from triptych.models.family import PICTURE_NAME, Checkpoint, Family, Shape

__all__ = ["GLM_IMAGE"]

_CARD = Card(
    name="zai-org/GLM-Image",
    family="glm-image",
    conditionings=(Conditioning.REFERENCE,),
    factor=32,
    channels=256,
    side_px=1024,
    steps=50,
    guidance=1.5,
    negative="",
    max_text_tokens=2048,  # of each text in quotation marks
    licence="MIT",
    picture_name=PICTURE_NAME,
)
_SHAPE = Shape(transformer=6.93, text=10.33, codec=0.084, width=4096, double_blocks=30, single_blocks=0)

GLM_IMAGE = Family(
    name="glm-image",
    page="glm-image.md",
    code="triptych.models.glm_image.building:glm_image",
    pipelines=("GlmImagePipeline",),
    checkpoints=(Checkpoint(card=_CARD, pipeline="GlmImagePipeline", shape=_SHAPE, gated=False, cached=True),),
    architecture="glm-image",
    base_model="GLM-Image",
    lora_loader=False,
)
