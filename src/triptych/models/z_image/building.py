"""A checkpoint of Z-Image-Omni of its parts."""

from collections.abc import Mapping
from typing import Any

from triptych.models.backbone import Card
from triptych.models.options import LoadOptions
from triptych.models.parts import Parts, room
from triptych.models.z_image.backbone import ZImageOmni
from triptych.models.z_image.text import ZImageText

__all__ = ["omni"]


def omni(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> ZImageOmni:  # noqa: ARG001
    """There is one kind."""
    text = ZImageText(
        parts["text_encoder"],
        parts["tokenizer"],
        parts["siglip"],
        parts["siglip_processor"],
        limit=card.max_text_tokens,
    )
    return ZImageOmni(text=text, **room(parts, card))
