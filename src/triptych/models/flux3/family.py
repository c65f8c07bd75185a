"""The record of FLUX 3 Image Klein: the base, and the one that was distilled to sixteen steps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from triptych.models.backbone import Card, Conditioning
from triptych.models.family import Checkpoint, Family, Shape
from triptych.models.flux3.layers import LAYERS

__all__ = ["FLUX3"]

_PICTURE = "<ref_image_{index}>"
_SHAPE = Shape(transformer=5.54, text=4.44, codec=0.084, width=3072, double_blocks=5, single_blocks=28)
_KLEIN = Card(
    name="black-forest-labs/flux-3-image-klein",
    family="flux3",
    conditionings=(Conditioning.REFERENCE, Conditioning.REPAINT),
    factor=16,
    channels=128,
    side_px=1024,
    steps=16,
    guidance=None,
    max_text_tokens=8192,
    licence="FLUX Kommunity License",
    most_references=10,
    picture_name=_PICTURE,
    reads_boxes=True,
)
# Guidance as the authors advise it (their README); diffusers' blocks begin with 3.5.
_BASE = replace(_KLEIN, name=_KLEIN.name + "-base", steps=50, guidance=4.0, negative="")


def _is_distilled_alike(card: Card, index: Mapping[str, Any], transformer: Mapping[str, Any]) -> bool:  # noqa: ARG001
    return (card.negative is None) is bool(transformer.get("flow_map"))


FLUX3 = Family(
    name="flux3",
    picture_name=_PICTURE,
    page="flux3.md",
    code="triptych.models.flux3.building:flux3",
    pipelines=("Flux3ModularPipeline", "Flux3DistilledModularPipeline"),
    checkpoints=(
        Checkpoint(card=_KLEIN, pipeline="Flux3DistilledModularPipeline", shape=_SHAPE, undistilled=_BASE.name),
        Checkpoint(card=_BASE, pipeline="Flux3ModularPipeline", shape=_SHAPE),
    ),
    resembles=_is_distilled_alike,
    layers=LAYERS,
    # No step caches: diffusers' do not know the transformer.
    architecture="flux-3-image-klein",
    base_model="FLUX.3",
)
