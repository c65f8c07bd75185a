"""DiffSynth-Studio: `metadata.jsonl` with `image`, `prompt` and `edit_image`, paths relative to the folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from triptych.data.interchange.rows import (
    listed,
    new_folder,
    page_of,
    picture_at,
    read_lines,
    rows_of,
    save_picture,
    write_lines,
)
from triptych.page import Page

__all__ = ["read", "write"]

_LINES = "metadata.jsonl"
_EDIT_KEYS = ("edit_image", "kontext_images")


def write(pages: Iterable[Page], folder: Path, *, key: str = _EDIT_KEYS[0]) -> None:
    """Write for `--dataset_base_path FOLDER --data_file_keys image,KEY`; `key` is `kontext_images` for Kontext.

    One condition is written as a path, several as a list, none leaves the key out.
    """
    with new_folder(folder) as out:
        records: list[dict[str, Any]] = []
        for row in rows_of(pages):
            record: dict[str, Any] = {
                "image": save_picture(row.answer, out, f"images/{row.name}.png"),
                "prompt": row.text,
            }
            names = [
                save_picture(image, out, f"edit_images/{row.name}_{number}.png")
                for number, image in enumerate(row.conditions)
            ]
            if names:
                record[key] = names[0] if len(names) == 1 else names
            records.append(record)
        write_lines(out / _LINES, records)


def read(folder: Path) -> list[Page]:
    """Pages of `metadata.jsonl`, under either key of conditions."""
    pages: list[Page] = []
    for where, record in read_lines(folder / _LINES, ("image", "prompt")):
        value = next((record[key] for key in _EDIT_KEYS if key in record), None)
        given = [picture_at(folder, name, where) for name in listed(value, where)]
        answer = picture_at(folder, record["image"], where)
        pages.append(page_of(Path(record["image"]).stem, given, record["prompt"], answer))
    return pages
