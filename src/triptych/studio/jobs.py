"""The queue: jobs as rows, claimed by one guarded statement, leased, and ended once."""

import secrets
import sqlite3
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from triptych.studio.errors import StudioError, gone, not_found
from triptych.studio.store import Store, packed, unpacked

__all__ = ["LEASE_S", "MOST_ATTEMPTS", "MOST_WAITING", "Jobs", "Kind", "Lane", "State"]

LEASE_S = 20.0
"""A worker that has not renewed its lease for so long is taken for dead."""
MOST_ATTEMPTS = 3
MOST_WAITING = 200
_ENDED_SHOWN = 100
_ENDED_KEPT_S = 60 * 86400.0


class Kind(StrEnum):
    """What a job does."""

    GENERATE = "generate"
    TRAIN = "train"
    EVALUATE = "evaluate"
    BUILD = "build"


class Lane(StrEnum):
    """`live` work is done at once, `batch` work in between."""

    LIVE = "live"
    BATCH = "batch"


class State(StrEnum):
    """Where a job is; `interrupted` means that its process died and that it will be tried again."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Jobs:
    """All jobs. Every change of state is one statement that names the state it starts from."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self,
        kind: Kind,
        body: Mapping[str, object],
        *,
        lane: Lane = Lane.BATCH,
        title: str = "",
        document: str | None = None,
    ) -> dict[str, Any]:
        """A new job at the end of its lane. Raises StudioError where the queue is full."""
        job = secrets.token_hex(8)
        with self._store.transaction():
            if self.waiting() >= MOST_WAITING:
                raise StudioError(
                    f"{MOST_WAITING} jobs are waiting, and that is all the queue takes. Wait for some, or cancel some.",
                    code="queue_full",
                    status=429,
                )
            self._store.write(
                "INSERT INTO jobs (id, kind, lane, state, title, body, document, position, created) "
                "VALUES (?, ?, ?, 'queued', ?, ?, ?, (SELECT coalesce(max(position), 0) + 1 FROM jobs), ?)",
                (job, kind, lane, title, packed(body), document, time.time()),
            )
        return self.get(job)

    def waiting(self) -> int:
        """How many jobs wait to be claimed."""
        row = self._store.row("SELECT count(*) AS n FROM jobs WHERE state IN ('queued', 'interrupted')")
        assert row is not None
        return row["n"]

    def get(self, job: str, *, body: bool = False) -> dict[str, Any]:
        """One job as data. Raises StudioError where there is none."""
        row = self._store.row("SELECT * FROM jobs WHERE id = ?", (job,))
        if row is None:
            raise not_found("job", job)
        return _data(row) | ({"body": unpacked(row["body"])} if body else {})

    def listed(self) -> list[dict[str, Any]]:
        """What runs and waits, in order, then what ended, newest first."""
        active = self._store.rows(
            "SELECT * FROM jobs WHERE state IN ('running', 'queued', 'interrupted') "
            "ORDER BY state != 'running', lane != 'live', position"
        )
        ended = self._store.rows(
            "SELECT * FROM jobs WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT ?", (_ENDED_SHOWN,)
        )
        return [_data(row) for row in (*active, *ended)]

    def claim(self, lane: Lane, owner: str) -> dict[str, Any] | None:
        """The first job that waits in a lane, now running for `owner`; None where none waits."""
        now = time.time()
        with self._store.transaction():
            row = self._store.row(
                "UPDATE jobs SET state = 'running', owner = :owner, lease = :lease, attempts = attempts + 1, "
                "started = coalesce(started, :now), error = NULL WHERE id = ("
                "SELECT id FROM jobs WHERE lane = :lane AND state IN ('queued', 'interrupted') "
                "ORDER BY position LIMIT 1) AND state IN ('queued', 'interrupted') RETURNING *",
                {"owner": owner, "lease": now + LEASE_S, "now": now, "lane": lane},
            )
        return None if row is None else _data(row) | {"body": unpacked(row["body"])}

    def renew(self, owner: str) -> None:
        """The owner lives: its jobs stay its own."""
        self._store.write(
            "UPDATE jobs SET lease = ? WHERE owner = ? AND state = 'running'", (time.time() + LEASE_S, owner)
        )

    def overdue(self, owner: str) -> bool:
        """Whether an owner has let a lease run out."""
        sql = "SELECT 1 FROM jobs WHERE owner = ? AND state = 'running' AND lease < ?"
        return bool(self._store.row(sql, (owner, time.time())))

    def owns(self, job: str, owner: str) -> bool:
        """Whether a job still runs for `owner`. Inside a transaction it stays so until its end."""
        return bool(
            self._store.row("SELECT 1 FROM jobs WHERE id = ? AND owner = ? AND state = 'running'", (job, owner))
        )

    def progress(self, job: str, owner: str, progress: Mapping[str, object]) -> None:
        """Note how far a job is."""
        self._store.write(
            "UPDATE jobs SET progress = ? WHERE id = ? AND owner = ? AND state = 'running'",
            (packed(progress), job, owner),
        )

    def finish(
        self, job: str, owner: str, state: State, *, results: object = None, error: Mapping[str, object] | None = None
    ) -> bool:
        """End a job that runs for `owner`; False where it no longer does, and then nothing is changed."""
        ended = None if state is State.INTERRUPTED else time.time()
        changed = self._store.write(
            "UPDATE jobs SET state = ?, owner = NULL, lease = NULL, ended = ?, "
            "results = coalesce(?, results), error = ? WHERE id = ? AND owner = ? AND state = 'running'",
            (
                state,
                ended,
                None if results is None else packed(results),
                None if error is None else packed(error),
                job,
                owner,
            ),
        )
        return changed == 1

    def cancel(self, job: str) -> dict[str, Any]:
        """Cancel a job: at once where it waits, within a step where it runs. Ended jobs stay as they are."""
        with self._store.transaction():
            self._store.write(
                "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state IN ('queued', 'interrupted')",
                (time.time(), job),
            )
            self._store.write("UPDATE jobs SET cancelling = 1 WHERE id = ? AND state = 'running'", (job,))
            return self.get(job)

    def active(self) -> list[str]:
        """What runs or waits."""
        rows = self._store.rows("SELECT id FROM jobs WHERE state IN ('running', 'queued', 'interrupted')")
        return [row["id"] for row in rows]

    def cancelled(self, owner: str) -> list[str]:
        """Jobs of `owner` that are to be stopped."""
        rows = self._store.rows(
            "SELECT id FROM jobs WHERE owner = ? AND state = 'running' AND cancelling = 1", (owner,)
        )
        return [row["id"] for row in rows]

    def move(self, job: str, before: str | None) -> dict[str, Any]:
        """Put a waiting job in front of another of its lane, or at the end. Raises StudioError for one that runs."""
        with self._store.transaction():
            moved = self.get(job)
            rows = self._store.rows(
                "SELECT id FROM jobs WHERE state IN ('queued', 'interrupted') AND lane = ? AND id != ? "
                "ORDER BY position",
                (moved["lane"], job),
            )
            order = [row["id"] for row in rows]
            if moved["state"] not in (State.QUEUED, State.INTERRUPTED):
                raise gone(f"the job is {moved['state']}; only jobs that wait can be moved.")
            if before is not None and before not in order:
                raise gone("the job to stand behind it does not wait in the same lane any more.")
            order.insert(len(order) if before is None else order.index(before), job)
            first = self._store.row("SELECT coalesce(max(position), 0) + 1 AS p FROM jobs")
            assert first is not None
            for place, each in enumerate(order):
                self._store.write("UPDATE jobs SET position = ? WHERE id = ?", (first["p"] + place, each))
            return self.get(job)

    def recover(self, *, alive: str | None = None) -> list[str]:
        """Free the jobs of every owner but `alive`, and those whose lease ran out; which ones these were.

        They are tried again, but for those that were asked to stop and those that were tried too often.
        """
        ids = []
        with self._store.transaction():
            rows = self._store.rows(
                "SELECT id, attempts, cancelling FROM jobs WHERE state = 'running' AND (owner IS NOT ? OR lease < ?)",
                (alive, time.time()),
            )
            for row in rows:
                ids.append(row["id"])
                state, error = State.INTERRUPTED, None
                if row["cancelling"]:
                    state = State.CANCELLED
                elif row["attempts"] >= MOST_ATTEMPTS:
                    state = State.FAILED
                    error = {
                        "code": "crashed",
                        "message": f"the worker died {MOST_ATTEMPTS} times at this job, so it is not tried again. "
                        "The page may need more memory than there is: use fewer panels or a smaller size.",
                        "where": None,
                    }
                self._store.write(
                    "UPDATE jobs SET state = ?, owner = NULL, lease = NULL, ended = ?, error = ? WHERE id = ?",
                    (
                        state,
                        None if state is State.INTERRUPTED else time.time(),
                        None if error is None else packed(error),
                        row["id"],
                    ),
                )
        return ids

    def forget_old(self) -> None:
        """Drop jobs that ended long ago; their pictures stay."""
        self._store.write("DELETE FROM jobs WHERE ended < ?", (time.time() - _ENDED_KEPT_S,))


def _data(row: sqlite3.Row) -> dict[str, Any]:
    plain = ("id", "kind", "lane", "state", "title", "document", "position", "attempts", "created", "started", "ended")
    return {key: row[key] for key in plain} | {key: unpacked(row[key]) for key in ("progress", "error", "results")}
