"""How pages are to be made: what the caller asked, and the backbone's own for the rest."""

from dataclasses import dataclass

from triptych.errors import BackboneError
from triptych.models.backbone import Card, Conditioning

__all__ = ["Settings", "Size", "settle"]

Size = tuple[int, int]
"""Width and height in px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How pages are to be made, complete: nothing is left to the backbone's card."""

    steps: int
    conditioning: Conditioning
    guidance: float | None
    size_px: Size | int | None
    cached: bool


def settle(
    card: Card,
    *,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    guidance: float | None = None,
    size_px: Size | int | None = None,
    cached: bool = True,
) -> Settings:
    """What is None becomes the backbone's own. Raises BackboneError for steps or guidance the backbone cannot use."""
    if steps is not None and steps < 1:
        raise BackboneError(f"steps is {steps}; at least 1 is needed. {card.name} works best with {card.steps}.")
    if guidance is not None and card.guidance is None:
        raise BackboneError(f"guidance is {guidance}, but {card.name} takes none. Leave it out.")
    return Settings(
        steps=steps or card.steps,
        conditioning=conditioning or card.native,
        guidance=card.guidance if guidance is None else guidance,
        size_px=size_px,
        cached=cached,
    )
