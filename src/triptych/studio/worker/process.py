"""The worker's process: two lanes of work, a desk for quick questions, and a pipe to the server."""

import contextlib
import logging
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.addresses import is_address
from triptych.errors import Cancelled, TriptychError
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore
from triptych.studio.folders import DataFolder
from triptych.studio.jobs import Jobs, Kind, Lane, State
from triptych.studio.shelf import Shelf
from triptych.studio.store import Store
from triptych.studio.worker.job import Claim, StopJob

if TYPE_CHECKING:
    from triptych.models.backbone import Card

__all__ = ["work"]

_RENEW_S = 1.0
_LOOK_S = 1.0
_LEAVE_S = 20.0
_log = logging.getLogger(__name__)


def work(connection: Connection, root: str, owner: str, backbones: tuple[str, ...], limit_bytes: int) -> None:
    """The process's whole life."""
    # Ctrl-C reaches the whole group; the server tells when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder = DataFolder(root=Path(root))
    logging.basicConfig(
        filename=folder.log, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    Worker(connection, folder, owner, backbones, limit_bytes).run()


class Worker:
    """Claims jobs and does them until the server says so, or is gone."""

    def __init__(
        self, connection: Connection, folder: DataFolder, owner: str, backbones: tuple[str, ...], limit_bytes: int
    ) -> None:
        self.folder, self.owner, self.names = folder, owner, backbones
        self.store = Store(folder.database)
        self.jobs = Jobs(self.store)
        self.files = FileStore(folder.root, self.store, limit_bytes=limit_bytes)
        self.shelf = Shelf(self.store, folder)
        self._connection, self._sending = connection, threading.Lock()
        self._leaving = threading.Event()
        self._bells = {lane: threading.Event() for lane in Lane}
        self._idle = threading.Event()
        self._idle.set()
        self._claims: dict[str, Claim] = {}
        self._desk: queue.SimpleQueue[tuple[int, str, dict[str, Any]] | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Load, work, leave."""
        threads = [
            threading.Thread(target=self._renew, daemon=True),
            threading.Thread(target=self._answer, daemon=True),
        ]
        for thread in threads:
            thread.start()
        lanes = threading.Thread(target=self._work, daemon=True)
        lanes.start()
        self._obey()
        self._leave()
        lanes.join(_LEAVE_S)
        # Threads of torch may still run; what they made is not published.
        logging.shutdown()
        os._exit(0)

    def tell(self, event: str, data: object) -> None:
        """To the server, which tells the pages."""
        with self._sending, contextlib.suppress(OSError, ValueError):
            self._connection.send((event, data))

    def _obey(self) -> None:
        while True:
            try:
                match self._connection.recv():
                    case ("wake",):
                        for bell in self._bells.values():
                            bell.set()
                    case ("cancel", str(job)):
                        if claim := self._claims.get(job):
                            claim.stop()
                    case ("ask", int(number), str(name), dict(values)):
                        self._desk.put((number, name, values))
                    case ("leave",):
                        return
            except (EOFError, OSError):
                return

    def _leave(self) -> None:
        self._leaving.set()
        self._desk.put(None)
        for claim in list(self._claims.values()):
            claim.stop()
        for bell in self._bells.values():
            bell.set()
        self._idle.set()

    def _renew(self) -> None:
        while not self._leaving.wait(_RENEW_S):
            with contextlib.suppress(Exception):
                self.jobs.renew(self.owner)
                for job in self.jobs.cancelled(self.owner):
                    if claim := self._claims.get(job):
                        claim.stop()

    def _work(self) -> None:
        """Load the models, then both lanes."""
        from triptych.comfyui.files import FAMILIES as WORKFLOWS
        from triptych.models.catalog import FAMILIES
        from triptych.sampling.remote.server import CARD
        from triptych.studio.worker.maker import Maker, card_data

        self.maker = Maker(self.shelf, self.files, self.names)
        try:
            cards = {self.names[0]: self.maker.engine(self.names[0]).card, **self._others()}
            known = [
                card_data(name, card, is_loaded=name == self.names[0])
                for name, card in cards.items()
                if card is not None
            ]
            facts = {name: card and CARD.dump_python(card, mode="json") for name, card in cards.items()}
            self.store.note("cards", facts)
            self.store.note("backbones", known)
            self.store.note("only_here", [family.name for family in FAMILIES if not family.diffusers])
            self.store.note("workflows", WORKFLOWS)
        except Exception as error:
            _log.exception("the worker cannot start")
            self.tell("worker", {"state": "crashed", "message": str(error)})
            self._leaving.set()
            os._exit(3)
        self.tell("worker", {"state": "ready", "message": ""})
        threads = [threading.Thread(target=self._lane, args=(lane,), daemon=True) for lane in Lane]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _others(self) -> "dict[str, Card | None]":
        """Backbones that were named, and are loaded when they are asked for; None is not known before. Servers are
        asked now, since that costs nothing."""
        from triptych.models.catalog import known_card

        cards: dict[str, Card | None] = {}
        for name in self.names[1:]:
            cards[name] = known_card(name)
            if is_address(name):
                try:
                    cards[name] = self.maker.engine(name).card
                except TriptychError as error:
                    _log.warning("%s", error)
            elif cards[name] is None:
                _log.warning(
                    "%s is not known before it is loaded: requests may name it, the page does not offer it", name
                )
        return cards

    def _lane(self, lane: Lane) -> None:
        bell = self._bells[lane]
        while not self._leaving.is_set():
            bell.clear()
            try:
                job = self.jobs.claim(lane, self.owner)
            except Exception:
                _log.exception("no job can be claimed")
                self._leaving.wait(_LOOK_S)
                continue
            if job is None:
                if lane is Lane.LIVE:
                    self._idle.set()
                bell.wait(_LOOK_S)
                continue
            if lane is Lane.LIVE:
                self._idle.clear()
            self._do(job, self._let_live_work_pass if lane is Lane.BATCH else lambda: None)

    def _let_live_work_pass(self) -> None:
        self._idle.wait()

    def _do(self, job: dict[str, Any], between: Callable[[], None]) -> None:
        claim = self._claims[job["id"]] = Claim(job, self.owner, self.jobs, self.tell, between)
        self.tell("job", job["id"])
        state, error = State.FAILED, None
        try:
            self._handler(job["kind"])(claim)
            state = State.DONE
        except (StopJob, Cancelled):
            state = State.INTERRUPTED if self._leaving.is_set() else State.CANCELLED
        except StudioError as problem:
            error = problem.data()["error"]
        except TriptychError as problem:
            error = {"code": type(problem).__name__, "message": str(problem), "where": None}
        except MemoryError:
            error = {"code": "memory", "message": "memory ran out. Use fewer panels or a smaller size.", "where": None}
        except Exception as problem:
            _log.exception("job %s", job["id"])
            message = (
                f"{type(problem).__name__}: {problem}. This is an error of Triptych; {self.folder.log} tells more."
            )
            error = {"code": "internal", "message": message, "where": None}
            traceback.clear_frames(problem.__traceback__)
        finally:
            self._claims.pop(job["id"], None)
        if state is not State.DONE:
            with contextlib.suppress(Exception):
                self.jobs.finish(job["id"], self.owner, state, error=error)  # pyright: ignore[reportArgumentType]
        self.tell("job", job["id"])

    def _handler(self, kind: str) -> Callable[[Claim], None]:
        match kind:
            case Kind.GENERATE:
                from triptych.studio.worker.generating import generate

                return lambda claim: generate(claim, self.maker, self.store, self.files)
            case Kind.TRAIN:
                from triptych.studio.worker.teaching import teach

                return lambda claim: teach(claim, self.maker, self.store, self.files, self.folder)
            case Kind.EVALUATE:
                from triptych.studio.worker.rating import rate

                return lambda claim: rate(claim, self.maker, self.store, self.folder)
            case Kind.BUILD:
                from triptych.studio.worker.rating import build

                return lambda claim: build(claim, self.store, self.folder)
        raise StudioError(f"there is no job of kind {kind!r}.", code="bad_kind")

    def _answer(self) -> None:
        """Quick questions that need torch, apart from the lanes."""
        while (question := self._desk.get()) is not None:
            number, name, values = question
            try:
                from triptych.studio.worker.desk import answer

                reply: dict[str, Any] = {
                    "value": answer(name, values, self.folder, self.files, Shelf(self.store, self.folder))
                }
            except StudioError as problem:
                reply = {"error": problem.data()["error"], "status": problem.status}
            except TriptychError as problem:
                error = {"code": type(problem).__name__, "message": str(problem), "where": None}
                reply = {"error": error, "status": 422}
            except Exception as problem:
                _log.exception("question %s", name)
                reply = {"error": {"code": "internal", "message": str(problem), "where": None}, "status": 500}
            self.tell("answer", (number, reply))
