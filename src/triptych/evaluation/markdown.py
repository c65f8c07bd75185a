"""A run's figures as Markdown, for cards and pull requests."""

import math
from collections.abc import Iterator
from pathlib import Path

from triptych.evaluation.scores import RowScores, Scores
from triptych.evaluation.statistics import Estimate
from triptych.files import write_atomic

__all__ = ["write_markdown"]

_COLUMNS = {
    "psnr": ("PSNR, dB", 1),
    "gain": ("over the better of copy and white, dB", 1),
    "top1": ("right answer found", 2),
    "obeyed": ("rule obeyed", 2),
    "all_panels": ("all panels right", 2),
    "place": ("place", 2),
    "framing": ("framing", 2),
    "spread": ("spread across seeds, levels", 1),
}


def write_markdown(scores: Scores) -> Path:
    """Write `scores.md` into the run's folder: aims first, then every row with its controls and baselines."""
    path = scores.folder.path / "scores.md"
    write_atomic(path, ("\n".join(_lines(scores)) + "\n").encode())
    return path


def _lines(scores: Scores) -> Iterator[str]:
    yield "| row | aim | asked | measured | p | |"
    yield "|---|---|---|---|---|---|"
    for row in scores.rows.values():
        for goal in row.goals:
            asked = f"over {goal.target:g}" if goal.p is not None else f"{goal.target:g}"
            chance = f"{goal.p:.3f}" if goal.p is not None else ""
            verdict = "met" if goal.is_met else "**missed**"
            yield f"| {row.row.title} | {goal.name} | {asked} | {_cell(goal.estimate, 2)} | {chance} | {verdict} |"
    for row in scores.rows.values():
        yield from ("", f"**{row.row.title}** ({len(row.pages)} pages). {row.row.note}", "")
        yield from _table(row)


def _table(row: RowScores) -> Iterator[str]:
    columns = [name for name in _COLUMNS if any(row.values(arm, name) for arm in row.names)]
    yield f"| | {' | '.join(_COLUMNS[name][0] for name in columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for arm in row.names:
        cells = [_cell(row.estimate(arm, name), _COLUMNS[name][1]) for name in columns]
        yield f"| {arm} | {' | '.join(cells)} |"


def _cell(estimate: Estimate, digits: int) -> str:
    if not math.isfinite(estimate.mean):
        return ""
    return f"{estimate.mean:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
