"""musubi-tuner: JSONL with `image_path`, `caption` and `control_path_0`, `control_path_1`..., and a TOML beside it."""

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
from triptych.images import write_atomic
from triptych.page import Page

__all__ = ["read", "write"]

_LINES = "dataset.jsonl"


def write(pages: Iterable[Page], folder: Path) -> None:
    """Write the pictures, `dataset.jsonl` with absolute paths (the trainer is started elsewhere) and `dataset.toml`."""
    home = folder.resolve()
    with new_folder(folder) as out:
        records: list[dict[str, Any]] = []
        for row in rows_of(pages):
            record = {
                "image_path": str(home / save_picture(row.answer, out, f"images/{row.name}.png")),
                "caption": row.text,
            }
            for number, image in enumerate(row.conditions):
                name = save_picture(image, out, f"controls/{row.name}_{number}.png")
                record[f"control_path_{number}"] = str(home / name)
            records.append(record)
        write_lines(out / _LINES, records)
        toml = f'[[datasets]]\nimage_jsonl_file = "{home.as_posix()}/{_LINES}"\n'
        write_atomic(out / "dataset.toml", f'{toml}cache_directory = "{home.as_posix()}/cache"\n'.encode())


def read(folder: Path) -> list[Page]:
    """Pages of `dataset.jsonl`; `control_path` alone is read as the only condition."""
    pages: list[Page] = []
    for where, record in read_lines(folder / _LINES, ("image_path", "caption")):
        keys = [key for key in record if key.startswith("control_path_")]
        keys.sort(key=lambda key: int(key.rsplit("_", 1)[-1]) if key.rsplit("_", 1)[-1].isdigit() else 0)
        keys = ["control_path"] if "control_path" in record else keys
        given = [picture_at(folder, str(record[key]), where) for key in keys]
        answer = picture_at(folder, record["image_path"], where)
        pages.append(page_of(Path(record["image_path"]).stem, given, record["caption"], answer))
    return pages
