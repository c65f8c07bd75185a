"""How well held-out picks are foretold, when that ends a training, and which step is released."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from triptych.picks import Verdict
from triptych.training.picked import Example
from triptych.training.recipe import Preference

__all__ = ["Foretold", "Look", "Looks", "foretold", "sign_flip_chance"]

_MOST_LOOKS = 2048
_EXACT = 12
CHANCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """How often a held-out pick is foretold, by how much, in units of the loss, and how likely that is by chance."""

    accuracy: float
    margin: float
    chance: float
    cases: int


def foretold(
    examples: Sequence[Example], before: Sequence[Sequence[float]], now: Sequence[Sequence[float]]
) -> Foretold:
    """Errors of every result before the training and now: what is kept should have gained on what is rejected.

    A pair counts as foretold where the error of the better result has fallen against that of the worse, a pick without
    a pair where the error of what was kept has fallen or that of what was rejected has risen; no change is a half.
    """
    hits: list[float] = []
    margins: list[float] = []
    for example, old, new in zip(examples, before, now, strict=True):
        gain = {id(result): was - is_ for result, was, is_ in zip(example.results, old, new, strict=True)}
        if pairs := example.pairs:
            gains = [gain[id(better)] - gain[id(worse)] for better, worse in pairs]
        else:
            signs = {Verdict.KEPT: 1.0, Verdict.REJECTED: -1.0}
            gains = [signs[one.verdict] * gain[id(one)] for one in example.results if one.verdict in signs]
        hits += [1.0 if gain > 0 else CHANCE if gain == 0 else 0.0 for gain in gains]
        margins.append(sum(gains) / max(1, len(gains)))
    return Foretold(
        accuracy=sum(hits) / max(1, len(hits)),
        margin=sum(margins) / max(1, len(margins)),
        chance=sign_flip_chance(margins),
        cases=len(hits),
    )


def sign_flip_chance(margins: Sequence[float]) -> float:
    """How likely a mean as high is where each margin might as well have the other sign: a one-sided test.

    Exact for few margins, of 4,096 draws for many (Fisher 1935, The Design of Experiments, section 21).
    """
    values = np.asarray(margins, dtype=np.float64)
    if len(values) <= _EXACT:
        signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (2**_EXACT, len(values)))
        signs[0] = 1
    # What differs from it by rounding alone is as high.
    return float((signs @ values >= values.sum() - 1e-9 * np.abs(values).sum()).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was measured at a step."""

    step: int
    accuracy: float
    margin: float
    chance: float
    """How likely as much of a margin is by chance."""
    worse_db: float
    """How much the error on held-out teaching pages has risen."""

    def is_allowed(self, preference: Preference) -> bool:
        """Whether the skill may be as it was then."""
        return self.chance <= preference.most_chance and self.worse_db <= preference.most_worse_db


class Looks:
    """All looks of a run, in one tensor, so that a checkpoint holds them."""

    def __init__(self) -> None:
        self.tensor = torch.full((_MOST_LOOKS, 5), torch.nan, dtype=torch.float64)

    def add(self, look: Look) -> None:
        row = len(self.all) % _MOST_LOOKS
        facts = [look.step, look.accuracy, look.margin, look.chance, look.worse_db]
        self.tensor[row] = torch.tensor(facts, dtype=torch.float64)

    @property
    def all(self) -> list[Look]:
        rows: list[list[float]] = self.tensor[~self.tensor[:, 0].isnan()].tolist()
        return [
            Look(step=int(step), accuracy=accuracy, margin=margin, chance=chance, worse_db=worse_db)
            for step, accuracy, margin, chance, worse_db in rows
        ]

    def best(self, preference: Preference) -> Look | None:
        """The look of the highest margin that is allowed."""
        allowed = [look for look in self.all if look.is_allowed(preference)]
        return max(allowed, key=lambda look: look.margin, default=None)

    def have_ended(self, preference: Preference, *, since: int) -> bool:
        """Whether the last looks after step `since`, as many as its patience, are all worse than the best before."""
        seen = [look for look in self.all if look.step > since]
        # Chance does not count here: what is not yet told from it may still grow.
        harmless = [look for look in self.all if look.worse_db <= preference.most_worse_db]
        last = max(harmless, key=lambda look: look.margin).step if harmless else 0
        return sum(look.step > last for look in seen) >= preference.patience

    def tensors(self) -> dict[str, Tensor]:
        return {"looks": self.tensor}
