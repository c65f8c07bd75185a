"""musubi-tuner with `multiple_target`: one picture and its layers, all of which are made."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from triptych.data.folders import find_pictures, note_unread
from triptych.data.interchange.rows import (
    listed,
    load_images,
    name_below,
    page_of,
    picture_at,
    read_lines,
    save_picture,
    toml_text,
)
from triptych.data.lazy import LazyPages, distinct_ids
from triptych.data.wording import Labels, Wording
from triptych.errors import PageError
from triptych.files import new_folder, write_atomic
from triptych.page import Page

__all__ = ["read", "write"]

_LINES = "dataset.jsonl"
_NUMBERED = re.compile(r"(?P<base>.+)_(?P<number>\d+)")


def write(pages: Iterable[Page], folder: Path) -> None:
    """Write pages of one condition: `image_path_0` is the condition, `image_path_1`... are the answers of the slots.

    Raises PageError for other numbers of conditions, and where pages differ in their number of slots.
    """
    home = folder.resolve()
    records, counts = [], set[int]()
    with new_folder(folder) as out:
        for number, page in enumerate(pages, 1):
            where = f"page {number} ({page.page_id!r})"
            if page.context or not page.is_answered or len(page.conditions) != 1:
                raise PageError(f"{where} is not a finished page of one condition and its layers.")
            counts.add(len(page.slots))
            if len(counts) > 1:
                raise PageError(f"pages have {sorted(counts)} slots; musubi-tuner wants the same number on all.")
            stem = f"{number:06d}-{re.sub(r'[^A-Za-z0-9.+-]', '-', page.page_id)[:80] or 'page'}"
            images = [page.conditions[0].image, *(panel.answer for panel in page.slots)]
            record: dict[str, str] = {}
            for place, image in enumerate(image for image in images if image is not None):
                name = save_picture(image, out, f"images/{stem}_{place}.png" if place else f"images/{stem}.png")
                record[f"image_path_{place}"] = str(home / name)
            words = [page.overview, *dict.fromkeys(panel.instruction for panel in page.slots)]
            records.append(record | {"caption": " ".join(filter(None, words))})
            write_atomic(out / "images" / f"{stem}.txt", records[-1]["caption"].encode())
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        write_atomic(out / _LINES, lines.encode())
        text = (
            f"[[datasets]]\nimage_jsonl_file = {toml_text(f'{home.as_posix()}/{_LINES}')}\n"
            f"cache_directory = {toml_text(f'{home.as_posix()}/cache')}\nmultiple_target = true\n"
        )
        write_atomic(out / "dataset.toml", text.encode())


def read(folder: Path, wording: Wording | None = None) -> LazyPages:
    """Pages of the lines in `dataset.jsonl`, or of a folder of `a.png`, `a.txt`, `a_1.png`, `a_2.png`..."""
    if not (folder / _LINES).is_file():
        return _of_pictures(folder, wording or Wording())
    found: list[tuple[list[Path], str]] = []
    for where, record in read_lines(folder / _LINES, ("caption",)):
        names = _targets(record, where)
        found.append(([picture_at(folder, name, where) for name in names], record["caption"]))
    note_unread(folder, [path for paths, _ in found for path in paths])
    ids = distinct_ids([name_below(folder, paths[0]) for paths, _ in found])
    return LazyPages(
        partial(page_of, page_id, paths[:1], text, paths[1:]) for page_id, (paths, text) in zip(ids, found, strict=True)
    )


def _targets(record: Mapping[str, Any], where: str) -> Sequence[str]:
    numbered = {key.removeprefix("image_path_"): value for key, value in record.items() if "image_path_" in key}
    if "image_path" in record:
        numbered["0"] = record["image_path"]
    if not all(number.isdecimal() for number in numbered) or len(numbered) < 2:
        raise PageError(f"{where} needs image_path_0 and image_path_1... of a set with multiple_target.")
    return listed([numbered[number] for number in sorted(numbered, key=int)], where)


def _of_pictures(folder: Path, wording: Wording) -> LazyPages:
    labels = Labels(wording)
    layers: dict[str, list[tuple[int, Path]]] = {}
    paths = {path.stem: path for path in find_pictures(folder)}
    for stem, path in paths.items():
        match = _NUMBERED.fullmatch(stem)
        if match and match["base"] in paths:
            layers.setdefault(match["base"], []).append((int(match["number"]), path))
    taken = {path.stem for members in layers.values() for _, path in members}
    if alone := [stem for stem in paths if stem not in taken and stem not in layers]:
        raise PageError(f"{folder}: no layers beside {alone[0]!r}; they are named {alone[0]}_1, {alone[0]}_2...")

    def maker(stem: str) -> Callable[[], Page]:
        answers = [path for _, path in sorted(layers[stem])]
        words = labels.of((labels.wording.beside(paths[stem]),), stem, partial(load_images, [paths[stem], *answers]))
        return lambda: page_of(stem, [paths[stem]], words(), answers)

    makers = [maker(stem) for stem in paths if stem in layers and stem not in taken]
    labels.note(folder)
    return LazyPages(makers, unlabelled=labels.unlabelled)
