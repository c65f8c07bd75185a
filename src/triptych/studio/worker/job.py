"""A claimed job while it is worked at: when to stop, and what to tell."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from triptych.events import CancelToken
from triptych.studio.jobs import Jobs

__all__ = ["Claim", "StopJob"]

_NOTED_EVERY_S = 0.5


class StopJob(Exception):  # noqa: N818 (it is not an error: somebody asked for it)
    """Ends a job at its next step."""


class Claim:
    """One job of one worker."""

    def __init__(
        self,
        job: Mapping[str, Any],
        owner: str,
        jobs: Jobs,
        tell: Callable[[str, object], None],
        between: Callable[[], None],
    ) -> None:
        self.job, self.owner = job, owner
        self._jobs, self._tell, self._between = jobs, tell, between
        self.token = CancelToken()
        # What ends within half a second is never written down half done: a write less before its picture.
        self._noted = time.monotonic()

    @property
    def id(self) -> str:
        return self.job["id"]

    @property
    def body(self) -> dict[str, Any]:
        return self.job["body"]

    def stop(self) -> None:
        """Ask it to end; from any thread."""
        self.token.cancel()

    def check(self) -> None:
        """Called between steps: raises StopJob where it was asked for, and lets live work go first."""
        if self.token.is_cancelled:
            raise StopJob
        self.give_way()
        if self.token.is_cancelled:
            raise StopJob

    def give_way(self) -> None:
        """Let live work go first; for work that looks at the token itself."""
        self._between()

    def progress(
        self, phase: str, step: int = 0, steps: int = 0, *, eta_s: float | None = None, **more: object
    ) -> None:
        """Tell how far it is."""
        now = {"phase": phase, "step": step, "steps": steps, "eta_s": eta_s, **more}
        self._tell("progress", {"job": self.id, "progress": now})
        if time.monotonic() - self._noted > _NOTED_EVERY_S:
            self._noted = time.monotonic()
            self._jobs.progress(self.id, self.owner, now)

    def tell(self, event: str, **data: object) -> None:
        """Tell every open page."""
        self._tell(event, {"job": self.id, **data})
