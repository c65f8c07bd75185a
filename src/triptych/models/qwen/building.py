"""Checkpoints of Qwen-Image-Edit of their parts."""

from collections.abc import Mapping
from typing import Any

from triptych.models.backbone import Card
from triptych.models.options import LoadOptions
from triptych.models.parts import Parts, room
from triptych.models.qwen.backbone import QwenEdit, QwenEditText

__all__ = ["edit"]


def edit(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> QwenEdit:  # noqa: ARG001
    """The plain one, 2509 and 2511."""
    _, pictures = parts["processor"]
    seen = 384 if index.get("_class_name") == "QwenImageEditPlusPipeline" else None
    text = QwenEditText(
        parts["text_encoder"], parts["tokenizer"], pictures, limit=card.max_text_tokens, seen_side_px=seen
    )
    return QwenEdit(text=text, **room(parts, card))
