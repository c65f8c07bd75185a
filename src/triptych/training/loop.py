"""Training of a skill: `train` takes pages and a recipe and writes a skill file."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from accelerate import Accelerator

from triptych.errors import Cancelled
from triptych.events import CancelToken, Done, Event, ctrl_c_cancels
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.skill import Skill
from triptych.training.claim import check_out, claimed, run_folder
from triptych.training.recipe import Recipe
from triptych.training.running import Stopped
from triptych.training.trainer import Trainer

__all__ = ["conduct", "run_folder", "train"]


def train(
    pages: Sequence[Page],
    out: str | Path,
    recipe: Recipe,
    backbone: Backbone,
    *,
    held_out: Sequence[Page] = (),
    resume: bool = False,
    more_steps: int = 0,
    overwrite: bool = False,
    start: Skill | None = None,
    on_event: Callable[[Event[Skill]], None] = lambda _: None,
    cancel: CancelToken | None = None,
) -> Skill:
    """Train an adapter on answered pages, save it to `out` and return it; the backbone is left as it was.

    With `resume` the newest whole checkpoint of the run is continued, to the same weights bit for bit on a CPU;
    `more_steps` continues it for that many steps beyond its end, with warm-up and decay of their own. `start` is a
    skill of the same shape to begin from. `overwrite` starts over where a run or a skill exists already.

    `on_event` hears steps with their losses, warnings, and the skill when it is done; what it raises ends the run.
    `cancel`, from any thread, and Ctrl-C on the main one end the step, save a checkpoint and raise Stopped, which is
    Cancelled. Raises TrainingError for a run that already exists or is still running, a changed recipe or page set, and
    losses that stay NaN or infinite.
    """
    out = Path(out)

    def trainer(accelerator: Accelerator) -> Trainer:
        return Trainer(pages, out, recipe, backbone, accelerator, start=start, held_out=held_out, on_event=on_event)

    return conduct(
        trainer,
        out,
        backbone,
        resume=resume,
        more_steps=more_steps,
        overwrite=overwrite,
        on_event=on_event,
        cancel=cancel,
    )


def conduct(
    make: Callable[[Accelerator], Trainer],
    out: Path,
    backbone: Backbone,
    *,
    resume: bool,
    more_steps: int,
    overwrite: bool,
    on_event: Callable[[Event[Skill]], None],
    cancel: CancelToken | None,
) -> Skill:
    """A whole run of the trainer that `make` gives, from the claim on `out` to the skill."""
    resume = resume or more_steps > 0
    check_out(out, resume=resume, overwrite=overwrite)
    accelerator = Accelerator(cpu=backbone.device.type == "cpu")
    with claimed(out) if accelerator.is_main_process else nullcontext():
        accelerator.wait_for_everyone()
        trainer = make(accelerator)
        with trainer.adapted(), ctrl_c_cancels(cancel or CancelToken()) as token:
            trainer.begin(resume=resume, more_steps=more_steps, overwrite=overwrite)
            try:
                trainer.run(token)
                skill = trainer.finish(token)
            except Cancelled:
                raise Stopped(trainer.core.save()) from None
        on_event(Done(result=skill))
        return skill
