"""`triptych train`: a page set in, a skill out."""

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import triptych as tt
from triptych.cli import console
from triptych.cli.output import prepare_folder
from triptych.errors import TrainingError
from triptych.events import Event, Step, Warning
from triptych.files import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress as Bar

    from triptych.models.backbone import Backbone, Card
    from triptych.page import Page
    from triptych.skill import Skill
    from triptych.training.recipe import Recipe

__all__ = ["add_to"]

_LINES = 10

_PageSet = Annotated[
    Path, typer.Argument(metavar="PAGESET", help="A folder with metadata.jsonl, such as `build` writes.")
]
_Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The skill: a file that ends in .safetensors.")]
_RecipeName = Annotated[str, typer.Option("--recipe", metavar="NAME", help="A shipped recipe or a YAML file.")]
_Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the recipe, such as adapter.rank=32."),
]
_HeldOut = Annotated[Path | None, typer.Option(metavar="DIR", help="A page set to measure and show, not to train on.")]
_Steps = Annotated[int | None, typer.Option(min=1, help="Steps; by default the recipe's.")]
_Backbone = Annotated[str | None, typer.Option(metavar="NAME", help="Default: the recipe's.")]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only look for problems and say what the training will need; train nothing.")
]
_Resume = Annotated[bool, typer.Option("--resume", help="Continue from the newest checkpoint of this run.")]
_More = Annotated[
    int,
    typer.Option("--more-steps", min=0, metavar="N", help="Continue, and train N steps longer than planned."),
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start again where there is a run or a skill already.")]
_From = Annotated[
    Path | None,
    typer.Option("--from", metavar="SKILL", help="A skill to begin from, of the recipe's rank and layers."),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("train", no_args_is_help=True)(train_skill)


def train_skill(
    pageset: _PageSet,
    out: _Out,
    recipe: _RecipeName = "pocket",
    held_out: _HeldOut = None,
    steps: _Steps = None,
    backbone: _Backbone = None,
    changes: _Changes = None,
    start: _From = None,
    resume: _Resume = False,
    more_steps: _More = 0,
    overwrite: _Overwrite = False,
    dry_run: _DryRun = False,
) -> None:
    """Train a skill: an adapter that makes one kind of page reliable, from about ten finished pages.

    Checkpoints, samples and the log go to FILE's folder, under FILE.run. Ctrl-C saves; --resume continues. A second
    Ctrl-C stops at once, without saving. With fewer --steps the recipe's warm-up is shortened by the same share.

    \b
    Examples:
      triptych train outlines --out outline.safetensors
      triptych train outlines --out outline.safetensors --held-out more --set adapter.rank=32 --steps 200
      triptych train outlines --out outline.safetensors --resume
      triptych train outlines --out outline.safetensors --more-steps 100
      triptych train outlines --out outline.safetensors --dry-run
    """
    from triptych.data.pagesets import load_pageset
    from triptych.skill import load_skill
    from triptych.training.claim import check_out, run_folder
    from triptych.training.loop import train
    from triptych.training.running import Stopped

    if out.suffix != ".safetensors":
        raise typer.BadParameter(f"{out} must end in .safetensors.", param_hint="--out")
    chosen = _recipe(recipe, changes, steps, backbone)
    begun = load_skill(start) if start else None
    check_out(out, resume=resume or more_steps > 0, overwrite=overwrite)
    _look_ahead(pageset, chosen, held_out)
    if dry_run:
        return
    pages, unseen = load_pageset(pageset), load_pageset(held_out) if held_out else ()
    prepare_folder(out.parent)
    with console.working(f"loading {chosen.backbone}"):
        loaded = _loaded(chosen, pages)
    with console.progress("training", total=chosen.steps) as bar:
        try:
            train(
                pages,
                out,
                chosen,
                loaded,
                held_out=unseen,
                resume=resume,
                more_steps=more_steps,
                overwrite=overwrite,
                start=begun,
                on_event=_Teller(bar),
            )
        except Stopped as stopped:
            console.say(f"saved as {stopped.checkpoint}; the same command with --resume continues from there.")
            raise
        except KeyboardInterrupt:
            console.say(_unsaved(run_folder(out)))
            raise
    console.out(str(out))
    console.say(f"summary, samples and log: {run_folder(out)}")


def _unsaved(folder: Path) -> str:
    """What is left of a run that was stopped in the middle of a step."""
    from triptych.training.checkpoint import newest_checkpoint
    from triptych.training.claim import CHECKPOINTS

    checkpoint, _ = newest_checkpoint(folder / CHECKPOINTS)
    if checkpoint is None:
        return "stopped before anything was saved."
    return f"stopped without saving; --resume continues from the checkpoint after step {checkpoint.step}."


class _Teller:
    """Shows where a run is: on the bar, or as about ten lines where there is no terminal to draw one on."""

    def __init__(self, bar: "Bar") -> None:
        self._bar = bar
        self._losses: deque[float] = deque(maxlen=_LINES)
        self._told = 0

    def __call__(self, event: "Event[Skill]") -> None:
        match event:
            case Warning():
                console.say(event.text)
            case Step() if "loss" in event.measures:
                self._show(event)

    def _show(self, reached: Step) -> None:
        if reached.step > self._told:
            # Of one step it tells little: it depends on the noise levels that were drawn.
            self._losses.append(reached.measures["loss"])
        unseen = f", held out {reached.measures['held_out_loss']:.4f}" if "held_out_loss" in reached.measures else ""
        loss = sum(self._losses) / max(1, len(self._losses))
        text = f"loss {loss:.4f}{unseen}, rate {reached.measures['learning_rate']:.1e}"
        self._bar.update(self._bar.task_ids[0], completed=reached.step, total=reached.steps, description=text)
        every = max(1, reached.steps // _LINES)
        if self._bar.disable and reached.step > self._told and reached.step % every == 0:
            console.say(
                f"step {reached.step} of {reached.steps}: {text}, {_duration(reached.seconds_left or 0.0)} left"
            )
        self._told = reached.step


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _look_ahead(pageset: Path, recipe: "Recipe", held_out: Path | None) -> None:
    """Tell every problem and the need. Raises TrainingError where a problem forbids training."""
    from triptych.data.pagesets import load_pageset
    from triptych.models.hardware import best_device, operations_per_second
    from triptych.training.estimate import need_of
    from triptych.training.preflight import Severity, preflight

    problems = preflight(pageset, recipe, held_out=held_out, card=_known_card(recipe.backbone))
    for problem in problems:
        console.say(str(problem))
    if errors := sum(problem.severity is Severity.ERROR for problem in problems):
        raise TrainingError(f"{errors} of the problems above must be mended before {pageset} can be trained on.")
    if need := need_of(recipe, load_pageset(pageset)):
        console.say(f"{recipe.steps} steps: {need.text(operations_per_second(best_device()))}")


def _known_card(backbone: str) -> "Card | None":
    """What is known of a backbone before it is loaded."""
    from triptych.models.catalog import find_checkpoint
    from triptych.models.pocket import pocket_card

    if backbone == "pocket":
        return pocket_card()
    checkpoint = find_checkpoint(backbone)
    return checkpoint.card if checkpoint else None


def _recipe(name: str, changes: list[str] | None, steps: int | None, backbone: str | None) -> "Recipe":
    from triptych.training.recipe import load_recipe

    asked: dict[str, object] = {}
    for change in changes or ():
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{change!r} is not a change. Write KEY=VALUE.", param_hint="--set")
        try:
            asked[key] = parse_yaml(value)
        except ValueError as error:
            raise typer.BadParameter(f"{change!r}: its value is not valid YAML: {error}.", param_hint="--set") from None
    asked |= {key: value for key, value in (("steps", steps), ("backbone", backbone)) if value is not None}
    return load_recipe(name, asked)


def _loaded(recipe: "Recipe", pages: "Sequence[Page]") -> "Backbone":
    from triptych.models.options import LoadOptions, Quantise
    from triptych.training.estimate import need_of

    quantise = Quantise(recipe.quantised.value) if recipe.quantised else None
    need = need_of(recipe, pages)
    return tt.load(recipe.backbone, LoadOptions(quantise=quantise, training=need.training if need else None))
