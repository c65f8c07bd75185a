"""How well held-out picks are foretold, when that ends a training, and which step is released."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.picks import Verdict
from triptych.training.picked import Example

__all__ = ["Foretold", "Look", "Looks", "foretold"]

_MOST_LOOKS = 2048
CHANCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """How often a held-out pick is foretold, and by how much, in units of the loss."""

    accuracy: float
    margin: float
    cases: int


def foretold(
    examples: Sequence[Example], before: Sequence[Sequence[float]], now: Sequence[Sequence[float]]
) -> Foretold:
    """Errors of every result before the training and now: what is kept should have gained on what is rejected.

    A pair counts as foretold where the error of the better result has fallen against that of the worse, a pick without
    a pair where the error of what was kept has fallen or that of what was rejected has risen; no change is a half.
    """
    gains: list[float] = []
    for example, old, new in zip(examples, before, now, strict=True):
        gain = {id(result): was - is_ for result, was, is_ in zip(example.results, old, new, strict=True)}
        if pairs := example.pairs:
            gains += [gain[id(better)] - gain[id(worse)] for better, worse in pairs]
        else:
            signs = {Verdict.KEPT: 1.0, Verdict.REJECTED: -1.0}
            gains += [signs[one.verdict] * gain[id(one)] for one in example.results if one.verdict in signs]
    hits = [1.0 if gain > 0 else CHANCE if gain == 0 else 0.0 for gain in gains]
    count = max(1, len(gains))
    return Foretold(accuracy=sum(hits) / count, margin=sum(gains) / count, cases=len(gains))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was measured at a step."""

    step: int
    accuracy: float
    margin: float
    worse_db: float
    """How much the error on held-out teaching pages has risen."""

    def is_allowed(self, most_worse_db: float) -> bool:
        """Whether the skill may be as it was then."""
        return self.accuracy > CHANCE and self.worse_db <= most_worse_db


class Looks:
    """All looks of a run, in one tensor, so that a checkpoint holds them."""

    def __init__(self) -> None:
        self.tensor = torch.full((_MOST_LOOKS, 4), torch.nan, dtype=torch.float64)

    def add(self, look: Look) -> None:
        row = len(self.all) % _MOST_LOOKS
        self.tensor[row] = torch.tensor([look.step, look.accuracy, look.margin, look.worse_db], dtype=torch.float64)

    @property
    def all(self) -> list[Look]:
        rows: list[list[float]] = self.tensor[~self.tensor[:, 0].isnan()].tolist()
        return [Look(step=int(row[0]), accuracy=row[1], margin=row[2], worse_db=row[3]) for row in rows]

    def best(self, most_worse_db: float) -> Look | None:
        """The look of highest accuracy that is allowed, the latest of equals: ever more is learned on the way."""
        allowed = [look for look in self.all if look.is_allowed(most_worse_db)]
        return max(allowed, key=lambda look: (look.accuracy, look.step), default=None)

    def have_ended(self, patience: int, most_worse_db: float, *, since: int) -> bool:
        """Whether the last `patience` looks after step `since` are all worse than the best before them."""
        seen = [look for look in self.all if look.step > since]
        best = self.best(most_worse_db)
        last = best.step if best else 0
        return sum(look.step > last for look in seen) >= patience

    def tensors(self) -> dict[str, Tensor]:
        return {"looks": self.tensor}
