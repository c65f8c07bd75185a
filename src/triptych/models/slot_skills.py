"""A skill for each slot of a page."""

from collections.abc import Sequence

from triptych.errors import SkillError
from triptych.models.adapters import Skills
from triptych.skill import Skill

__all__ = ["SlotSkills"]


class SlotSkills:
    """Every slot is denoised by the network with its own skill on it (None: with none), seeing all other slots.

    A step costs one pass for each different skill, so conditions must enter by reference, where slots are targets of
    their own.
    """

    def __init__(self, skills: Sequence[Skill | Skills | None]) -> None:
        self.skills = tuple(Skills(skill) if isinstance(skill, Skill) else skill for skill in skills)
        if not any(self.skills):
            raise SkillError("no slot has a skill; give one at least.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotSkills) and self.skills == other.skills

    def __hash__(self) -> int:
        return hash(self.skills)

    @property
    def name(self) -> str:
        """The skills in the order of the slots, `-` for none."""
        return " | ".join(skill.name if skill else "-" for skill in self.skills)
