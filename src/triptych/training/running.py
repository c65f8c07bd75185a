"""How a run computes and how it is stopped."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch

from triptych.models.hardware import bfloat16_is_fast
from triptych.training.recipe import Precision

__all__ = ["arithmetic", "stopping"]


def arithmetic(device: torch.device, precision: Precision) -> torch.autocast | nullcontext[None]:
    """The arithmetic of a forward pass: bf16 where it was asked for, or where the hardware is fast at it."""
    if precision is Precision.BF16 or (precision is Precision.AUTO and bfloat16_is_fast(device)):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: the step at hand may end. A second Ctrl-C stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    signal.signal(signal.SIGINT, stop)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
