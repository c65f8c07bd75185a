"""Checkpoints of Qwen-Image 2.1 of their parts."""

from collections.abc import Mapping
from typing import Any

from triptych.models.backbone import Card
from triptych.models.options import LoadOptions
from triptych.models.parts import Parts, room
from triptych.models.qwen21.backbone import Qwen21, Qwen21Text

__all__ = ["qwen21"]


def qwen21(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> Qwen21:  # noqa: ARG001
    """As the index says, with the noise levels that a distilled one was made for."""
    tokenizer, pictures = parts["processor"]
    text = Qwen21Text(parts["text_encoder"], tokenizer, pictures, limit=card.max_text_tokens)
    return Qwen21(text=text, sample_sigmas=index.get("sample_sigmas"), **room(parts, card))
