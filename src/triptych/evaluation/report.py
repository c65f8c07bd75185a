"""One self-contained HTML page of a run: goals, every row beside its baselines, plots, and pictures nobody chose."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from triptych.errors import SourceError
from triptych.evaluation.baselines import Baseline
from triptych.evaluation.gallery import shown_sheet
from triptych.evaluation.plots import confusion_plot, curve_plot, rules_plot
from triptych.evaluation.records import PageScores, Shown
from triptych.evaluation.scores import FIGURES, RowScores, Scores
from triptych.evaluation.scoring import confusion_key
from triptych.evaluation.statistics import Estimate
from triptych.evaluation.suites import Arm, Control, Kind, Row
from triptych.files import write_atomic
from triptych.images import save_png

__all__ = ["write_contact_sheet", "write_report"]

_CONTROL_WORDS: Mapping[Control, str] = {
    Control.OTHER_RULE: "but of another rule",
    Control.SHUFFLED: "but their answers shuffled",
    Control.COPIED: "but their answers are the inputs",
    Control.NO_TEXT: "all words removed",
    Control.OTHER_WORDS: "another task's words",
    Control.SWAPPED: "instructions moved on by one slot",
}
_BASELINE_WORDS: Mapping[str, str] = {
    Baseline.COPY: "copy of the nearest input",
    Baseline.WHITE: "white",
    Baseline.OTHER_OBJECT: "right rule, another object",
    Baseline.NEAREST: "nearest training answer",
    Baseline.CEILING: "ceiling: the answer through the codec",
    Baseline.LINEAR: "the answer through a linear transform of that size",
    Baseline.LEAST_SQUARES: "what one example did, by least squares, with no model",
}
_COLUMNS = (
    ("psnr", "PSNR ↑", 1),
    ("gain", "gain ↑", 1),
    ("top1", "top-1 ↑", 2),
    ("obeyed", "obeyed ↑", 2),
    ("legible", "legible ↑", 2),
    ("place", "place ↑", 2),
    ("framing", "framing ↑", 2),
    ("all_panels", "all panels ↑", 2),
    ("ssim", "SSIM ↑", 2),
    ("gmsd", "GMSD ↓", 2),
    ("colour", "ΔE ↓", 1),
    ("shift_px", "shift ↓", 1),
    ("sharpness", "sharp", 2),
    ("seams", "seams ↓", 1),
    ("noise", "noise ↓", 1),
    ("copied_input", "copies input ↓", 2),
    ("copied_example", "copies example ↓", 2),
)
_WITHOUT_PIXELS = frozenset({"top1", "colour", "sharpness", "noise", "copied_input", "copied_example"})
"""Columns that mean something where no pixel answer exists."""
_SHOWN_PER_ROW = 8
_SHEET = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    text: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    words: str
    kind: str
    pages: int
    cells: tuple[_Cell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A row as the template reads it; plots are SVG."""

    scores: RowScores
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    lines: tuple[_Line, ...]
    plots: tuple[str, ...]
    rules: str | None
    shown: Sequence[Shown]


