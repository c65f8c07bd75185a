"""Velocity under the skills of a page: one set of skills for all slots, or one for each slot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from triptych.errors import SkillError
from triptych.models.backbone import Adapter, Backbone, Context, Targets
from triptych.models.slot_skills import SlotSkills
from triptych.page import Page
from triptych.sampling.context import read_batch
from triptych.sampling.request import Request
from triptych.sampling.ways.base import Plan

__all__ = ["Lanes", "Worn", "read_lanes", "worn_by_all"]

Worn: TypeAlias = Adapter | SlotSkills
"""What is put on for a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lane:
    adapter: Adapter | None
    context: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """What was read, once for each different set of skills, and which of these a target takes its velocity from."""

    lanes: tuple[_Lane, ...]
    of_target: tuple[int, ...]
    targets: Targets
    tokens: int
    cached: tuple[int, ...]
    """For each page, how many of `tokens` were read before."""

    def velocity(self, backbone: Backbone, tokens: Tensor, t: float, toward: float) -> Tensor:
        """The velocity of all targets at one noise level on the way to another, in float32; the backbone must be
        taken."""
        # The network may run in half precision; the sum over steps stays in float32.
        levels, half = torch.full((len(tokens),), t, device=tokens.device), tokens.to(backbone.dtype)
        targets, made = replace(self.targets, toward=torch.full_like(levels, toward)), []
        for lane in self.lanes:
            with backbone.shared.using(backbone, lane.adapter):
                made.append(backbone.velocity(half, levels, lane.context, targets).float())
        if len(made) == 1:
            return made[0]
        parts = [each.split([grid.tokens for grid in self.targets.grids], dim=1) for each in made]
        return torch.cat([parts[lane][target] for target, lane in enumerate(self.of_target)], dim=1)


def worn_by_all(worn: Worn | None) -> Adapter | None:
    """What is on for the whole page; skills of slots are put on where they are needed."""
    return None if isinstance(worn, SlotSkills) else worn


def read_lanes(backbone: Backbone, worn: Worn | None, pages: Sequence[Page], plan: Plan, request: Request) -> Lanes:
    """Read a batch under each different set of skills. Raises SkillError for skills of slots that are not targets."""
    grids = plan.targets.grids
    per_target = worn.skills if isinstance(worn, SlotSkills) else (worn,) * len(grids)
    if len(per_target) != len(grids):
        raise SkillError(
            f"{len(per_target)} skills for a page whose network sees {len(grids)} targets. Give one skill "
            "(or None) for each slot, and let conditions enter by reference."
        )
    different = list(dict.fromkeys(per_target))
    two_passes = backbone.card.negative is not None and request.guidance is not None and request.guidance > 1
    lanes, tokens, cached = [], 0, (0,) * len(pages)
    for adapter in different:
        with backbone.shared.using(backbone, adapter):
            batch = read_batch(backbone, adapter, pages, plan, guidance=request.guidance, two_passes=two_passes)
        lanes.append(_Lane(adapter=adapter, context=batch.context))
        tokens += batch.tokens
        cached = tuple(before + now for before, now in zip(cached, batch.cached, strict=True))
    return Lanes(
        lanes=tuple(lanes),
        of_target=tuple(different.index(adapter) for adapter in per_target),
        targets=plan.targets,
        tokens=tokens,
        cached=cached,
    )
