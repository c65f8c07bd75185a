"""Stable Diffusion 3.5 checkpoints of their parts."""

from collections.abc import Mapping
from typing import Any

from triptych.models.backbone import Card
from triptych.models.options import LoadOptions
from triptych.models.parts import Parts, room
from triptych.models.sd3.backbone import SD3, SD3Text

__all__ = ["sd3"]


def sd3(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> SD3:  # noqa: ARG001
    """large, large-turbo and medium."""
    text = SD3Text(
        clips=(parts["text_encoder"], parts["text_encoder_2"]),
        clip_tokenizers=(parts["tokenizer"], parts["tokenizer_2"]),
        t5=parts["text_encoder_3"],
        t5_tokenizer=parts["tokenizer_3"],
        limit=card.max_text_tokens,
    )
    return SD3(text=text, **room(parts, card))
