"""OmniGen2: JSONL with `task_type`, `instruction`, `input_images`, `output_image`, and a mix file that names it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

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
from triptych.images import write_atomic
from triptych.page import Page

__all__ = ["read", "write"]

_LINES = "data.jsonl"


def write(pages: Iterable[Page], folder: Path) -> None:
    """Write the pictures, `data.jsonl` with absolute paths (the trainer is started elsewhere) and `mix.yml`."""
    home = folder.resolve()
    with new_folder(folder) as out:
        records: list[dict[str, Any]] = []
        for row in rows_of(pages):
            inputs = [
                str(home / save_picture(image, out, f"inputs/{row.name}_{number}.png"))
                for number, image in enumerate(row.conditions)
            ]
            record: dict[str, Any] = {"task_type": "edit" if inputs else "t2i", "instruction": row.text}
            if inputs:
                record["input_images"] = inputs
            record["output_image"] = str(home / save_picture(row.answer, out, f"outputs/{row.name}.png"))
            records.append(record)
        write_lines(out / _LINES, records)
        mix = {"ratio_type": "inside_ratio", "data": [{"path": str(home / _LINES), "type": "edit", "ratio": 1}]}
        write_atomic(out / "mix.yml", yaml.safe_dump(mix, sort_keys=False).encode())


def read(folder: Path) -> list[Page]:
    """Pages of `data.jsonl`."""
    return [
        page_of(
            Path(record["output_image"]).stem,
            [picture_at(folder, name, where) for name in listed(record.get("input_images"), where)],
            record["instruction"],
            picture_at(folder, record["output_image"], where),
        )
        for where, record in read_lines(folder / _LINES, ("instruction", "output_image"))
    ]
