"""Everything that was ever made, and the words it was asked with."""

import hashlib
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

from triptych.pageschema import is_slot
from triptych.studio.errors import not_found
from triptych.studio.store import Store, packed, unpacked

__all__ = ["Gallery", "picture_id"]

_BIN_KEPT_S = 30 * 86400.0
_MARKS = ("favourite", "rejected")
_MOST_ALIKE = 400


def picture_id(job: str, variant: int, slot: int) -> str:
    """The same job publishes the same picture once, however often it is tried."""
    return hashlib.sha256(f"{job}/{variant}/{slot}".encode()).hexdigest()[:16]


class Gallery:
    """Pictures, favourites, the bin, and the history of prompts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self, job: Mapping[str, Any], *, slot: int, variant: int, file: str, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Publish one picture of a job; a second time changes nothing."""
        picture = picture_id(job["id"], variant, slot)
        self._store.write(
            "INSERT OR IGNORE INTO pictures (id, file, job, document, slot, variant, seed, backbone, skills, words, "
            "request, width, height, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                picture,
                file,
                job["id"],
                job["document"],
                slot,
                variant,
                facts["seed"],
                facts["backbone"],
                packed(facts["skills"]),
                facts["words"],
                packed(facts["request"]),
                *facts["size"],
                time.time(),
            ),
        )
        return self.get(picture)

    def get(self, picture: str, *, request: bool = False) -> dict[str, Any]:
        """Raises StudioError where there is none."""
        row = self._store.row("SELECT * FROM pictures WHERE id = ?", (picture,))
        if row is None:
            raise not_found("picture", picture)
        return _data(row) | ({"request": unpacked(row["request"])} if request else {})

    def alike(self, picture: str) -> list[dict[str, Any]]:
        """A picture and the newest of those that were asked for in the same way but for the seed, with requests."""
        own = self.get(picture, request=True)
        rows = self._store.rows(
            "SELECT * FROM pictures WHERE words = ? AND backbone = ? ORDER BY number DESC LIMIT ?",
            (own["prompt_words"], own["backbone"], _MOST_ALIKE),
        )
        wanted = _asked(own["request"])
        parts = [_data(row) | {"request": unpacked(row["request"])} for row in rows]
        found = [part for part in parts if _asked(part["request"]) == wanted]
        # One that is older than the newest hundreds stands with its own job alone.
        return found if any(part["id"] == picture for part in found) else [own]

    def of_job(self, job: str) -> list[dict[str, Any]]:
        """What a job published, in order."""
        rows = self._store.rows("SELECT * FROM pictures WHERE job = ? ORDER BY variant, slot", (job,))
        return [_data(row) for row in rows]

    def beside(self, picture: Mapping[str, Any]) -> dict[int, str]:
        """The files that were put into the panels of one page, a picture's own among them, by panel (from 0)."""
        made = self.of_job(picture["job"])
        return {each["slot"]: each["file"] for each in made if each["variant"] == picture["variant"]}

    def search(
        self,
        *,
        query: str = "",
        favourite: bool | None = None,
        rejected: bool | None = None,
        binned: bool = False,
        before: int | None = None,
        limit: int = 60,
    ) -> dict[str, Any]:
        """A part of the gallery, newest first; `next` continues it."""
        wheres, values = [f"deleted IS {'NOT ' * binned}NULL"], []
        for word in query.split()[:16]:
            wheres.append("words LIKE ? ESCAPE '\\'")
            values.append("%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
        for name, wanted in (("favourite", favourite), ("rejected", rejected)):
            if wanted is not None:
                wheres.append(f"{name} = ?")
                values.append(int(wanted))
        where = " AND ".join(wheres)
        total = self._store.row(f"SELECT count(*) AS n FROM pictures WHERE {where}", values)
        if before is not None:
            where += " AND number < ?"
            values.append(before)
        rows = self._store.rows(f"SELECT * FROM pictures WHERE {where} ORDER BY number DESC LIMIT ?", (*values, limit))
        more = len(rows) == limit
        return {
            "items": [_data(row) for row in rows],
            "next": str(rows[-1]["number"]) if more else None,
            "total": total["n"] if total else 0,
        }

    def mark(self, picture: str, marks: Mapping[str, bool | None]) -> dict[str, Any]:
        """Set or clear favourite and rejected."""
        for name in _MARKS:
            if (value := marks.get(name)) is not None:
                self._store.write(f"UPDATE pictures SET {name} = ? WHERE id = ?", (int(value), picture))
        return self.get(picture)

    def delete(self, pictures: Sequence[str]) -> int:
        """Into the bin; how many."""
        with self._store.transaction():
            return sum(
                self._store.write(
                    "UPDATE pictures SET deleted = ? WHERE id = ? AND deleted IS NULL", (time.time(), picture)
                )
                for picture in dict.fromkeys(pictures)
            )

    def delete_all_but_favourites(self) -> int:
        """Into the bin; how many."""
        return self._store.write(
            "UPDATE pictures SET deleted = ? WHERE favourite = 0 AND deleted IS NULL", (time.time(),)
        )

    def restore(self, pictures: Sequence[str]) -> int:
        """Out of the bin; how many."""
        with self._store.transaction():
            return sum(
                self._store.write("UPDATE pictures SET deleted = NULL WHERE id = ? AND deleted > 0", (picture,))
                for picture in dict.fromkeys(pictures)
            )

    def delete_drafts(self, job: str) -> int:
        """Bin what a live job made that another one has replaced, but for favourites."""
        return self._store.write(
            "UPDATE pictures SET deleted = ? WHERE job = ? AND favourite = 0 AND deleted IS NULL "
            "AND job IN (SELECT id FROM jobs WHERE lane = 'live')",
            (time.time(), job),
        )

    def empty_bin(self, *, older_than_s: float = 0.0) -> int:
        """Forget what is in the bin; how many."""
        return self._store.write("DELETE FROM pictures WHERE deleted <= ?", (time.time() - older_than_s,))

    def forget_old(self) -> None:
        """Forget what has been in the bin for a month."""
        self.empty_bin(older_than_s=_BIN_KEPT_S)

    def note_prompts(self, texts: Sequence[str]) -> None:
        """Remember the words of a request."""
        with self._store.transaction():
            for text in dict.fromkeys(filter(None, (text.strip() for text in texts))):
                self._store.write(
                    "INSERT INTO prompts VALUES (?, 1, ?) ON CONFLICT (text) DO UPDATE "
                    "SET used = used + 1, last = excluded.last",
                    (text, time.time()),
                )

    def prompts(self, query: str = "", limit: int = 200) -> list[dict[str, Any]]:
        """Words used before, the last used first."""
        escaped = query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        rows = self._store.rows(
            "SELECT text, used, last FROM prompts WHERE text LIKE ? ESCAPE '\\' ORDER BY last DESC LIMIT ?",
            (f"%{escaped}%", limit),
        )
        return [dict(row) for row in rows]


def _asked(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request without what tells its results apart, and without what its slots had been filled with before."""
    page = request["page"]
    panels = [
        {key: value for key, value in panel.items() if key != "answer" or not is_slot(panel)}
        for panel in page["panels"]
    ]
    rest = {key: value for key, value in request.items() if key not in ("seed", "number", "page")}
    return {**rest, "page": {**page, "panels": panels}}


def _data(row: sqlite3.Row) -> dict[str, Any]:
    url = f"/api/files/{row['file']}"
    plain = ("id", "file", "width", "height", "created", "slot", "variant", "seed", "backbone", "job", "document")
    return {key: row[key] for key in plain} | {
        "url": url,
        "thumb": f"{url}?w=256",
        "skills": unpacked(row["skills"]),
        "prompt_words": row["words"],
        "favourite": bool(row["favourite"]),
        "rejected": bool(row["rejected"]),
        "deleted": row["deleted"] is not None,
    }
