"""Ready pages to begin with: in the package as one JSON file and small pictures."""

import json
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from triptych.studio.files import FileStore

__all__ = ["starter_picture", "starters"]


def starter_picture(files: FileStore, name: str) -> str | None:
    """The address of a starter's picture; None where there is no such starter."""
    path = _folder() / f"{name}.webp"
    return files.add(path.read_bytes()).url if path.is_file() else None


def starters(files: FileStore) -> list[dict[str, Any]]:
    """The pages, with their pictures in the file store."""
    folder = _folder()

    @cache
    def kept(name: str) -> str:
        return files.add((folder / name).read_bytes()).id

    def page(data: dict[str, Any]) -> dict[str, Any]:
        panels = [
            {key: f"file:{kept(value)}" if key in ("image", "answer") else value for key, value in panel.items()}
            for panel in data["panels"]
        ]
        filled = {**data, "panels": panels}
        if "context" in data:
            filled["context"] = [page(example) for example in data["context"]]
        return filled

    index = folder / "starters.json"
    entries = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else []
    return [
        {**entry, "page": page(entry["page"]), "picture": f"/api/files/{kept(entry['picture'])}"} for entry in entries
    ]


def _folder() -> Path:
    return Path(str(package_files("triptych.studio") / "starters"))
