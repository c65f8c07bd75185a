"""How a run computes and how it is stopped."""

from contextlib import nullcontext
from pathlib import Path

import torch

from triptych.errors import Cancelled
from triptych.models.hardware import bfloat16_is_fast
from triptych.training.recipe import Precision

__all__ = ["Stopped", "arithmetic"]


class Stopped(Cancelled):
    """A training was cancelled; its step was ended and saved."""

    def __init__(self, checkpoint: Path | None) -> None:
        super().__init__(f"cancelled; {checkpoint} is the place to go on from.")
        self.checkpoint = checkpoint
        """None in the processes that do not save."""


def arithmetic(device: torch.device, precision: Precision) -> torch.autocast | nullcontext[None]:
    """The arithmetic of a forward pass: bf16 where it was asked for, or where the hardware is fast at it."""
    if precision is Precision.BF16 or (precision is Precision.AUTO and bfloat16_is_fast(device)):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
