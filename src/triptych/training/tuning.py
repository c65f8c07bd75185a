"""From a skill to the recipe that tunes it, and whether pages are those that taught it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from triptych.page import Page
from triptych.skill import Skill
from triptych.training.recipe import Recipe, load_recipe
from triptych.training.variants import pages_sha256, prepared_by

__all__ = ["taught_by", "tuning_recipe"]

_INHERITED = (
    "template",
    "trigger",
    "conditioning",
    "sides_px",
    "guidance",
    "loss",
    "decoder_weights",
    "canvas_loss",
    "slot_weights",
    "variety",
)
"""What a skill's own training decided and its tuning keeps."""


def tuning_recipe(skill: Skill, name: str | Path | None, changes: Mapping[str, object]) -> Recipe:
    """The recipe of that name (by default `prefer`, for large backbones `prefer-large`) made to fit a skill.

    Its adapter, backbone and what its own training decided are taken over; `changes` come last. Raises TrainingError.
    """
    card = skill.card
    name = name or ("prefer" if card.family == "pocket" else "prefer-large")
    own = card.recipe
    kept: dict[str, object] = {key: own[key] for key in _INHERITED if key in own}
    adapter = own.get("adapter")
    targets = adapter.get("targets") if isinstance(adapter, dict) else None
    backbone = own.get("backbone") or card.backbone
    return load_recipe(
        name,
        {
            "backbone": backbone,
            "frozen_conditions": card.frozen_conditions,
            **kept,
            "adapter": {
                "rank": card.rank,
                "alpha": card.alpha,
                "rank_stabilised": card.rank_stabilised,
                "targets": targets or list(skill.modules),
            },
            **changes,
        },
    )


def taught_by(skill: Skill, pages: Sequence[Page], recipe: Recipe) -> bool:
    """Whether these pages are those of the skill's card, as far as it says."""
    return skill.card.data_sha256 in ("", pages_sha256(prepared_by(page, recipe) for page in pages))
