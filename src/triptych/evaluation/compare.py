"""Two runs on the same pages: which rows differ by more than chance."""

from dataclasses import dataclass

from triptych.errors import SourceError
from triptych.evaluation.scores import FIGURES, RowScores, Scores
from triptych.evaluation.statistics import Estimate, PairedTest, paired_test

__all__ = ["Difference", "compare"]

_COMPARED = ("gain", "top1", "obeyed", "legible", "place", "framing", "all_panels", "gmsd", "colour", "seams", "noise")
_ALWAYS_BETTER_LOWER = frozenset({"gmsd", "colour", "seams", "noise"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of one arm in two runs, on the pages both have; `test` is the first run minus the second."""

    row: str
    arm: str
    figure: str
    first: Estimate
    second: Estimate
    test: PairedTest

    @property
    def better(self) -> str:
        """`first`, `second`, or `neither` where chance explains the difference."""
        if not self.test.is_significant:
            return "neither"
        up = self.test.difference.mean > 0
        return "first" if up != (self.figure in _ALWAYS_BETTER_LOWER) else "second"


def compare(first: Scores, second: Scores) -> tuple[Difference, ...]:
    """Every figure of every arm that both runs have.

    Raises SourceError where the runs are not on the same pages: another seed, another suite, another source.
    """
    for field in ("seed", "source"):
        a, b = getattr(first.settings, field), getattr(second.settings, field)
        if a != b:
            raise SourceError(f"the runs are on different pages: {field} is {a!r} in one and {b!r} in the other.")
    found = [
        difference
        for name in first.rows
        if name in second.rows
        for difference in _row(first.rows[name], second.rows[name])
    ]
    if not found:
        raise SourceError("the runs have no page in common; compare runs of the same suite.")
    return tuple(found)


def _row(first: RowScores, second: RowScores) -> list[Difference]:
    if first.row.model_copy(update={"goals": second.row.goals, "pages": second.row.pages}) != second.row:
        raise SourceError(f"row {first.row.name!r} is not the same in both runs; compare runs of the same suite.")
    differences = []
    for arm in first.row.arms:
        for figure in _COMPARED:
            assert figure in FIGURES
            a, b = first.values(arm.name, figure), second.values(arm.name, figure)
            shared = [page for page in a if page in b]
            if not shared:
                continue
            differences.append(
                Difference(
                    row=first.row.name,
                    arm=arm.name,
                    figure=figure,
                    first=first.estimate(arm.name, figure),
                    second=second.estimate(arm.name, figure),
                    test=paired_test(a, b, first.groups),
                )
            )
    return differences
