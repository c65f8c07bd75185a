"""Keeps a worker running: starts it, listens to it, and when it dies frees its jobs and starts another."""

import contextlib
import itertools
import logging
import multiprocessing
import os
import secrets
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from triptych.studio.errors import StudioError
from triptych.studio.folders import DataFolder
from triptych.studio.jobs import Jobs
from triptych.studio.store import Store
from triptych.studio.worker.process import work

__all__ = ["Supervisor"]

_log = logging.getLogger(__name__)
_LEAVE_S = 10.0
_ASK_S = 120.0
_LONGEST_PAUSE_S = 30.0
_HEALTHY_S = 20.0


class Supervisor:
    """One worker process at a time."""

    def __init__(
        self,
        folder: DataFolder,
        store: Store,
        *,
        backbones: tuple[str, ...],
        limit_bytes: int,
        on_event: Callable[[str, Any], None],
    ) -> None:
        self._folder, self._jobs = folder, Jobs(store)
        self._backbones, self._limit, self._on_event = backbones, limit_bytes, on_event
        self._ending = threading.Event()
        self._sending = threading.Lock()
        self._pipe: Connection | None = None
        self._process: Any = None
        self._numbers = itertools.count(1)
        self._answers: dict[int, tuple[threading.Event, list[dict[str, Any]]]] = {}
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self.owner = ""
        self.state = "starting"

    def start(self) -> None:
        """Free what a dead server left, and start a worker."""
        self._jobs.recover()
        # Idle threads of torch would spin otherwise, and take the processor from the server.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        self._thread.start()

    def stop(self) -> None:
        """Let the worker end its step and leave; jobs that ran go on at the next start."""
        self._ending.set()
        self._send(("leave",))
        self._thread.join(_LEAVE_S + 5)
        self._jobs.recover()

    def wake(self) -> None:
        """There is work."""
        self._send(("wake",))

    def cancel(self, job: str) -> None:
        """A running job is to be stopped."""
        self._send(("cancel", job))

    def ask(self, question: str, /, **values: object) -> Any:
        """The worker's answer to a question. Raises StudioError with what it says, or where it does not answer."""
        number, done = next(self._numbers), threading.Event()
        found: list[dict[str, Any]] = []
        self._answers[number] = (done, found)
        try:
            sent = self._send(("ask", number, question, values))
            if not sent or not done.wait(_ASK_S) or not found:
                raise StudioError(
                    "the worker does not answer; it is starting, or busy. Try again in a moment.",
                    code="worker_busy",
                    status=503,
                )
        finally:
            self._answers.pop(number, None)
        if "error" in found[0]:
            error = found[0]["error"]
            raise StudioError(error["message"], code=error["code"], status=found[0]["status"], where=error["where"])
        return found[0]["value"]

    @property
    def pid(self) -> int | None:
        """Of the worker that runs now."""
        return self._process.pid if self._process is not None else None

    def _send(self, message: tuple[Any, ...]) -> bool:
        with self._sending:
            if self._pipe is None:
                return False
            try:
                self._pipe.send(message)
            except (OSError, ValueError):
                return False
            return True

    def _watch(self) -> None:
        crashes = 0
        while not self._ending.is_set():
            began = time.monotonic()
            self._run_one()
            if self._ending.is_set():
                return
            crashes = 1 if time.monotonic() - began > _HEALTHY_S else crashes + 1
            self._tell_state("crashed", "the worker died and is started again; no job is lost.")
            for job in self._jobs.recover():
                self._on_event("job", job)
            self._ending.wait(min(_LONGEST_PAUSE_S, 2.0 ** (crashes - 1) - 1))

    def _run_one(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.owner = secrets.token_hex(8)
        arguments = (theirs, str(self._folder.root), self.owner, self._backbones, self._limit)
        self._process = context.Process(target=work, args=arguments, name="triptych-worker", daemon=True)
        self._tell_state("starting", "")
        try:
            self._process.start()
        except OSError as error:
            _log.error("the worker cannot be started: %s", error)
            ours.close()
            theirs.close()
            return
        theirs.close()
        with self._sending:
            self._pipe = ours
        if self._ending.is_set():
            self._send(("leave",))
        try:
            self._listen(ours)
        finally:
            with self._sending:
                self._pipe = None
            ours.close()
            for done, _ in list(self._answers.values()):
                done.set()
            self._end(self._process)

    def _listen(self, pipe: Connection) -> None:
        looked = time.monotonic()
        while True:
            try:
                if pipe.poll(1.0):
                    event, data = pipe.recv()
                    self._hear(event, data)
            except (EOFError, OSError):
                return
            if time.monotonic() - looked > 5.0:
                looked = time.monotonic()
                if self._jobs.overdue(self.owner):
                    _log.error("the worker does not renew its lease; it is ended")
                    self._process.kill()
                    return

    def _hear(self, event: str, data: Any) -> None:
        match event:
            case "answer":
                number, reply = data
                if number in self._answers:
                    done, found = self._answers[number]
                    found.append(reply)
                    done.set()
            case "worker":
                self._tell_state(data["state"], data["message"])
            case _:
                self._on_event(event, data)

    def _tell_state(self, state: str, message: str) -> None:
        self.state = state
        with contextlib.suppress(Exception):
            self._on_event("worker", {"state": state, "message": message})

    def _end(self, process: Any) -> None:
        process.join(_LEAVE_S if self._ending.is_set() else 2.0)
        if process.is_alive():
            process.kill()
            process.join(5.0)
        process.close()
        self._process = None
