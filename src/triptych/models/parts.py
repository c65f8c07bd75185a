"""The components of a checkpoint, by the names that its `model_index.json` gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from triptych.errors import BackboneError
from triptych.models.backbone import Card

__all__ = ["Parts", "Room", "room"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The components of a pipeline, by the names that `model_index.json` gives them."""

    by_name: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        if name not in self.by_name:
            raise BackboneError(f"the checkpoint has no part {name!r}; it has: {', '.join(self.by_name)}.")
        return self.by_name[name]


class Room(TypedDict):
    """What every family's class takes, beside its text encoder."""

    card: Card
    transformer: Any
    vae: Any
    scheduler: Any


def room(parts: Parts, card: Card) -> Room:
    """The parts that every checkpoint has."""
    return Room(card=card, transformer=parts["transformer"], vae=parts["vae"], scheduler=parts["scheduler"])
