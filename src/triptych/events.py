"""What long work says while it runs, and how it is stopped: typed events, and one cancel token."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from PIL.Image import Image

from triptych.errors import Cancelled

__all__ = ["CancelToken", "Done", "Event", "Phase", "Preview", "Step", "Warning", "ctrl_c_cancels"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of the work begins; `steps` is how many steps it has, where that is known."""

    name: str
    steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Step `step` (from 1) of `steps` is done."""

    step: int
    steps: int
    measures: Mapping[str, float] = field(default_factory=dict)
    """What was measured at this step, by name: `loss`, `learning_rate`, `t` and the like."""
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Pictures as they are expected to come out, after step `step` of `steps`, at noise level `t`."""

    step: int
    steps: int
    t: float = 0.0
    pages: tuple[int, ...] = (0,)
    """Which of the results are shown: positions in what the call will return."""
    decode: Callable[[], tuple[tuple[Image, ...], ...]] = field(repr=False)
    """Pictures for each of `pages` and each of its slots; decoding is only paid for here."""

    @property
    def images(self) -> tuple[Image, ...]:
        """The slots of the first of `pages`; decoded on every access."""
        return self.decode()[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning:
    """Something that the user should know; the work goes on."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[_T]):
    """The work is complete, and this is what came of it; nothing follows."""

    result: _T


Event: TypeAlias = Phase | Step | Preview | Warning | Done[_T]


class CancelToken:
    """Asks running work to stop, from any thread. Once cancelled it stays so."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask for the end; the work stops after the step at hand."""
        self._event.set()

    @property
    def is_cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` where the end was asked for. Work calls this between steps."""
        if self._event.is_set():
            raise Cancelled("cancelled.")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the token is cancelled or the time is over; returns whether it is cancelled."""
        return self._event.wait(timeout_s)


@contextmanager
def ctrl_c_cancels(token: CancelToken) -> Iterator[CancelToken]:
    """Inside the `with`, Ctrl-C cancels `token`, and a second Ctrl-C stops at once.

    Outside of the main thread, where no signal arrives, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield token
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        if token.is_cancelled:
            raise KeyboardInterrupt
        token.cancel()

    signal.signal(signal.SIGINT, stop)
    try:
        yield token
    finally:
        signal.signal(signal.SIGINT, before)
