"""The core of every training: steps that can be undone, learning rates, checkpoints, cancelling."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from torch import Tensor

from triptych.errors import TrainingError
from triptych.events import CancelToken
from triptych.training.checkpoint import Identity, write_checkpoint
from triptych.training.optimizers import set_rate
from triptych.training.state import TrainingState

__all__ = ["Core", "Taken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A step that was taken: the count so far, and what to report of it."""

    step: int
    loss: float | None
    """None where it was not finite: the step was undone and left out."""
    rate: float
    seconds_per_step: float


@dataclass(frozen=True, kw_only=True)
class Core:
    """Takes steps on a state: of a skill, of the pocket, of its codec. `losses` says what is learned.

    `losses(step)` yields the parts of a step's loss, each with its graph; they are added. It must depend on the step
    alone, so that a resumed run sees what the run left alone would have seen.
    """

    state: TrainingState
    losses: Callable[[int], Iterator[Tensor]]
    rate: Callable[[int], float]
    """The learning rate of a step, counted from 0; groups of parameters have a `ratio` to it."""
    clip: float
    """Most norm of a step's gradient."""
    accelerator: Accelerator
    identity: Identity
    folder: Path
    """Of the checkpoints."""
    keep: int
    most_bad_steps: int

    def run(self, cancel: CancelToken) -> Iterator[Taken]:
        """Take all steps that are left; the caller looks, saves and reports in between.

        Raises Cancelled after the step in which `cancel` was, in all processes after the same one, and TrainingError
        after too many steps in a row that are not finite.
        """
        state, bad, began, first = self.state, 0, time.monotonic(), self.state.step
        while state.step < state.steps:
            rate = self.rate(state.step)
            loss = self._step(rate, cancel)
            bad = bad + 1 if loss is None else 0
            if bad > self.most_bad_steps:
                raise TrainingError(
                    f"{bad} steps in a row ended in NaN or infinity, the last at step {state.step}. "
                    "Lower the learning rate, then start from the beginning or resume an earlier checkpoint."
                )
            pace = (time.monotonic() - began) / (state.step - first)
            yield Taken(step=state.step, loss=loss, rate=rate, seconds_per_step=pace)
            cancel.check()
        if bad and bad == state.step:
            raise TrainingError(
                f"all {bad} steps ended in NaN or infinity, so nothing was learned. Check the backbone's weights, or "
                "lower the learning rate, and start over."
            )

    def save(self) -> Path | None:
        """Write a checkpoint; the first process does it, the others return None."""
        if not self.accelerator.is_main_process:
            return None
        return write_checkpoint(self.folder, self.state.checkpoint(self.identity), keep=self.keep)

    def _step(self, rate: float, cancel: CancelToken) -> float | None:
        """One optimizer step and its loss; None where it was not finite, and everything but the count is as before."""
        state = self.state
        for optimizer in state.optimizers.values():
            optimizer.zero_grad()
        total: Tensor | float = 0.0
        for loss in self.losses(state.step):
            self.accelerator.backward(loss)
            total = total + loss.detach()
        self._share_gradients()
        loss = self._share_loss(torch.as_tensor(total), cancel)
        norm = torch.nn.utils.clip_grad_norm_(list(state.parameters.values()), self.clip)
        is_good = isfinite(loss) and bool(torch.isfinite(norm))
        if is_good:
            # A step that is left out before it is taken needs nothing put back.
            state.gather()
            state.remember()
            for optimizer in state.optimizers.values():
                set_rate(optimizer, rate)
                optimizer.step()
            is_good = state.is_finite
            if is_good:
                state.follow()
            elif state.can_undo:
                state.undo()
            else:
                raise TrainingError(
                    f"step {state.step} made weights infinite. Lower the learning rate, then start over, or go on from "
                    "the last checkpoint."
                )
        state.step += 1
        return loss if is_good else None

    def _share_loss(self, loss: Tensor, cancel: CancelToken) -> float:
        """The mean over processes. Where one of them was cancelled, all are: none may wait for another's next step."""
        if self.accelerator.num_processes == 1:
            return float(loss)
        mine = torch.stack([loss.float(), torch.tensor(float(cancel.is_cancelled), device=loss.device)])
        mean, cancelled = cast(Tensor, self.accelerator.reduce(mine, "mean")).tolist()
        if cancelled > 0:
            cancel.cancel()
        return mean

    def _share_gradients(self) -> None:
        """The mean over processes, in one message: what is trained here is small and needs no bucketing."""
        if self.accelerator.num_processes == 1:
            return
        for value in self.state.parameters.values():
            # A process whose batch did not touch it still takes part.
            value.grad = torch.zeros_like(value) if value.grad is None else value.grad
        gradients = [value.grad for value in self.state.parameters.values() if value.grad is not None]
        # Those of blocks that are lent to the device are in main memory.
        together = torch.cat([gradient.flatten().to(self.accelerator.device) for gradient in gradients])
        flat = self.accelerator.reduce(together, "mean")
        assert isinstance(flat, Tensor), "a tensor is reduced to a tensor"
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))
