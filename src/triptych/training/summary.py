"""The end of a run in words and plots."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from triptych.files import write_atomic
from triptych.skill import Skill

__all__ = ["summary_text", "write_plot"]

_PLOTTED = (("loss", "training loss"), ("held_out_loss", "held-out loss"), ("learning_rate", "learning rate"))


def summary_text(skill: Skill, rows: Sequence[dict[str, Any]]) -> str:
    """The run as Markdown: what was trained on what, losses from first to last, and every note."""
    card = skill.card
    lines = [
        f"# {skill.name}",
        "",
        f"{card.steps} steps on {card.pages} pages, backbone {card.backbone}, rank {card.rank}.",
    ]
    for key, title in _PLOTTED[:2]:
        values = [row[key] for row in rows if key in row]
        if values:
            tenth = max(1, len(values) // 10)
            first, last = (sum(part) / len(part) for part in (values[:tenth], values[-tenth:]))
            lines += ["", f"{title.capitalize()}: {first:.4f} at first, {last:.4f} at last, {min(values):.4f} at best."]
    notes = list(dict.fromkeys(row["note"] for row in rows if "note" in row))
    lines += ["", "Notes:", *(f"- {note}" for note in notes)] if notes else ["", "Nothing unusual was noted."]
    lines += ["", "![Losses and learning rate](loss.png)"]
    lines += ["", "![Samples; the last rows are the newest](contact-sheet.png)", ""]
    return "\n".join(lines)


def write_plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Losses and learning rate over steps."""
    # Here, so that training does not wait for it at the beginning.
    from matplotlib.figure import Figure

    series = [(key, title) for key, title in _PLOTTED if any(key in row for row in rows)]
    figure = Figure(figsize=(7, 2.2 * max(1, len(series))), layout="constrained")
    for number, (key, title) in enumerate(series, 1):
        axes = figure.add_subplot(len(series), 1, number)
        points = [(row["step"], row[key]) for row in rows if key in row]
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 40 else None)
        axes.set_ylabel(title)
    if series:
        figure.axes[-1].set_xlabel("step")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomic(path, buffer.getvalue())
