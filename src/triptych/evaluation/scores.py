"""Scores of a run: pages to estimates with intervals, goals to met or missed, rules one by one."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from triptych.evaluation.baselines import Baseline
from triptych.evaluation.records import PageScores, RunFolder, Settings
from triptych.evaluation.statistics import Estimate, PairedTest, bootstrap, paired_test
from triptych.evaluation.suites import Arm, Control, Row
from triptych.files import write_atomic

__all__ = ["BASELINES", "FIGURES", "GoalResult", "RowScores", "Scores", "load_scores"]

BASELINES = tuple(baseline.value for baseline in Baseline)

FIGURES: Mapping[str, str] = {
    "psnr": "PSNR, dB",
    "gain": "PSNR over the better of copy and white, page by page, dB",
    "top1": "right answer the nearest of the candidates and the page's own conditions",
    "obeyed": "accepted by the rule's verifier",
    "nearness": "how nearly the rule was obeyed, 0..1",
    "legible": "letters and marks of the answer that can be read in the picture",
    "ssim": "structural similarity",
    "gmsd": "gradient magnitude similarity deviation (0 is best)",
    "colour": "CIEDE2000",
    "shift_px": "shift against the answer, px",
    "sharpness": "edge strength over the answer's",
    "seams": "patch seams, levels",
    "noise": "colour noise, levels",
    "own_panel": "slots nearest to their own answer",
    "all_panels": "pages with every slot nearest to its own answer",
    "place": "place recognised among 12",
    "framing": "framing recognised among 3",
    "spread": "standard deviation between samples of one page, levels",
    "copied_input": "slots that copy an input",
    "copied_example": "slots that copy an example",
}
"""Every figure and what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalResult:
    """One thing a row must reach. `estimate` is what is compared with `target`; `p` is there for tests."""

    name: str
    target: float
    estimate: Estimate
    p: float | None = None

    @property
    def is_met(self) -> bool:
        """Measured at or above the target; for a test, above it and significant."""
        if self.p is not None:
            return self.estimate.mean > self.target and self.p < 0.05
        return self.estimate.mean >= self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class RowScores:
    """One row's pages."""

    row: Row
    pages: Sequence[PageScores]

    def values(self, arm: str, figure: str) -> dict[str, float]:
        """The figure of every page that has it, by page. `gain` is worked out from PSNR."""
        if figure == "gain":
            found = {page.page: _gain(page, arm) for page in self.pages}
        else:
            found = {page.page: page.value(arm, figure) for page in self.pages}
        return {page: value for page, value in found.items() if math.isfinite(value)}

    @property
    def groups(self) -> dict[str, str]:
        return {page.page: page.group for page in self.pages}

    @property
    def names(self) -> tuple[str, ...]:
        """Arms in the row's order, then baselines, as far as pages have them."""
        there = {name for page in self.pages for name in page.scores}
        return tuple(name for name in (*(arm.name for arm in self.row.arms), *BASELINES) if name in there)

    def figures(self, arm: str) -> tuple[str, ...]:
        return tuple(figure for figure in FIGURES if self.values(arm, figure))

    def estimate(self, arm: str, figure: str, *, rule: str | None = None) -> Estimate:
        """The mean with its interval, tasks resampled; of one rule's pages where `rule` is given."""
        keep = {page.page for page in self.pages if rule is None or page.rule == rule}
        values = {page: value for page, value in self.values(arm, figure).items() if page in keep}
        return bootstrap(list(values.values()), [self.groups[page] for page in values])

    def test(self, first: str, second: str, figure: str) -> PairedTest:
        """First arm minus second on the pages both were asked on."""
        return paired_test(self.values(first, figure), self.values(second, figure), self.groups)

    @property
    def gain_of_means(self) -> float:
        """PSNR of the main arm over the better baseline of the row as a whole; below the page by page `gain`'s bar."""
        means = [self.estimate(name, "psnr").mean for name in (Baseline.COPY.value, Baseline.WHITE.value)]
        best = max((mean for mean in means if math.isfinite(mean)), default=math.nan)
        return self.estimate(self.row.main.name, "psnr").mean - best

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(page.rule for page in self.pages if page.rule))

    @property
    def goals(self) -> tuple[GoalResult, ...]:
        goals, main = self.row.goals, self.row.main.name
        results = [
            GoalResult(name=name, target=target, estimate=self.estimate(main, figure))
            for name, figure, target in (
                ("dB over copy and white", "gain", goals.gain_db),
                ("right answer retrieved", "top1", goals.top1),
                ("place", "place", goals.place),
                ("framing", "framing", goals.framing),
            )
            if target is not None
        ]
        if goals.swap is not None:
            swapped = Arm(shots=self.row.main.shots, control=Control.SWAPPED).name
            results.append(
                GoalResult(
                    name="instructions swapped", target=goals.swap, estimate=self.estimate(swapped, "all_panels")
                )
            )
        return (*results, *self._tests())

    def _tests(self) -> list[GoalResult]:
        figure = "psnr" if self.row.pixels else "top1"
        found = []
        for shots in self.row.shots:
            pairs = [(self.row.goals.over_none and 0 in self.row.shots, Arm(shots=0), "over no example")]
            wrong = Arm(shots=shots, control=Control.OTHER_RULE)
            pairs.append((self.row.goals.over_wrong and wrong in self.row.arms, wrong, "over another rule's"))
            for asked, other, name in pairs:
                if asked and shots:
                    test = self.test(Arm(shots=shots).name, other.name, figure)
                    title = f"{shots} right {name} ({figure})"
                    found.append(GoalResult(name=title, target=0.0, estimate=test.difference, p=test.p))
        return found

    def summary(self) -> dict[str, object]:
        """Plain data for scores.json."""
        return {
            "title": self.row.title,
            "pages": len(self.pages),
            "gain_of_means": _plain(self.gain_of_means),
            "goals": [
                {"name": goal.name, "target": goal.target, "met": goal.is_met, "p": goal.p, **_estimate(goal.estimate)}
                for goal in self.goals
            ],
            "arms": {
                name: {figure: _estimate(self.estimate(name, figure)) for figure in self.figures(name)}
                for name in self.names
            },
            "rules": {
                rule: {
                    arm.name: {
                        figure: _estimate(self.estimate(arm.name, figure, rule=rule))
                        for figure in ("gain", "top1", "obeyed")
                    }
                    for arm in self.row.arms
                    if arm.control is None
                }
                for rule in (self.rules if len(self.rules) > 1 else ())
            },
        }


