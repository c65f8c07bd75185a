"""What the commands that train share: the backbone they load, and how a run is shown and ended."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import triptych as tt
from triptych.cli import console
from triptych.events import Event, Step, Warning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress as Bar

    from triptych.models.backbone import Backbone
    from triptych.page import Page
    from triptych.skill import Skill
    from triptych.training.recipe import Recipe

__all__ = ["check_name", "loaded_for", "saying_where", "telling"]

_LINES = 10


def check_name(out: Path) -> None:
    """A skill is a safetensors file."""
    if out.suffix != ".safetensors":
        raise typer.BadParameter(f"{out} must end in .safetensors.", param_hint="--out")


def _unsaved(folder: Path) -> str:
    """What is left of a run that was stopped in the middle of a step."""
    from triptych.training.checkpoint import newest_checkpoint
    from triptych.training.claim import CHECKPOINTS

    checkpoint, _ = newest_checkpoint(folder / CHECKPOINTS)
    if checkpoint is None:
        return "stopped before anything was saved."
    return f"stopped without saving; --resume continues from the checkpoint after step {checkpoint.step}."


@contextmanager
def saying_where(again: str) -> "Iterator[None]":
    """Where a run inside the `with` is stopped, say what it was saved as, and that `again` goes on from there."""
    from triptych.training.running import Stopped

    try:
        yield
    except Stopped as stopped:
        if stopped.checkpoint is not None:
            console.say(f"saved as {stopped.checkpoint}; {again} continues from there.")
        raise


@contextmanager
def telling(out: Path, steps: int) -> "Iterator[Callable[[Event[Skill]], None]]":
    """Show a run to `out` while it lasts; at its end, or where it is stopped, say what was written."""
    from triptych.training.claim import run_folder

    with console.progress("training", total=steps) as bar, saying_where("the same command with --resume"):
        try:
            yield _Teller(bar)
        except KeyboardInterrupt:
            console.say(_unsaved(run_folder(out)))
            raise
    console.out(str(out))
    console.say(f"summary, samples and log: {run_folder(out)}")


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
            # For one step it says little: it depends on the noise levels that were drawn.
            self._losses.append(reached.measures["loss"])
        unseen = f", held out {reached.measures['held_out_loss']:.4f}" if "held_out_loss" in reached.measures else ""
        if "picks_foretold" in reached.measures:
            found, worse = reached.measures["picks_foretold"], reached.measures["teaching_db"]
            unseen += f", picks foretold {found:.2f}, teaching pages {worse:+.2f} dB"
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


def loaded_for(recipe: "Recipe", pages: "Sequence[Page]") -> "Backbone":
    """The backbone of a recipe, placed as a training on these pages needs it."""
    from triptych.models.options import LoadOptions, Quantise
    from triptych.training.estimate import need_of

    quantise = Quantise(recipe.quantised.value) if recipe.quantised else None
    need = need_of(recipe, pages)
    return tt.load(recipe.backbone, LoadOptions(quantise=quantise, training=need.training if need else None))
