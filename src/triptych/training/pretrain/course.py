"""The course of a pretraining run: it goes on where it was, is told of, saved and released at intervals."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator
from torch import Tensor

from triptych.errors import Cancelled
from triptych.events import CancelToken, Done, Event, Step, Warning, ctrl_c_cancels
from triptych.training.checkpoint import Identity, newest_checkpoint
from triptych.training.claim import CHECKPOINTS
from triptych.training.core import Core, Taken
from triptych.training.pretrain.state import read_old_state
from triptych.training.running import Stopped
from triptych.training.state import TrainingState

__all__ = ["Course", "pretraining_core"]

_KEPT = 2
"""Checkpoints kept, so that one may be damaged."""
_MOST_BAD_STEPS = 5
_CLIP = 1.0


def pretraining_core(
    state: TrainingState,
    losses: Callable[[int], Iterator[Tensor]],
    rate: Callable[[int], float],
    accelerator: Accelerator,
    identity: Identity,
    run: Path,
) -> Core:
    """The core of a run in the folder `run`: checkpoints lie where `Course` and a later run look for them."""
    return Core(
        state=state,
        losses=losses,
        rate=rate,
        clip=_CLIP,
        accelerator=accelerator,
        identity=identity,
        folder=run / CHECKPOINTS,
        keep=_KEPT,
        most_bad_steps=_MOST_BAD_STEPS,
    )


@dataclass(frozen=True, kw_only=True)
class Course:
    """A run in `folder`: its core, what is told of a step, and what is released."""

    folder: Path
    core: Core
    released: Path
    """What `release` writes."""
    release: Callable[[], None]
    """Called with the averaged weights in place."""
    measures: Callable[[Taken], Mapping[str, float] | None]
    """What is told of a step; None: nothing."""
    save_every: int
    on_event: Callable[[Event[Path]], None]

    def resume(self) -> None:
        """Be where the newest whole checkpoint of the folder is. Raises TrainingError for one of another run."""
        state, checkpoints = self.core.state, self.core.folder
        planned, (checkpoint, damaged) = list(state.spans), newest_checkpoint(checkpoints)
        for path in damaged:
            self.on_event(Warning(text=f"checkpoint {path.name} is damaged; continuing from the one before it."))
        if checkpoint is not None:
            checkpoint.identity.refuse_changes(self.core.identity)
        else:
            fixed = frozenset(state.fixed)
            checkpoint = read_old_state(self.folder, state.optimizers, trained=frozenset(state.parameters), fixed=fixed)
        if checkpoint is not None:
            state.resume(checkpoint)
        # Unlike a skill, it is made longer by a recipe that says so.
        state.spans = planned

    def run(self, cancel: CancelToken | None) -> Path:
        """Take the steps that are left. Raises Stopped where it was cancelled; the step was ended and saved."""
        core, state = self.core, self.core.state
        is_main = core.accelerator.is_main_process
        if state.step >= state.steps and is_main and not self.released.exists():
            self._release()
        with ctrl_c_cancels(cancel or CancelToken()) as token:
            try:
                for taken in core.run(token):
                    self._tell(taken)
                    if taken.step % self.save_every == 0 or taken.step == state.steps:
                        core.save()
                        if is_main:
                            self._release()
            except Cancelled:
                raise Stopped(core.save()) from None
        core.accelerator.wait_for_everyone()
        if is_main:
            self.on_event(Done(result=self.released))
        return self.released

    def _tell(self, taken: Taken) -> None:
        if not self.core.accelerator.is_main_process:
            return
        if taken.loss is None:
            self.on_event(Warning(text=f"step {taken.step}: not finite; left out."))
        measures, steps = self.measures(taken), self.core.state.steps
        if measures is not None:
            left = (steps - taken.step) * taken.seconds_per_step
            self.on_event(Step(step=taken.step, steps=steps, measures=measures, seconds_left=left))

    def _release(self) -> None:
        with self.core.state.released():
            self.release()