def _gain(page: PageScores, arm: str) -> float:
    bars = [page.value(name, "psnr") for name in (Baseline.COPY.value, Baseline.WHITE.value)]
    return page.value(arm, "psnr") - max((bar for bar in bars if math.isfinite(bar)), default=math.nan)


def _plain(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _estimate(estimate: Estimate) -> dict[str, float | int | None]:
    return {name: _plain(value) if isinstance(value, float) else value for name, value in asdict(estimate).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """A run's rows, in the suite's order."""

    folder: RunFolder
    settings: Settings
    rows: Mapping[str, RowScores]

    def save(self) -> Path:
        """Write `scores.json` into the run's folder."""
        data = {
            "settings": self.settings.model_dump(mode="json", exclude={"suite"}),
            "rows": {name: row.summary() for name, row in self.rows.items()},
        }
        path = self.folder.path / "scores.json"
        write_atomic(path, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())
        return path


def load_scores(folder: Path) -> Scores:
    """The scores that `evaluate` kept in `folder`, finished or not. Raises SourceError where there are none."""
    run = RunFolder(folder)
    settings = run.settings()
    rows = {
        row.name: RowScores(row=row, pages=list(pages.values()))
        for row in settings.suite.rows
        if (pages := run.scores(row.name))
    }
    return Scores(folder=run, settings=settings, rows=rows)
