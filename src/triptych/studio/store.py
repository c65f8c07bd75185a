"""The studio's tables in one SQLite file, shared by the server and its worker."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from triptych.studio.errors import StudioError

__all__ = ["Store", "packed", "unpacked"]

_VERSION = 2
_BUSY_MS = 10_000
_SCHEMA = """
CREATE TABLE files (
    id TEXT PRIMARY KEY, media_type TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    bytes INTEGER NOT NULL, created REAL NOT NULL
);
CREATE TABLE documents (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, page TEXT NOT NULL, settings TEXT NOT NULL,
    revision INTEGER NOT NULL, updated REAL NOT NULL, deleted REAL
);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, lane TEXT NOT NULL, state TEXT NOT NULL, title TEXT NOT NULL,
    body TEXT NOT NULL, document TEXT, position REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    owner TEXT, lease REAL, cancelling INTEGER NOT NULL DEFAULT 0, progress TEXT, error TEXT, results TEXT,
    created REAL NOT NULL, started REAL, ended REAL
);
CREATE INDEX jobs_waiting ON jobs (state, lane, position);
CREATE INDEX jobs_ended ON jobs (ended);
CREATE TABLE pictures (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, file TEXT NOT NULL, job TEXT NOT NULL,
    document TEXT, slot INTEGER NOT NULL, variant INTEGER NOT NULL, seed INTEGER NOT NULL, backbone TEXT NOT NULL,
    skills TEXT NOT NULL, words TEXT NOT NULL, request TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    favourite INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, deleted REAL
);
CREATE INDEX pictures_of_job ON pictures (job);
CREATE INDEX pictures_shown ON pictures (deleted, number);
CREATE TABLE prompts (text TEXT PRIMARY KEY, used INTEGER NOT NULL, last REAL NOT NULL);
CREATE TABLE skills (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, summary TEXT NOT NULL, backbone TEXT NOT NULL, picture TEXT,
    pages INTEGER NOT NULL, steps INTEGER NOT NULL, created REAL NOT NULL, deleted REAL
);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_CHANGES = {1: "ALTER TABLE documents ADD COLUMN deleted REAL"}
"""What leads from a version to the next."""


def packed(value: object) -> str:
    """As JSON text. Raises StudioError for what JSON or UTF-8 cannot say."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise StudioError(f"the request cannot be kept: {error}.", code="bad_request", status=422) from error
    return text


def unpacked(text: str | None) -> Any:
    """What JSON text says; None for none."""
    return None if text is None else json.loads(text)


class Store:
    """One connection, used by one thread at a time; other processes have their own."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000
            )
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A killed process loses nothing; a power cut may lose the last seconds, and the file stays whole.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._make_tables(path)
        except sqlite3.DatabaseError as error:
            raise StudioError(
                f"{path} cannot be used: {error}. Name another folder with --data.", code="store", status=500
            ) from error

    def _make_tables(self, path: Path) -> None:
        with self.transaction():
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise StudioError(
                    f"{path} was written by a newer triptych. Update triptych, or name another folder with --data.",
                    code="store",
                    status=500,
                )
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._connection.execute(statement)
            else:
                for old in range(version, _VERSION):
                    self._connection.execute(_CHANGES[old])
            self._connection.execute(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside is kept, or nothing is."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, sql: str, values: Sequence[object] | dict[str, object] = ()) -> list[sqlite3.Row]:
        """What a statement returns, all of it."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[object] | dict[str, object] = ()) -> sqlite3.Row | None:
        """The first row that a statement returns."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def write(self, sql: str, values: Sequence[object] | dict[str, object] = ()) -> int:
        """Run a statement; how many rows it changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def fact(self, name: str) -> Any:
        """What was last noted under a name."""
        row = self.row("SELECT value FROM facts WHERE name = ?", (name,))
        return None if row is None else unpacked(row["value"])

    def note(self, name: str, value: object) -> None:
        """Remember a value under a name."""
        self.write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, packed(value)))

    def close(self) -> None:
        with self._lock:
            self._connection.close()
