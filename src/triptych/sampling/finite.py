"""Refuse pictures whose values are not numbers: without this check they would be saved as black."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from triptych.errors import BackboneError, SkillError
from triptych.models.backbone import Adapter
from triptych.models.slot_skills import SlotSkills

__all__ = ["NotFiniteError", "check_finite", "naming_skill"]


class NotFiniteError(BackboneError):
    """The network or the codec made NaN or infinite values."""


def check_finite(picture: Tensor, name: str, dtype: torch.dtype) -> Tensor:
    """`picture` as it is. Raises NotFiniteError, naming the backbone and the type it runs in."""
    if not bool(picture.isfinite().all()):
        kind = str(dtype).removeprefix("torch.")
        advice = "Load it in bfloat16 or float32." if dtype == torch.float16 else "Check its weights."
        raise NotFiniteError(f"{name} made values that are not finite while running in {kind}. {advice}")
    return picture


@contextmanager
def naming_skill(skill: Adapter | SlotSkills | None) -> Iterator[None]:
    """Inside the `with`, values that are not finite raise SkillError if a skill is on, since it may have made them."""
    try:
        yield
    except NotFiniteError as error:
        if skill is None:
            raise
        raise SkillError(f"{error} The skill {skill.name!r} is on: try without it, or give it less weight.") from error
