"""`triptych evaluate` and `triptych compare`: scores with intervals, a report, and two runs side by side."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli import console, options
from triptych.events import CancelToken, Event, ctrl_c_cancels

if TYPE_CHECKING:
    from triptych.evaluation.scores import Scores

__all__ = ["add_to", "evaluate_pocket", "report_scores", "shot_numbers", "tracked"]

_What = Annotated[
    str, typer.Argument(metavar="PAGESET", help="A page set's folder, a suite's name (pocket, smoke) or a suite file.")
]
_Shots = Annotated[str, typer.Option(metavar="N,N", help="How many examples to show, for page sets.")]
_Count = Annotated[
    int | None, typer.Option(min=1, help="Pages per row, spread over its rules; by default the suite's own, or all.")
]
_Rows = Annotated[
    str | None, typer.Option(metavar="NAME,NAME", help="Only these rows of the suite.", show_default=False)
]
_Weights = Annotated[
    Path | None, typer.Option("--weights", metavar="FILE", help="By default the released weights.", show_default=False)
]
_Run = Annotated[Path, typer.Argument(metavar="DIR", help="A folder written by `triptych evaluate`.")]
_Every = Annotated[bool, typer.Option("--all", help="Also list differences that chance explains.")]
_Trust = Annotated[
    bool,
    typer.Option("--trust-rules", help="Let the suite run the Python files it names; read them first."),
]
_COLUMN = {"row": 24, "arm": 28, "figure": 12, "goal": 40}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("evaluate", no_args_is_help=True)(evaluate)
    app.command("compare", no_args_is_help=True)(compare)


def evaluate(
    pageset: _What,
    out: options.OutFolder = Path("evaluation"),
    backbone: options.BackboneName = "pocket",
    skill: options.SkillFiles = None,
    shots: _Shots = "0,1,2,3",
    count: _Count = None,
    rows: _Rows = None,
    sprites: options.SpriteFolder = None,
    steps: options.Steps = None,
    conditioning: options.ConditioningWay = None,
    seed: options.Seed = 0,
    trust_rules: _Trust = False,
) -> None:
    """Score a backbone, and a skill on it: scores.json, report.html and contact-sheet.png.

    Every row is shown beside the copied input, white, another object's answer, and wrong examples or words. The same
    command continues a stopped run. Several processes may score different rows into one folder.

    \b
    Examples:
      triptych evaluate my-pages --skill my.safetensors --shots 0,1,3 --out scored
      triptych evaluate pocket --count 50 --rows storyboard,held-out-rules
    """
    from triptych.data.pagesets import load_pageset
    from triptych.evaluation.records import RunFolder
    from triptych.evaluation.run import evaluate as score
    from triptych.evaluation.suites import load_suite

    numbers, way = shot_numbers(shots), options.parse_conditioning(conditioning)
    chosen = tuple(name.strip() for name in rows.split(",")) if rows else ()
    if Path(pageset).is_dir():
        if chosen:
            raise typer.BadParameter("a page set has no rows; leave it out.", param_hint="--rows")
        pages = load_pageset(pageset)
    else:
        pages = load_suite(pageset, trust_rules=trust_rules)
        # A mistyped row is reported before the model is loaded.
        pages.only(chosen)
    # So is a folder of something else, before anything is read.
    RunFolder(out).check_free()
    with console.working(f"loading {backbone}"):
        model, adapter = options.open_engine(backbone), options.read_skills(skill)
    with tracked() as on_event, ctrl_c_cancels(CancelToken()) as cancel:
        scores = score(
            model,
            pages,
            out=out,
            sprites=options.sprite_folder(sprites),
            rows=chosen,
            shots=numbers,
            skill=adapter,
            count=count,
            seed=seed,
            steps=steps,
            conditioning=way,
            on_event=on_event,
            cancel=cancel,
        )
    report_scores(scores)


def evaluate_pocket(
    out: options.OutFolder = Path("evaluation"),
    weights: _Weights = None,
    count: _Count = None,
    rows: _Rows = None,
    sprites: options.SpriteFolder = None,
    steps: options.Steps = None,
    conditioning: options.ConditioningWay = None,
    seed: options.Seed = 0,
) -> None:
    """Measure the pocket on the suite `pocket`: objects, rules and picture sets that it never saw.

    \b
    Examples:
      triptych pocket evaluate --weights runs/pocket/pocket.safetensors --count 100 --out measured
    """
    evaluate(
        "pocket",
        out=out,
        backbone=str(weights) if weights else "pocket",
        count=count,
        rows=rows,
        sprites=sprites,
        steps=steps,
        conditioning=conditioning,
        seed=seed,
    )


@contextmanager
def tracked() -> "Iterator[Callable[[Event[Scores]], None]]":
    """A bar of the pages of one row after the other; gives what `evaluate` reports to."""
    with console.progress("pages", total=1) as bar:
        yield lambda event: console.follow(bar, event)


def report_scores(scores: "Scores") -> None:
    """Write the results of a run, and say which goals were met and where the files are."""
    from triptych.evaluation.markdown import write_markdown
    from triptych.evaluation.report import write_contact_sheet, write_report

    written = [scores.save(), write_markdown(scores), write_report(scores), write_contact_sheet(scores)]
    for name, row in scores.rows.items():
        for goal in row.goals:
            verdict, found = "met" if goal.is_met else "missed", goal.estimate
            console.out(
                f"{verdict:8}{name:{_COLUMN['row']}}{goal.name:{_COLUMN['goal']}}"
                f"{found.mean:8.2f}  [{found.low:.2f}, {found.high:.2f}]"
            )
    for path in written:
        console.out(str(path))


def compare(first: _Run, second: _Run, every: _Every = False) -> None:
    """Where two runs on the same pages differ by more than chance (paired sign-flip test, p below 0.05).

    \b
    Examples:
      triptych compare before after
    """
    from triptych.evaluation.compare import compare as differences
    from triptych.evaluation.scores import load_scores

    found = differences(load_scores(first), load_scores(second))
    for one in found:
        if every or one.better != "neither":
            change = one.test.difference
            console.out(
                f"{one.better:8}{one.row:{_COLUMN['row']}}{one.arm:{_COLUMN['arm']}}{one.figure:{_COLUMN['figure']}}"
                f"{one.first.mean:9.3f}{one.second.mean:9.3f}"
                f"  {change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]  p = {one.test.p:.4f}"
            )
    telling = sum(one.better != "neither" for one in found)
    console.out(f"{telling} of {len(found)} figures differ by more than chance.")


def shot_numbers(text: str) -> tuple[int, ...]:
    """`0,1,3` as numbers of examples, sorted."""
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers. Write 0,1,3.", param_hint="--shots") from None
    if found[0] < 0 or found[-1] > 8:
        raise typer.BadParameter(f"{text!r}: ask for 0 to 8 examples.", param_hint="--shots")
    return found
