"""FLUX.1 checkpoints of their parts."""

from collections.abc import Mapping
from typing import Any

from triptych.models.backbone import Card
from triptych.models.flux1.backbone import Flux1, Flux1Text
from triptych.models.flux1.fill import Flux1Fill
from triptych.models.flux1.kontext import Kontext
from triptych.models.options import LoadOptions
from triptych.models.parts import Parts, room

__all__ = ["fill", "flux1", "kontext"]


def flux1(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> Flux1:  # noqa: ARG001
    """dev and schnell."""
    return Flux1(text=_text(parts, card), **room(parts, card))


def fill(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> Flux1Fill:  # noqa: ARG001
    """Fill-dev."""
    return Flux1Fill(text=_text(parts, card), **room(parts, card))


def kontext(parts: Parts, card: Card, index: Mapping[str, Any], options: LoadOptions) -> Kontext:  # noqa: ARG001
    """Kontext-dev."""
    return Kontext(text=_text(parts, card), **room(parts, card))


def _text(parts: Parts, card: Card) -> Flux1Text:
    return Flux1Text(
        clip=parts["text_encoder"],
        clip_tokenizer=parts["tokenizer"],
        t5=parts["text_encoder_2"],
        t5_tokenizer=parts["tokenizer_2"],
        limit=card.max_text_tokens,
    )
