"""diffusers: an image folder with `metadata.jsonl`, for scripts with `--image_column` and `--cond_image_column`."""

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

_LINES = "metadata.jsonl"


def write(pages: Iterable[Page], folder: Path) -> None:
    """Write columns `image`, `cond_image` and `text`, as `datasets` reads an image folder; one condition a page."""
    with new_folder(folder) as out:
        records: list[dict[str, Any]] = []
        for row in rows_of(pages):
            if len(row.conditions) != 1:
                raise PageError(
                    f"{row.name} has {len(row.conditions)} conditions; the diffusers scripts take exactly one. "
                    "Export to musubi, diffsynth or omnigen2 for more."
                )
            records.append(
                {
                    "image_file_name": save_picture(row.answer, out, f"images/{row.name}.png"),
                    "cond_image_file_name": save_picture(row.conditions[0], out, f"cond_images/{row.name}.png"),
                    "text": row.text,
                }
            )
        write_lines(out / _LINES, records)


def read(folder: Path) -> list[Page]:
    """Pages of an image folder in this format."""
    return [
        page_of(
            Path(record["image_file_name"]).stem,
            [picture_at(folder, record["cond_image_file_name"], where)],
            record["text"],
            picture_at(folder, record["image_file_name"], where),
        )
        for where, record in read_lines(folder / _LINES, ("image_file_name", "cond_image_file_name", "text"))
    ]
