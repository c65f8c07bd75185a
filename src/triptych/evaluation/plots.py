"""Plots of the report, as SVG text that goes straight into the page."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triptych.evaluation.scores import RowScores
from triptych.evaluation.statistics import Estimate
from triptych.evaluation.suites import Arm, Control

__all__ = ["confusion_plot", "curve_plot", "rules_plot"]

_INK, _FAINT, _LINE = "#1f2430", "#8a90a0", "#e3e6ee"
_RIGHT = "#2563eb"
_CONTROL_COLOURS: Mapping[Control, str] = {
    Control.OTHER_RULE: "#d1495b",
    Control.SHUFFLED: "#c98a1b",
    Control.COPIED: "#6b7280",
    Control.NO_TEXT: "#7b5ea7",
}
_CONTROL_WORDS: Mapping[Control, str] = {
    Control.OTHER_RULE: "another rule's examples",
    Control.SHUFFLED: "answers shuffled",
    Control.COPIED: "answers are the inputs",
    Control.NO_TEXT: "no words",
}
_SHARES = frozenset({"obeyed", "top1"})
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "triptych",
}


def curve_plot(row: RowScores, figures: Sequence[tuple[str, str]]) -> str:
    """Score against the number of examples, right ones beside each control; bands are intervals of 95%.

    `figures` are names of figures and what their axis says.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.1 * len(figures), 2.6), layout="constrained")
        for place, (name, words) in enumerate(figures):
            axes = figure.add_subplot(1, len(figures), place + 1)
            _curve(axes, row, None, name, "right examples", _RIGHT)
            for control, colour in _CONTROL_COLOURS.items():
                _curve(axes, row, control, name, _CONTROL_WORDS[control], colour)
            axes.set_xticks(row.row.shots)
            axes.set_xlabel("examples on the page")
            axes.set_title(words, loc="left", fontsize=9)
            axes.grid(axis="y", color=_LINE)
            axes.set_axisbelow(True)
            if name in _SHARES:
                axes.set_ylim(-0.03, 1.03)
        if len(figure.axes[0].lines) > 1:
            figure.legend(
                *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False
            )
        return _svg(figure)


def _curve(axes: Axes, row: RowScores, control: Control | None, name: str, label: str, colour: str) -> None:
    points = [(arm.shots, row.estimate(arm.name, name)) for arm in row.row.arms if arm.control is control and row.pages]
    points = sorted(((shots, estimate) for shots, estimate in points if estimate.pages), key=lambda point: point[0])
    if not points:
        return
    shots = [shots for shots, _ in points]
    axes.fill_between(
        shots, [e.low for _, e in points], [e.high for _, e in points], color=colour, alpha=0.14, linewidth=0
    )
    axes.plot(shots, [e.mean for _, e in points], "o-", color=colour, markersize=4, linewidth=1.6, label=label)


def rules_plot(row: RowScores, *, figure_name: str = "gain", words: str = "dB over copy and white") -> str:
    """One line a rule: the main arm's mean and interval, and, hollow, the same with no example."""
    found = [(rule, row.estimate(row.row.main.name, figure_name, rule=rule)) for rule in row.rules]
    found = sorted([(rule, estimate) for rule, estimate in found if estimate.pages], key=lambda pair: pair[1].mean)
    none = Arm(shots=0)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.2, 0.5 + 0.21 * len(found)), layout="constrained")
        axes = figure.add_subplot()
        for height, (rule, estimate) in enumerate(found):
            if none in row.row.arms and none != row.row.main:
                _dot(axes, row.estimate(none.name, figure_name, rule=rule), height, hollow=True)
            _dot(axes, estimate, height)
        axes.axvline(0, color=_FAINT, linewidth=0.8)
        axes.set_yticks(range(len(found)), [rule for rule, _ in found])
        axes.set_xlabel(words)
        axes.grid(axis="x", color=_LINE)
        axes.set_axisbelow(True)
        axes.margins(y=0.02)
        return _svg(figure)


def _dot(axes: Axes, estimate: Estimate, height: int, *, hollow: bool = False) -> None:
    if not estimate.pages:
        return
    if not hollow:
        axes.plot([estimate.low, estimate.high], [height, height], color=_RIGHT, linewidth=2, alpha=0.35)
    axes.plot([estimate.mean], [height], "o", color=_RIGHT, markersize=5, markerfacecolor="white" if hollow else _RIGHT)


def confusion_plot(rows: Sequence[Sequence[float]], title: str = "") -> str:
    """Panels down, instructions across: how often a panel's picture is nearest to an instruction's answer."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(2.8, 2.7), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, loc="left", fontsize=9)
        axes.imshow(rows, cmap="Blues", vmin=0, vmax=1)
        for down, row in enumerate(rows):
            for across, value in enumerate(row):
                if math.isnan(value):
                    continue
                axes.text(
                    across, down, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.55 else _INK
                )
        axes.set_xticks(range(len(rows)), [f"instr. {number + 1}" for number in range(len(rows))])
        axes.set_yticks(range(len(rows)), [f"panel {number + 1}" for number in range(len(rows))])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
    text = stream.getvalue()
    # Sized by the page, not in points; what stands before <svg> is for files of their own.
    return re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text[text.index("<svg") :], count=1)
