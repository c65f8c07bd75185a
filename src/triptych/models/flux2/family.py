"""The records of FLUX.2: dev and klein, and klein-KV."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from triptych.models.backbone import Card, Conditioning
from triptych.models.family import Checkpoint, Family, Shape
from triptych.models.flux2.layers import LAYERS
from triptych.models.options import StepCache

__all__ = ["FLUX2", "FLUX2_KV"]

_SMALL = Shape(transformer=3.88, text=4.02, codec=0.084, width=3072, double_blocks=5, single_blocks=20)
_MIDDLE = Shape(transformer=9.08, text=8.19, codec=0.084, width=4096, double_blocks=8, single_blocks=24)
_LARGE = Shape(transformer=32.2, text=24.0, codec=0.084, width=6144, double_blocks=8, single_blocks=48)
_OWNER = "black-forest-labs/FLUX.2-"
_CLOSED = "FLUX Non-Commercial License"
# Most references as the authors advise (docs.bfl.ai, "Reference Images per Model").
_DEV = Card(
    name=_OWNER + "dev",
    family="flux2",
    conditionings=(Conditioning.REFERENCE, Conditioning.REPAINT),
    factor=16,
    channels=128,
    side_px=1024,
    steps=28,
    guidance=4.0,
    max_text_tokens=512,
    licence=_CLOSED,
    most_references=6,
)
_4B = replace(_DEV, name=_OWNER + "klein-4B", steps=4, guidance=None, licence="Apache-2.0", most_references=4)
_BASE_4B = replace(_4B, name=_OWNER + "klein-base-4B", steps=50, guidance=4.0, negative="")
_9B = replace(_4B, name=_OWNER + "klein-9B", licence=_CLOSED)
_BASE_9B = replace(_BASE_4B, name=_OWNER + "klein-base-9B", licence=_CLOSED)
_KV = replace(_9B, name=_OWNER + "klein-9b-kv", family="flux2-kv")


def _is_distilled_alike(card: Card, index: Mapping[str, Any], transformer: Mapping[str, Any]) -> bool:  # noqa: ARG001
    return index.get("_class_name") == "Flux2Pipeline" or (card.negative is None) is bool(index.get("is_distilled"))


def _klein(card: Card, shape: Shape, *, gated: bool, undistilled: str = "") -> Checkpoint:
    return Checkpoint(card=card, pipeline="Flux2KleinPipeline", shape=shape, gated=gated, undistilled=undistilled)


FLUX2 = Family(
    name="flux2",
    page="flux2.md",
    code="triptych.models.flux2.building:flux2",
    pipelines=("Flux2Pipeline", "Flux2KleinPipeline"),
    checkpoints=(
        Checkpoint(card=_DEV, pipeline="Flux2Pipeline", shape=_LARGE),
        _klein(_4B, _SMALL, gated=False, undistilled=_BASE_4B.name),
        _klein(_BASE_4B, _SMALL, gated=False),
        _klein(_9B, _MIDDLE, gated=True, undistilled=_BASE_9B.name),
        _klein(_BASE_9B, _MIDDLE, gated=True),
    ),
    resembles=_is_distilled_alike,
    layers=LAYERS,
    # diffusers 0.42 follows two streams through a first block and cannot follow FLUX.2's one; MagCache's ratios were
    # measured on FLUX.1 alone.
    step_caches=(StepCache.TAYLORSEER,),
    chooses_references=True,
    architecture="flux-2",
    base_model="FLUX.2",
)
FLUX2_KV = Family(
    name="flux2-kv",
    page="flux2.md",
    code="triptych.models.flux2.building:flux2_kv",
    pipelines=("Flux2KleinKVPipeline",),
    checkpoints=(Checkpoint(card=_KV, pipeline="Flux2KleinKVPipeline", shape=_MIDDLE, cached=True),),
    layers=LAYERS,
    # No step caches: where references are read once no block may be left out.
    chooses_references=True,
    architecture="flux-2",
    base_model="FLUX.2",
)
