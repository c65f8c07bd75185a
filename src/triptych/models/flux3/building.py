"""Checkpoints of FLUX 3 Image Klein of their parts."""

from collections.abc import Mapping
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler

from triptych.errors import BackboneError
from triptych.models.backbone import Card
from triptych.models.flux3.backbone import Flux3, Flux3Text
from triptych.models.options import LoadOptions
from triptych.models.parts import Parts, room

__all__ = ["flux3"]

_SHIFT = 6.93
"""Of the noise levels, for all sizes and steps: diffusers' blocks make the scheduler themselves."""


def flux3(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> Flux3:  # noqa: ARG001
    """The base, and the distilled one."""
    if bool(parts["transformer"].config.flow_map) is not (card.negative is None):
        raise BackboneError(
            f"{card.name} is a {index.get('_class_name')}, but flow_map is {parts['transformer'].config.flow_map} in "
            "transformer/config.json. Take the index and the transformer of one checkpoint."
        )
    own = {"scheduler": FlowMatchEulerDiscreteScheduler(shift=_SHIFT)}
    text = Flux3Text(parts["text_encoder"], parts["tokenizer"], limit=card.max_text_tokens)
    return Flux3(text=text, **room(Parts(by_name=own | dict(parts.by_name)), card))
