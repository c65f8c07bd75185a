"""Pages that people work on, each change with a revision, so that two windows do not undo each other."""

import secrets
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from triptych.studio.errors import StudioError, not_found
from triptych.studio.files import file_id
from triptych.studio.store import Store, packed, unpacked

__all__ = ["Documents", "StaleError"]

_DELETED_KEPT_S = 30 * 86400.0


class StaleError(StudioError):
    """The document was changed elsewhere since it was read; `current` is what it says now."""

    def __init__(self, current: dict[str, Any]) -> None:
        super().__init__(
            "this page was changed in another window. Load it again, or save yours as a new page.",
            code="stale",
            status=409,
        )
        self.current = current

    def data(self) -> dict[str, object]:
        return {**StudioError.data(self), "current": self.current}


class Documents:
    """All documents."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def listed(self) -> list[dict[str, Any]]:
        """What there is, the last changed first, each with the address of a picture of it."""
        rows = self._store.rows(
            "SELECT id, title, revision, updated, page FROM documents "
            "WHERE deleted IS NULL ORDER BY updated DESC LIMIT 1000"
        )
        plain = ("id", "title", "revision", "updated")
        return [{key: row[key] for key in plain} | {"picture": _picture(unpacked(row["page"]))} for row in rows]

    def get(self, document: str) -> dict[str, Any]:
        """Raises StudioError where there is none."""
        row = self._store.row("SELECT * FROM documents WHERE id = ? AND deleted IS NULL", (document,))
        if row is None:
            raise not_found("document", document)
        return _data(row)

    def add(self, title: str, page: object, settings: object) -> dict[str, Any]:
        """A new document, at revision 1."""
        document = secrets.token_hex(8)
        self._store.write(
            "INSERT INTO documents (id, title, page, settings, revision, updated) VALUES (?, ?, ?, ?, 1, ?)",
            (document, title, packed(page), packed(settings), time.time()),
        )
        return self.get(document)

    def change(self, document: str, title: str, page: object, settings: object, revision: int) -> dict[str, Any]:
        """Save over `revision`. Raises StaleError where another one has been saved since."""
        row = self._store.row(
            "UPDATE documents SET title = ?, page = ?, settings = ?, revision = revision + 1, updated = ? "
            "WHERE id = ? AND revision = ? AND deleted IS NULL RETURNING *",
            (title, packed(page), packed(settings), time.time(), document, revision),
        )
        if row is None:
            raise StaleError(self.get(document))
        return _data(row)

    def remove(self, document: str) -> None:
        """Delete it; `restore` brings it back for 30 days, and what was made from it stays."""
        sql = "UPDATE documents SET deleted = ? WHERE id = ? AND deleted IS NULL"
        if not self._store.write(sql, (time.time(), document)):
            raise not_found("document", document)

    def restore(self, document: str) -> dict[str, Any]:
        """Bring a deleted one back. Raises StudioError where there is none."""
        self._store.write("UPDATE documents SET deleted = NULL WHERE id = ?", (document,))
        return self.get(document)

    def forget_old(self) -> None:
        """Drop what was deleted long ago."""
        self._store.write("DELETE FROM documents WHERE deleted < ?", (time.time() - _DELETED_KEPT_S,))


def _data(row: sqlite3.Row) -> dict[str, Any]:
    plain = ("id", "title", "revision", "updated")
    return {key: row[key] for key in plain} | {"page": unpacked(row["page"]), "settings": unpacked(row["settings"])}


def _picture(page: Mapping[str, Any]) -> str | None:
    """The first picture that was made for a page, or else the first that was put there."""
    panels = page.get("panels") or ()
    named = [panel.get(key) for key in ("answer", "image") for panel in panels]
    file = next(filter(None, (file_id(each) for each in named if isinstance(each, str))), None)
    return f"/api/files/{file}" if file else None
