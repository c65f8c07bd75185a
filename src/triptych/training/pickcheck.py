"""What is known about picks before they are learned: contradictions, equal pictures, other models; too few of them."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from PIL.Image import Image

from triptych.errors import TrainingError, TriptychError
from triptych.images import opaque
from triptych.models.backbone import Card
from triptych.picks import LEAST_PICKS, Pick, Verdict
from triptych.picks.pick import picture_key
from triptych.skill import SkillCard
from triptych.training.picked import Example, Judged, example_of
from triptych.training.preflight import Problem, Severity
from triptych.training.recipe import PreferenceKind, Recipe

__all__ = ["Checked", "check_picks"]

_SAME = 0.004
"""Root mean square difference, of pictures from 0 to 1, below which nobody can tell two results apart."""
_JUDGED = (Verdict.KEPT, Verdict.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Picks that can be learned, and what to know about the others."""

    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]

    def refuse_few(self, given: int) -> None:
        """Raise TrainingError where too few are left."""
        if len(self.examples) < LEAST_PICKS:
            lost = given - len(self.examples)
            left_out = f" ({lost} of {given} are left out, see above)" if lost else ""
            raise TrainingError(
                f"{len(self.examples)} picks can be learned from{left_out}; it takes {LEAST_PICKS}, each of a "
                "different page or setting: with fewer, what is held out cannot tell a taste from chance. "
                f"Pick {LEAST_PICKS - len(self.examples)} more."
            )


def check_picks(picks: Sequence[Pick], skill: SkillCard, card: Card, recipe: Recipe) -> Checked:
    """Every pick that can be learned by the recipe, and every problem; nothing is loaded but pictures.

    Left out are picks of another model, results judged the other way elsewhere, results that look alike and
    are judged differently, and for `dpo` picks without a pair.
    """
    problems: list[Problem] = []
    examples = list(_readable(picks, skill, card, recipe, problems))
    examples = _without_contradictions(examples, problems)
    examples = [one for one in (_without_twins(example, problems) for example in examples) if one is not None]
    if recipe.preference is not None and recipe.preference.kind is PreferenceKind.DPO:
        alone = [example for example in examples if not example.pairs]
        if alone:
            problems.append(
                _warning("picks", f"{len(alone)} have no pair, which objective dpo needs; they are left out")
            )
        examples = [example for example in examples if example.pairs]
    return Checked(examples=tuple(examples), problems=tuple(problems))


def _readable(
    picks: Sequence[Pick], skill: SkillCard, card: Card, recipe: Recipe, problems: list[Problem]
) -> Iterator[Example]:
    others = 0
    for pick in picks:
        where = f"pick {pick.pick_id[:8]}"
        if pick.backbone != skill.backbone:
            problems.append(
                _warning(where, f"is of the model {pick.backbone!r}, the skill of {skill.backbone!r}; it is left out")
            )
            continue
        if not pick.of(*_JUDGED):
            continue
        others += skill.name not in pick.skills
        try:
            yield example_of(pick, card, recipe)
        except TriptychError as error:
            problems.append(_warning(where, f"cannot be used: {error}"))
    if others:
        problems.append(
            _warning("picks", f"{others} are of results made without the skill {skill.name!r}; they are learned anyway")
        )


def _without_contradictions(examples: list[Example], problems: list[Problem]) -> list[Example]:
    """The examples without results that are kept in one pick and rejected in another of the same page."""
    said: dict[Hashable, dict[Verdict, str]] = {}
    for example in examples:
        for result in example.of(*_JUDGED):
            said.setdefault((example.page_key, _key(result)), {})[result.verdict] = example.pick_id[:8]
    # Twins within one pick are reported as such.
    both = {key: where for key, where in said.items() if len(set(where.values())) > 1}
    for where in both.values():
        names = " and ".join(dict.fromkeys(where[verdict] for verdict in _JUDGED))
        problems.append(_warning(f"picks {names}", "the same picture is both kept and rejected; it is left out"))
    cleaned = []
    for example in examples:
        results = tuple(one for one in example.results if (example.page_key, _key(one)) not in both)
        if any(one.verdict in _JUDGED for one in results):
            cleaned.append(replace(example, results=results))
    return cleaned


def _without_twins(example: Example, problems: list[Problem]) -> Example | None:
    """The example without results that look alike and are judged differently; None where none is left."""
    twins: set[int] = set()
    for (first, one), (second, other) in combinations(enumerate(example.results), 2):
        if one.verdict is not other.verdict and _look_alike(one, other):
            twins |= {first, second}
    if twins:
        many = len(twins) == len(example.results)
        hint = ". Ask for samples (--sample), not for the mean" if many else ""
        what = f"{len(twins)} of its results look alike and are judged differently; they are left out{hint}"
        problems.append(_warning(f"pick {example.pick_id[:8]}", what))
    results = tuple(one for place, one in enumerate(example.results) if place not in twins)
    return replace(example, results=results) if any(one.verdict in _JUDGED for one in results) else None


def _pictures(result: Judged) -> list[Image]:
    return [opaque(slot.answer) for slot in result.page.slots if slot.answer is not None]


def _key(result: Judged) -> Hashable:
    return tuple(map(picture_key, _pictures(result)))


def _look_alike(one: Judged, other: Judged) -> bool:
    return all(
        first.size == second.size and _apart(first, second) < _SAME
        for first, second in zip(_pictures(one), _pictures(other), strict=True)
    )


def _apart(one: Image, other: Image) -> float:
    first, second = (np.asarray(image, dtype=np.float32) / 255 for image in (one, other))
    return float(np.sqrt(np.mean((first - second) ** 2)))


def _warning(where: str, what: str) -> Problem:
    return Problem(severity=Severity.WARNING, where=where, what=what)
