"""Losses that go the wrong way, distinguished from the scatter of single steps."""

from collections.abc import Sequence
from math import exp, log
from statistics import fmean, stdev

__all__ = ["Trend"]

_WINDOW = 20
"""Steps in a mean, of logarithms: the loss of one step depends on the noise levels that were drawn."""
_RISE = 1.5
_ERRORS = 5.0
"""Standard errors of a rise that is reported: many windows are compared with the lowest of them."""
_TINY = 1e-12
_UNSEEN_RISE = 1.15


class Trend:
    """Reads losses as they come and says once what is unusual about them."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._best: tuple[float, float, int] | None = None
        self._unseen: list[tuple[int, float]] = []
        self._told: set[str] = set()

    def loss(self, step: int, loss: float) -> str | None:
        """What to tell the user after this step's training loss, if anything."""
        self._losses.append(log(max(loss, _TINY)))
        if len(self._losses) < _WINDOW:
            return None
        mean, error = _mean_and_error(self._losses[-_WINDOW:])
        if self._best is None or mean < self._best[0]:
            self._best = (mean, error, step)
        best, best_error, at = self._best
        risen = mean - best > max(log(_RISE), _ERRORS * (error**2 + best_error**2) ** 0.5)
        if not risen or "loss" in self._told:
            return None
        self._told.add("loss")
        return (
            f"step {step}: the training loss has risen from {exp(best):.4f} at step {at} to {exp(mean):.4f} "
            f"(means of {_WINDOW} steps): the training diverges. Lower optimizer.learning_rate."
        )

    def held_out(self, step: int, loss: float) -> str | None:
        """The same for a held-out loss: it rises where the pages are memorised."""
        self._unseen.append((step, loss))
        at, best = min(self._unseen, key=lambda one: one[1])
        worse = [one for when, one in self._unseen if when > at]
        if len(worse) < 2 or min(worse[-2:]) < _UNSEEN_RISE * best or "held out" in self._told:
            return None
        self._told.add("held out")
        return (
            f"step {step}: the held-out loss was lowest at step {at} ({best:.4f}) and is {loss:.4f} now: more steps "
            "only memorise the pages. Train for fewer steps, or on more pages."
        )


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    return fmean(values), stdev(values) / len(values) ** 0.5
