"""The shelf of skills: files in a folder, and what people call them."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from triptych.files import write_atomic
from triptych.studio.errors import StudioError, not_found
from triptych.studio.folders import DataFolder
from triptych.studio.store import Store

__all__ = ["EXPORTS", "Shelf", "export_name", "file_stem"]

_ID = re.compile(r"[0-9a-f]{16}")


def file_stem(name: str) -> str:
    """`name` as the beginning of a file name that is plain on every system."""
    return re.sub(r"[^\w-]+", "-", name).strip("-")[:60] or "skill"


EXPORTS = {
    "diffusers": "diffusers.safetensors",
    "kohya": "kohya.safetensors",
    "comfyui": "comfyui.safetensors",
    "comfyui-workflow": "comfyui.workflow.json",
}
"""How the names of exports end."""


def export_name(name: str, to: str) -> str:
    """What an export of the skill `name` is called where it is saved."""
    return f"{file_stem(name)}-{EXPORTS[to]}"


class Shelf:
    """Skills that were trained here, and those of the package."""

    def __init__(self, store: Store, folder: DataFolder) -> None:
        self._store, self._folder = store, folder

    def listed(self) -> list[dict[str, Any]]:
        """The newest first, those of the package last."""
        rows = self._store.rows("SELECT * FROM skills WHERE deleted IS NULL ORDER BY created DESC")
        return [*map(_data, rows), *_shipped()]

    def get(self, skill: str) -> dict[str, Any]:
        """Raises StudioError where there is none."""
        row = self._store.row("SELECT * FROM skills WHERE id = ? AND deleted IS NULL", (skill,))
        if row is not None:
            return _data(row)
        for shipped in _shipped():
            if shipped["id"] == skill:
                return shipped
        raise not_found("skill", skill)

    def path(self, skill: str) -> Path:
        """The file of a skill."""
        if self.get(skill)["shipped"]:
            return Path(str(package_files("triptych") / "skills" / f"{skill}.safetensors"))
        return self._folder.skills / f"{skill}.safetensors"

    def card(self, skill: str) -> dict[str, Any]:
        """What the file of a skill says of it, whatever people call it here; nothing where it cannot be read."""
        return _card(self.path(skill))

    def exports(self, skill: str) -> dict[str, str | None]:
        """For each export that skills can have: None, or why this one cannot."""
        card = self.card(skill)
        # Skills of the pocket were labelled with the family of its network once.
        only_here = {card.get("family"), card.get("backbone")} & set(self._store.fact("only_here") or ())
        reason = f"Only Triptych runs the {only_here.pop()}. Share the skill file." if only_here else None
        everywhere = None
        if card.get("frozen_conditions"):
            reason = everywhere = "It leaves conditions as they are, which other programs cannot. Share the skill file."
        workflow = reason
        if not workflow and card.get("family") not in (self._store.fact("workflows") or ()):
            workflow = f"There are no workflows for {card.get('backbone', 'its model')}."
        if not workflow and not (card.get("template") or {}).get("page"):
            workflow = "It has no page of its own to make a workflow of."
        return {"diffusers": everywhere, "kohya": reason, "comfyui": reason, "comfyui-workflow": workflow}

    def place(self, skill: str, source: Path) -> None:
        """Put a copy of the file `source` on the shelf, whole or not at all."""
        assert _ID.fullmatch(skill), "skills are named by the job that made them"
        write_atomic(self._folder.skills / f"{skill}.safetensors", source.read_bytes())

    def add(
        self, skill: str, *, name: str, summary: str, backbone: str, picture: str | None, pages: int, steps: int
    ) -> dict[str, Any]:
        """Say of a skill what it is; a second time changes nothing."""
        self._store.write(
            "INSERT OR IGNORE INTO skills (id, name, summary, backbone, picture, pages, steps, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (skill, name, summary, backbone, picture, pages, steps, time.time()),
        )
        return self.get(skill)

    def change(self, skill: str, *, name: str | None, summary: str | None) -> dict[str, Any]:
        """Rename or describe it. Raises StudioError for a skill of the package."""
        self._check_own(skill)
        self._store.write(
            "UPDATE skills SET name = coalesce(?, name), summary = coalesce(?, summary) WHERE id = ?",
            (name, summary, skill),
        )
        return self.get(skill)

    def remove(self, skill: str) -> None:
        """Into the bin: the file stays, `restore` brings it back."""
        self._check_own(skill)
        self._store.write("UPDATE skills SET deleted = ? WHERE id = ?", (time.time(), skill))

    def restore(self, skill: str) -> dict[str, Any]:
        """Out of the bin."""
        self._store.write("UPDATE skills SET deleted = NULL WHERE id = ?", (skill,))
        return self.get(skill)

    def _check_own(self, skill: str) -> None:
        if self.get(skill)["shipped"]:
            raise StudioError(
                f"{skill!r} comes with Triptych and stays as it is. Train your own on the same pages to change it.",
                code="shipped",
                status=409,
            )


def _data(row: sqlite3.Row) -> dict[str, Any]:
    plain = ("id", "name", "summary", "backbone", "created", "pages", "steps")
    picture = f"/api/files/{row['picture']}" if row["picture"] else None
    return {key: row[key] for key in plain} | {"picture": picture, "shipped": False}


def _card(path: Path) -> dict[str, Any]:
    """What a skill's file says of it; nothing where it cannot be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads((file.metadata() or {})["triptych.skill"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return {}


def _shipped() -> Iterator[dict[str, Any]]:
    """What the files in the package say of themselves; reading a header needs no torch."""
    for path in sorted(Path(str(package_files("triptych") / "skills")).glob("*.safetensors")):
        card = _card(path)
        if "name" not in card:
            continue
        yield {
            "id": path.stem,
            "name": card["name"],
            "summary": card.get("description", ""),
            "backbone": card["backbone"],
            "created": 0.0,
            "pages": card.get("pages", 0),
            "steps": card.get("steps", 0),
            "picture": None,
            "shipped": True,
        }
