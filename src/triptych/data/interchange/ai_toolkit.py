"""ai-toolkit: a folder of targets with .txt captions, and a folder of equal names for each condition."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from triptych.data.interchange.rows import page_of, picture_at, rows_of, save_picture
from triptych.errors import PageError
from triptych.files import new_folder, write_atomic
from triptych.page import Page

__all__ = ["read", "write"]

_TARGETS, _CONTROL, _MOST = "targets", "control_{}", 3


def write(pages: Iterable[Page], folder: Path) -> None:
    """Write `targets/`, `control_1/`..., and `dataset.yaml` with the entry for `datasets:` of a training config."""
    counts: set[int] = set()
    with new_folder(folder) as out:
        for row in rows_of(pages):
            counts.add(len(row.conditions))
            save_picture(row.answer, out, f"{_TARGETS}/{row.name}.png")
            write_atomic(out / _TARGETS / f"{row.name}.txt", row.text.encode())
            for number, image in enumerate(row.conditions, 1):
                save_picture(image, out, f"{_CONTROL.format(number)}/{row.name}.png")
        if len(counts) > 1 or max(counts, default=0) > _MOST:
            raise PageError(
                f"pages have {sorted(counts)} conditions; ai-toolkit wants the same number on all, at most {_MOST}."
            )
        controls = [str(folder.resolve() / _CONTROL.format(number + 1)) for number in range(max(counts, default=0))]
        entry = {"folder_path": str(folder.resolve() / _TARGETS), "control_path": controls, "caption_ext": "txt"}
        write_atomic(out / "dataset.yaml", yaml.safe_dump([entry], sort_keys=False).encode())


def read(folder: Path) -> list[Page]:
    """Pages from `targets/` and `control_N/`, in the order of names."""
    targets = sorted((folder / _TARGETS).glob("*.png"))
    if not targets:
        raise PageError(f"{folder / _TARGETS} has no PNG files; name a folder that `write` of this format made.")
    controls = sorted(path for path in folder.glob("control_*") if path.is_dir())
    pages: list[Page] = []
    for path in targets:
        given = [picture_at(folder, f"{control.name}/{path.name}", str(path)) for control in controls]
        caption = path.with_suffix(".txt")
        text = caption.read_text() if caption.is_file() else ""
        pages.append(page_of(path.stem, given, text, picture_at(folder, f"{_TARGETS}/{path.name}", str(path))))
    return pages
