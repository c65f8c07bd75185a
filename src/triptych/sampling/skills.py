"""From what a request or a caller says about skills to an adapter that can be put on."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from triptych.errors import RequestError
from triptych.models.adapters import Skills
from triptych.models.backbone import Adapter
from triptych.models.slot_skills import SlotSkills
from triptych.sampling.lanes import Worn
from triptych.sampling.request import SkillUse
from triptych.skill import Skill, load_skill, skill_file

__all__ = ["FindSkill", "SkillFiles", "SkillLike", "as_worn", "uses_of", "worn_of_uses"]

FindSkill: TypeAlias = Callable[[str], Skill]
"""From the name in a request to the skill."""

SkillLike: TypeAlias = Worn | Skill | str | Path | Sequence[Skill | str | Path]
"""What a caller may give as a skill: one, its file or name, several of these, or an adapter."""

_MOST_FILES = 8


class SkillFiles:
    """Skills by name or file; a file is read again only where it was changed."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, tuple[tuple[int, int], Skill]] = OrderedDict()

    def __call__(self, name: str) -> Skill:
        path = skill_file(name)
        stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else (0, 0)
        known = self._read.get(name)
        if known is None or known[0] != stamp:
            known = self._read[name] = (stamp, load_skill(name))
        self._read.move_to_end(name)
        if len(self._read) > _MOST_FILES:
            self._read.popitem(last=False)
        return known[1]


def as_worn(skill: SkillLike | None) -> Worn | None:
    """What to put on for a skill, a file, a name, or several of them. Raises SkillError."""
    if skill is None or isinstance(skill, (Adapter, SlotSkills)):
        return skill
    several = [skill] if isinstance(skill, (Skill, str, Path)) else list(skill)
    return Skills([each if isinstance(each, Skill) else load_skill(each) for each in several])


def worn_of_uses(uses: Sequence[SkillUse], find: FindSkill, slots: int) -> Worn | None:
    """What a request puts on. Raises RequestError where some skills are for a slot and some for all."""
    if not uses:
        return None
    if all(use.slot is None for use in uses):
        return Skills([find(use.name) for use in uses], weights=[use.weight for use in uses])
    if any(use.slot is None for use in uses):
        raise RequestError(
            "some skills are for one slot and some for the whole page; give every skill a slot, or none."
        )
    lanes = []
    for number in range(1, slots + 1):
        own = [use for use in uses if use.slot == number]
        lanes.append(Skills([find(use.name) for use in own], weights=[use.weight for use in own]) if own else None)
    return SlotSkills(lanes)


def uses_of(worn: Worn | None) -> tuple[SkillUse, ...]:
    """How a request names what is put on."""
    match worn:
        case None:
            return ()
        case Skills():
            pairs = zip(worn.skills, worn.weights, strict=True)
            return tuple(SkillUse(name=skill.name, weight=float(weight)) for skill, weight in pairs)
        case SlotSkills():
            return tuple(
                SkillUse(name=use.name, weight=use.weight, slot=number)
                for number, own in enumerate(worn.skills, 1)
                for use in uses_of(own)
            )
        case _:
            return (SkillUse(name=worn.name),)
