"""The records of FLUX.1: text to picture, Fill, and Kontext."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from triptych.models.backbone import Card, Conditioning
from triptych.models.family import Checkpoint, Family, Shape
from triptych.models.flux1.layers import LAYERS
from triptych.models.options import StepCache

__all__ = ["FLUX1", "FLUX1_FILL", "KONTEXT"]

_SHAPE = Shape(transformer=11.9, text=4.9, codec=0.084, width=3072, double_blocks=19, single_blocks=38)
_CACHES = (StepCache.FIRST_BLOCK, StepCache.MAGCACHE, StepCache.TAYLORSEER)
_NETWORK = "networks.lora_flux"
_DEV = Card(
    name="black-forest-labs/FLUX.1-dev",
    family="flux1",
    conditionings=(Conditioning.REPAINT,),
    factor=16,
    channels=64,
    side_px=1024,
    steps=28,
    guidance=3.5,
    max_text_tokens=512,
    licence="FLUX.1 [dev] Non-Commercial License",
)
_SCHNELL = replace(
    _DEV,
    name="black-forest-labs/FLUX.1-schnell",
    steps=4,
    guidance=None,
    max_text_tokens=256,
    licence="Apache-2.0",
)
_FILL = replace(
    _DEV,
    name="black-forest-labs/FLUX.1-Fill-dev",
    family="flux1-fill",
    conditionings=(Conditioning.FILL,),
    steps=50,
    guidance=30.0,
)
_KONTEXT = replace(
    _DEV,
    name="black-forest-labs/FLUX.1-Kontext-dev",
    family="kontext",
    conditionings=(Conditioning.REFERENCE,),
    guidance=2.5,
    most_references=1,
)


def _is_guided_alike(card: Card, index: Mapping[str, Any], transformer: Mapping[str, Any]) -> bool:  # noqa: ARG001
    return (card.guidance is not None) is bool(transformer.get("guidance_embeds"))


FLUX1 = Family(
    name="flux1",
    page="flux1.md",
    code="triptych.models.flux1.building:flux1",
    pipelines=("FluxPipeline",),
    checkpoints=(
        Checkpoint(card=_DEV, pipeline="FluxPipeline", shape=_SHAPE),
        Checkpoint(card=_SCHNELL, pipeline="FluxPipeline", shape=_SHAPE, undistilled=_DEV.name),
    ),
    resembles=_is_guided_alike,
    layers=LAYERS,
    step_caches=_CACHES,
    architecture="flux-1-dev",
    base_model="FLUX.1 D",
    network=_NETWORK,
)
FLUX1_FILL = Family(
    name="flux1-fill",
    page="flux1-fill.md",
    code="triptych.models.flux1.building:fill",
    pipelines=("FluxFillPipeline",),
    checkpoints=(Checkpoint(card=_FILL, pipeline="FluxFillPipeline", shape=_SHAPE),),
    layers=LAYERS,
    step_caches=_CACHES,
    architecture="flux-1-dev",
    base_model="FLUX.1 D",
    network=_NETWORK,
)
KONTEXT = Family(
    name="kontext",
    page="kontext.md",
    code="triptych.models.flux1.building:kontext",
    pipelines=("FluxKontextPipeline",),
    checkpoints=(Checkpoint(card=_KONTEXT, pipeline="FluxKontextPipeline", shape=_SHAPE),),
    layers=LAYERS,
    step_caches=_CACHES,
    architecture="flux-1-dev",
    base_model="FLUX.1 Kontext",
    network=_NETWORK,
)
