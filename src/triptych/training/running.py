"""How a run computes, on what, and how it is stopped."""

from contextlib import nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator

from triptych.errors import Cancelled, TrainingError
from triptych.models.hardware import bfloat16_is_fast
from triptych.training.recipe import Precision

__all__ = ["Stopped", "accelerator_on", "arithmetic"]


class Stopped(Cancelled):
    """A training was cancelled; its step was ended and saved."""

    def __init__(self, checkpoint: Path | None) -> None:
        super().__init__(f"cancelled; resume from {checkpoint}.")
        self.checkpoint = checkpoint
        """None in the processes that do not save."""


def arithmetic(device: torch.device, precision: Precision) -> torch.autocast | nullcontext[None]:
    """The arithmetic of a forward pass: bf16 where it was asked for, or where the hardware is fast at it."""
    if precision is Precision.BF16 or (precision is Precision.AUTO and bfloat16_is_fast(device)):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def accelerator_on(device: str | None) -> tuple[Accelerator, torch.device]:
    """What joins the processes of `accelerate launch`, and the device of this one: `device`, or None for the fastest.

    Raises TrainingError for a device that does not exist.
    """
    if device is None:
        accelerator = Accelerator()
        return accelerator, accelerator.device
    try:
        wanted = torch.device(device)
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        why = str(error).splitlines()[0]
        raise TrainingError(f"device {device!r} cannot be used: {why}. Choose cpu, or leave it out.") from error
    accelerator = Accelerator(cpu=wanted.type == "cpu")
    if accelerator.num_processes > 1 and wanted.type == accelerator.device.type:
        # Each process has its own.
        wanted = accelerator.device
    return accelerator, wanted
