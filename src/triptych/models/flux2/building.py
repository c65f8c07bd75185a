"""FLUX.2 checkpoints of their parts."""

from collections.abc import Mapping
from typing import Any

from triptych.models.backbone import Card
from triptych.models.flux2.backbone import Flux2, MistralText, QwenText
from triptych.models.options import LoadOptions, References
from triptych.models.parts import Parts, room

__all__ = ["flux2", "flux2_kv"]


def flux2(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> Flux2:
    """dev and klein."""
    reader = MistralText if index.get("_class_name") == "Flux2Pipeline" else QwenText
    text = reader(parts["text_encoder"], parts["tokenizer"], limit=card.max_text_tokens)
    return _seeing(References.JOINT, text, parts, card, options)


def flux2_kv(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> Flux2:  # noqa: ARG001
    """klein-KV."""
    text = QwenText(parts["text_encoder"], parts["tokenizer"], limit=card.max_text_tokens)
    return _seeing(References.ALONE, text, parts, card, options)


def _seeing(trained: References, text: QwenText | MistralText, parts: Parts, card: Card, options: LoadOptions) -> Flux2:
    return Flux2(text=text, references=options.references or trained, trained=trained, **room(parts, card))
