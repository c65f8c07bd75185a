"""Checkpoints of GLM-Image of their parts."""

from collections.abc import Mapping
from typing import Any

from triptych.models.backbone import Card
from triptych.models.glm_image.backbone import GlmImage
from triptych.models.glm_image.reading import GlmText
from triptych.models.options import LoadOptions
from triptych.models.parts import Parts, room

__all__ = ["glm_image"]


def glm_image(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> GlmImage:  # noqa: ARG001
    """The one there is."""
    text = GlmText(
        drafter=parts["vision_language_encoder"],
        processor=parts["processor"],
        glyphs=parts["text_encoder"],
        glyph_tokenizer=parts["tokenizer"],
        limit=card.max_text_tokens,
    )
    return GlmImage(text=text, **room(parts, card))
