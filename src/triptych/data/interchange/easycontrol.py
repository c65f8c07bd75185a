"""EasyControl: JSONL with `source`, `caption` and `target` (`--spatial_column source`), one condition a page."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from triptych.data.interchange.rows import (
    new_folder,
    page_of,
    picture_at,
    read_lines,
    rows_of,
    save_picture,
    write_lines,
)
from triptych.errors import PageError
from triptych.page import Page

__all__ = ["read", "write"]

_LINES = "data.jsonl"


def write(pages: Iterable[Page], folder: Path) -> None:
    """Write the pictures and `data.jsonl` with absolute paths (the trainer is started elsewhere)."""
    home = folder.resolve()
    with new_folder(folder) as out:
        records: list[dict[str, Any]] = []
        for row in rows_of(pages):
            if len(row.conditions) != 1:
                raise PageError(f"{row.name} has {len(row.conditions)} conditions; EasyControl takes one a page.")
            records.append(
                {
                    "source": str(home / save_picture(row.conditions[0], out, f"source/{row.name}.png")),
                    "caption": row.text,
                    "target": str(home / save_picture(row.answer, out, f"target/{row.name}.png")),
                }
            )
        write_lines(out / _LINES, records)


def read(folder: Path) -> list[Page]:
    """Pages of `data.jsonl`."""
    return [
        page_of(
            Path(record["target"]).stem,
            [picture_at(folder, record["source"], where)],
            record["caption"],
            picture_at(folder, record["target"], where),
        )
        for where, record in read_lines(folder / _LINES, ("source", "caption", "target"))
    ]