def write_report(scores: Scores) -> Path:
    """Write `report.html` into the run's folder. Raises SourceError where nothing was scored."""
    if not scores.rows:
        raise SourceError(f"{scores.folder.path} has no scored page yet; let `triptych evaluate` run on.")
    environment = Environment(
        loader=PackageLoader("triptych.evaluation", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    goals = [(row, goal) for row in scores.rows.values() for goal in row.goals]
    environment.filters |= {"number": _number, "place": _place}
    text = environment.get_template("report.html.j2").render(
        settings=scores.settings,
        sections=[_section(scores, row) for row in scores.rows.values()],
        goals=goals,
        met=sum(goal.is_met for _, goal in goals),
        figures=FIGURES,
        verdicts=_verdicts(scores),
    )
    path = scores.folder.path / "report.html"
    write_atomic(path, text.encode())
    return path


def write_contact_sheet(scores: Scores, *, count: int = _SHEET) -> Path:
    """Write `contact-sheet.png`: the first pages of the rows in turn, as their main arm came out; none is selected."""
    by_row = [_main_pages(scores, row) for row in scores.rows.values()]
    in_turn = [entry for entry in chain.from_iterable(zip_longest(*by_row)) if entry is not None]
    path = scores.folder.path / "contact-sheet.png"
    save_png(shown_sheet(in_turn[:count]), path)
    return path


def _main_pages(scores: Scores, row: RowScores) -> list[Shown]:
    return [entry for entry in scores.folder.shown(row.row.name) if entry.arm == row.row.main.name]


def _section(scores: Scores, row: RowScores) -> _Section:
    names = row.names
    columns = [column for column in _COLUMNS if any(row.values(name, column[0]) for name in names)]
    if not row.row.pixels:
        columns = [column for column in columns if column[0] in _WITHOUT_PIXELS]
    return _Section(
        scores=row,
        columns=tuple(words for _, words, _ in columns),
        notes=tuple(FIGURES[figure] for figure, _, _ in columns),
        lines=tuple(_line(row, name, columns) for name in names),
        plots=tuple(_plots(row)),
        rules=rules_plot(row) if len(row.rules) > 2 and row.row.pixels else None,
        shown=_main_pages(scores, row)[:_SHOWN_PER_ROW],
    )


def _line(row: RowScores, name: str, columns: Iterable[tuple[str, str, int]]) -> _Line:
    arms = {arm.name: arm for arm in row.row.arms}
    arm = arms.get(name)
    kind = "baseline" if arm is None else "control" if arm.control else "model"
    pages = sum(name in page.scores for page in row.pages)
    cells = tuple(_cell(row.estimate(name, figure), digits) for figure, _, digits in columns)
    words = _BASELINE_WORDS[name] if arm is None else _arm_words(row.row, arm)
    return _Line(words=words, kind=kind, pages=pages, cells=cells)


def _arm_words(row: Row, arm: Arm) -> str:
    count = {0: "no example", 1: "1 example"}.get(arm.shots, f"{arm.shots} examples")
    if not any(row.shots):
        count = "as asked" if arm.control is None else ""
    return ", ".join(filter(None, (count, _CONTROL_WORDS[arm.control] if arm.control else "")))


def _cell(estimate: Estimate, digits: int) -> _Cell | None:
    if not estimate.pages:
        return None
    low, high = _number(estimate.low, digits), _number(estimate.high, digits)
    return _Cell(text=_number(estimate.mean, digits), interval=f"{low} to {high}")


def _number(value: float, digits: int = 2) -> str:
    if not math.isfinite(value):
        return "none"
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _place(value: float, low: float, high: float) -> float:
    """Percent of the way from `low` to `high`, within 0..100."""
    return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)


def _plots(row: RowScores) -> Iterable[str]:
    if len(row.row.shots) > 2:
        wanted = [("gain", "dB over copy and white"), ("obeyed", "rule obeyed")] if row.row.pixels else []
        wanted.append(("top1", "right answer retrieved"))
        scored = [pair for pair in wanted if row.values(row.row.main.name, pair[0])]
        if scored:
            yield curve_plot(row, scored)
    if row.row.kind is Kind.SWAP:
        for arm in row.row.arms:
            size = max((len(_panels(page, arm)) for page in row.pages), default=0)
            matrix = [
                [row.estimate(arm.name, confusion_key(panel, words)).mean for words in range(1, size + 1)]
                for panel in range(1, size + 1)
            ]
            if matrix:
                yield confusion_plot(matrix, _arm_words(row.row, arm))


def _panels(page: PageScores, arm: Arm) -> list[int]:
    values = page.scores.get(arm.name, {})
    return [panel for panel in range(1, 9) if confusion_key(panel, panel) in values]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """A rule in one line of the table of what is learnt how."""

    rule: str
    row: str
    arms: Mapping[str, Estimate]
    obeyed: Estimate
    words: str


def _verdicts(scores: Scores) -> list[_Verdict]:
    """Each rule of the rows asked by example: read from the examples, from nothing, or not at all."""
    found = []
    for row in scores.rows.values():
        if len(row.rules) < 2 or not any(row.row.shots) or not row.row.pixels:
            continue
        for rule in row.rules:
            arms = {arm.name: row.estimate(arm.name, "gain", rule=rule) for arm in row.row.arms if arm.control is None}
            main = arms[row.row.main.name]
            obeyed = row.estimate(row.row.main.name, "obeyed", rule=rule)
            found.append(_Verdict(rule=rule, row=row.row.title, arms=arms, obeyed=obeyed, words=_said(main, obeyed)))
    return sorted(found, key=lambda verdict: -verdict.arms[max(verdict.arms)].mean)


def _said(gain: Estimate, obeyed: Estimate) -> str:
    if obeyed.mean >= 0.5 and gain.low > 0:
        return "learnt from examples"
    if gain.low > 0:
        return "partly: better than any trivial picture, seldom exact"
    return "unclear on so few pages" if gain.high > 0 else "not learnt"
