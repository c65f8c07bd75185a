"""A skill for each slot of a page."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.errors import SkillError
from triptych.models.adapters import Skills, check_fit
from triptych.models.backbone import Backbone, Sequences, VelocityField
from triptych.skill import Skill

__all__ = ["SlotSkills"]


class SlotSkills:
    """Every slot is denoised by the network with its own skill on it (None: with none), seeing all other slots.

    A step costs one pass for each different skill, so conditions must enter by reference, where slots are targets of
    their own. See `triptych.models.backbone.Adapter`.
    """

    def __init__(self, skills: Sequence[Skill | Skills | None]) -> None:
        self.skills = tuple(Skills(skill) if isinstance(skill, Skill) else skill for skill in skills)
        if not any(self.skills):
            raise SkillError("no slot has a skill; give one at least.")

    @property
    def name(self) -> str:
        """The skills in the order of the slots, `-` for none."""
        return " | ".join(skill.name if skill else "-" for skill in self.skills)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotSkills) and self.skills == other.skills

    def __hash__(self) -> int:
        return hash(self.skills)

    @contextmanager
    def applied(self, backbone: Backbone) -> Iterator[None]:
        """Inside the `with`, the backbone's velocity fields take each slot's part from its skill."""
        for own in self.skills:
            for skill in own.skills if own else ():
                check_fit(skill, backbone.transformer)
        own = backbone.velocity_field
        vars(backbone)["velocity_field"] = lambda sequences: _Field(backbone, own, sequences, self.skills)
        try:
            yield
        finally:
            del vars(backbone)["velocity_field"]


class _Field:
    def __init__(
        self,
        backbone: Backbone,
        own: Callable[[Sequences], VelocityField],
        sequences: Sequences,
        skills: Sequence[Skills | None],
    ) -> None:
        if len(sequences.targets) != len(skills):
            raise SkillError(
                f"{len(skills)} skills for a page whose network sees {len(sequences.targets)} targets. Give one skill "
                "(or None) for each slot, and let conditions enter by reference."
            )
        self._backbone, self._skills = backbone, tuple(skills)
        self._lengths = [grid.tokens for grid in sequences.targets]
        self._fields: dict[int, VelocityField] = {}
        for skill in self._skills:
            if id(skill) not in self._fields:
                # References are read with the skill on, as when it is the page's only one.
                with self._on(skill):
                    self._fields[id(skill)] = own(sequences)

    def __call__(
        self, tokens: Float[Tensor, "batch target channels"], t: float
    ) -> Float[Tensor, "batch target channels"]:
        parts: dict[int, Sequence[Tensor]] = {}
        for skill in self._skills:
            if id(skill) not in parts:
                with self._on(skill):
                    parts[id(skill)] = self._fields[id(skill)](tokens, t).split(self._lengths, dim=1)
        return torch.cat([parts[id(skill)][slot] for slot, skill in enumerate(self._skills)], dim=1)

    def _on(self, skill: Skills | None) -> AbstractContextManager[object]:
        return nullcontext() if skill is None else skill.applied(self._backbone)
