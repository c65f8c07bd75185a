"""`triptych evaluate` and `triptych compare`: scores with intervals, a report, and two runs side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli import console
from triptych.cli.options import BackboneName, Seed, SkillFile, Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triptych.evaluation.run import Progress
    from triptych.evaluation.scores import Scores
    from triptych.evaluation.suites import Suite
    from triptych.page import Page

__all__ = ["add_to", "default_sprites", "run_suite"]

_What = Annotated[
    str, typer.Argument(metavar="PAGESET", help="A page set's folder, a suite's name (pocket, smoke) or a suite file.")
]
_Shots = Annotated[str, typer.Option(metavar="N,N", help="Numbers of examples to ask a page set with.")]
_Count = Annotated[int | None, typer.Option(min=1, help="Pages a row; by default the suite's own, or all.")]
_Rows = Annotated[str | None, typer.Option(metavar="NAME,NAME", help="Only these rows of the suite.")]
_Sprites = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Rendered sprites that a suite draws from.", show_default=False)
]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run; a stopped run goes on there.")]
_Run = Annotated[Path, typer.Argument(metavar="DIR", help="A folder written by `triptych evaluate`.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("evaluate", no_args_is_help=True)(evaluate)
    app.command("compare", no_args_is_help=True)(compare)


def default_sprites() -> Path:
    """Where `triptych pocket sprites` renders to."""
    return Path.home() / ".cache" / "triptych" / "sprites"


def evaluate(
    pageset: _What,
    out: _Out = Path("evaluation"),
    backbone: BackboneName = "pocket",
    skill: SkillFile = None,
    shots: _Shots = "0,1,2,3",
    count: _Count = None,
    rows: _Rows = None,
    sprites: _Sprites = None,
    steps: Steps = None,
    seed: Seed = 0,
) -> None:
    """Score a backbone, and a skill on it: scores.json, report.html and contact-sheet.png.

    Every row stands beside the copied input, white, another object's answer, and wrong examples or words. Ctrl-C
    stops it; the same command goes on where it was. Rows may be run by several processes into one folder.

    \b
    Examples:
      triptych evaluate my-pages --skill my.safetensors --shots 0,1,3 --out scored
      triptych evaluate pocket --count 50 --rows storyboard,held-out-rules
    """
    from triptych.data.pagesets import load_pageset
    from triptych.evaluation.suites import load_suite

    numbers = _numbers(shots)
    if Path(pageset).is_dir():
        if rows:
            raise typer.BadParameter("a page set has no rows; leave it out.", param_hint="--rows")
        run_suite(load_pageset(pageset), out, backbone, skill, numbers, count, None, steps, seed)
        return
    suite = load_suite(pageset)
    chosen = suite.only(tuple(name.strip() for name in rows.split(","))) if rows else suite
    run_suite(chosen, out, backbone, skill, numbers, count, sprites or default_sprites(), steps, seed)


def run_suite(
    pages: "Suite | Sequence[Page]",
    out: Path,
    backbone: str,
    skill: Path | None,
    shots: tuple[int, ...],
    count: int | None,
    sprites: Path | None,
    steps: int | None,
    seed: int,
) -> "Scores":
    """Evaluate with progress, then write what came of it and say where it is."""
    import triptych as tt
    from triptych.evaluation.report import write_contact_sheet, write_report
    from triptych.evaluation.run import evaluate as score

    with console.working(f"loading {backbone}"):
        model, adapter = tt.load(backbone), _adapter(skill)
    with console.progress("pages", total=1) as bar:

        def show(progress: "Progress") -> None:
            bar.update(bar.task_ids[0], description=progress.row, completed=progress.done, total=max(progress.pages, 1))

        scores = score(
            model,
            pages,
            out=out,
            sprites=sprites,
            shots=shots,
            skill=adapter,
            count=count,
            seed=seed,
            steps=steps,
            on_progress=show,
        )
    written = [scores.save(), write_report(scores), write_contact_sheet(scores)]
    for name, row in scores.rows.items():
        for goal in row.goals:
            mean, low, high = goal.estimate.mean, goal.estimate.low, goal.estimate.high
            verdict = "met" if goal.is_met else "missed"
            console.out(f"{verdict:7}{name:24}{goal.name:40}{mean:8.2f}  [{low:.2f}, {high:.2f}]")
    for path in written:
        console.out(str(path))
    return scores


def compare(
    first: _Run, second: _Run, every: Annotated[bool, typer.Option("--all", help="Chance as well.")] = False
) -> None:
    """Where two runs on the same pages differ by more than chance (paired sign-flip test, p < 0.05).

    \b
    Examples:
      triptych compare before after
    """
    from triptych.evaluation.compare import compare as differences
    from triptych.evaluation.scores import load_scores

    found = differences(load_scores(first), load_scores(second))
    shown = [one for one in found if every or one.better != "neither"]
    for one in shown:
        change = one.test.difference
        console.out(
            f"{one.better:8}{one.row:24}{one.arm:24}{one.figure:12}{one.first.mean:8.3f}{one.second.mean:8.3f}"
            f"  {change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]  p = {one.test.p:.4f}"
        )
    console.out(
        f"{len(shown)} of {len(found)} figures differ by more than chance." if not every else f"{len(found)} figures."
    )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of numbers. Write 0,1,3.", param_hint="--shots") from None
    if found[0] < 0 or found[-1] > 8:
        raise typer.BadParameter(f"{text!r}: 0 to 8 examples can be asked.", param_hint="--shots")
    return found
