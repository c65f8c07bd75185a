"""A checkpoint of Qwen-Image-Layered of its parts."""

from collections.abc import Mapping
from typing import Any

from triptych.models.backbone import Card
from triptych.models.options import LoadOptions
from triptych.models.parts import Parts, room
from triptych.models.qwen_layered.backbone import QwenLayered, QwenLayeredText

__all__ = ["layered"]


def layered(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> QwenLayered:  # noqa: ARG001
    """There is one kind."""
    _, pictures = parts["processor"]
    text = QwenLayeredText(parts["text_encoder"], parts["tokenizer"], pictures, limit=card.max_text_tokens)
    return QwenLayered(text=text, **room(parts, card))
