"""JSON-lines formats of other trainers, each a table of its keys: one answer, a text and conditions a line.

What each trainer reads is in its own source: musubi-tuner `dataset/datasources.py`, OmniGen2
`dataset/omnigen2_train_dataset.py`, EasyControl `train/src/jsonl_datasets.py`, DiffSynth-Studio
`core/data/unified_dataset.py`, diffusers `train_dreambooth_lora_flux2_klein_img2img.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from triptych.data.folders import note_unread
from triptych.data.interchange.rows import (
    listed,
    name_below,
    page_of,
    picture_at,
    read_lines,
    rows_of,
    save_picture,
    toml_text,
    write_lines,
)
from triptych.data.lazy import LazyPages, distinct_ids
from triptych.errors import PageError
from triptych.files import new_folder, write_atomic
from triptych.page import Page

__all__ = ["DIFFSYNTH", "DIFFSYNTH_KONTEXT", "DIFFUSERS", "EASYCONTROL", "MUSUBI", "OMNIGEN2", "Keys", "Table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """How a line names its conditions: `put` gives the line's keys for their files, `get` the files again."""

    put: Callable[[Sequence[str]], Mapping[str, Any]]
    get: Callable[[Mapping[str, Any], str], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A folder with pictures and one file of JSON lines."""

    name: str
    lines: str
    answer: str
    """Key of the answer's file."""
    text: str
    conditions: Keys
    folders: tuple[str, str]
    """Where answers and conditions are written."""
    is_absolute: bool = False
    """Whether lines name absolute paths, for trainers that are started elsewhere."""
    is_even: bool = False
    """Whether all lines must have the same number of conditions, at least one."""
    most: int | None = None
    """Conditions that a line can have; None for any number."""
    more: Callable[[Mapping[str, Any], bool], Mapping[str, Any]] = lambda record, _: record
    """The record, and whether it has conditions, to the line that is written."""
    beside: Callable[[str], Mapping[str, str]] = lambda _: {}
    """From the folder's absolute path to further files and their texts."""

    def write(self, pages: Iterable[Page], folder: Path) -> None:
        """Write pictures, lines and what stands beside them. Raises PageError for pages that the format cannot hold."""
        home = folder.resolve()
        records: list[Mapping[str, Any]] = []
        counts: set[int] = set()
        with new_folder(folder) as out:

            def saved(image: Any, name: str) -> str:
                path = save_picture(image, out, name)
                return str(home / path) if self.is_absolute else path

            for row in rows_of(pages):
                counts.add(len(row.conditions))
                self._check(counts, row.name)
                answers, conditions = self.folders
                names = [
                    saved(image, f"{conditions}/{row.name}_{number}.png") for number, image in enumerate(row.conditions)
                ]
                record = {self.answer: saved(row.answer, f"{answers}/{row.name}.png"), self.text: row.text}
                records.append(self.more(record | dict(self.conditions.put(names)), bool(names)))
            write_lines(out / self.lines, records)
            for name, text in self.beside(home.as_posix()).items():
                write_atomic(out / name, text.encode())

    def _check(self, counts: set[int], where: str) -> None:
        if self.most is not None and (max(counts) > self.most or 0 in counts):
            raise PageError(
                f"{where} has {max(counts)} conditions; {self.name} takes exactly {self.most}. "
                "Export to musubi, diffsynth or omnigen2 for others."
            )
        if self.is_even and (len(counts) > 1 or 0 in counts):
            raise PageError(
                f"pages have {sorted(counts)} conditions; {self.name} wants the same number on all, at least one."
            )

    def read(self, folder: Path) -> LazyPages:
        """Pages of the lines in `folder`. Raises PageError naming file and line."""
        makers: list[Callable[[str], Page]] = []
        names: list[str] = []
        seen: list[Path] = []
        for where, record in read_lines(folder / self.lines, (self.text,)):
            answers = [picture_at(folder, name, where) for name in self.answers(record, where)]
            given = [picture_at(folder, name, where) for name in self.conditions.get(record, where)]
            names.append(name_below(folder, answers[0]))
            makers.append(partial(_made, given, record[self.text], answers))
            seen += [*answers, *given]
        if not makers:
            raise PageError(f"{folder / self.lines} has no lines; name a folder in this format.")
        note_unread(folder, seen)
        ids = distinct_ids(names)
        return LazyPages(partial(make, page_id) for make, page_id in zip(makers, ids, strict=True))

    def answers(self, record: Mapping[str, Any], where: str) -> Sequence[str]:
        """The names of a line's answers."""
        if not isinstance(record.get(self.answer), str):
            raise PageError(f"{where} needs the texts {self.answer}, {self.text}.")
        return [record[self.answer]]


def _made(given: Sequence[Path], text: str, answers: Sequence[Path], page_id: str) -> Page:
    return page_of(page_id, given, text, answers)


def _numbered(record: Mapping[str, Any], where: str) -> Sequence[str]:
    """`control_path` alone, or `control_path_0`, `control_path_1`... by number, as musubi-tuner sorts them."""
    if "control_path" in record:
        return listed(record["control_path"], where)
    found = {key.removeprefix("control_path_"): value for key, value in record.items() if "control_path_" in key}
    if not all(number.isdecimal() for number in found):
        raise PageError(f"{where}: {sorted(found)} are not numbers that control_path_N can have.")
    return listed([found[number] for number in sorted(found, key=int)], where)


def _columns(record: Mapping[str, Any], where: str) -> Sequence[str]:
    keys = [key for key in record if key == "source" or key.startswith("source_")]
    return listed([record[key] for key in sorted(keys, key=lambda key: (len(key), key))], where)


def _edit_images(record: Mapping[str, Any], where: str) -> Sequence[str]:
    return listed(next((record[key] for key in _EDIT_KEYS if key in record), None), where)


_EDIT_KEYS = ("edit_image", "kontext_images")

MUSUBI = Table(
    name="musubi-tuner",
    lines="dataset.jsonl",
    answer="image_path",
    text="caption",
    folders=("images", "controls"),
    conditions=Keys(
        put=lambda names: {f"control_path_{number}": name for number, name in enumerate(names)}, get=_numbered
    ),
    is_absolute=True,
    beside=lambda home: {
        "dataset.toml": f"[[datasets]]\nimage_jsonl_file = {toml_text(f'{home}/dataset.jsonl')}\n"
        f"cache_directory = {toml_text(f'{home}/cache')}\n"
    },
)

OMNIGEN2 = Table(
    name="OmniGen2",
    lines="data.jsonl",
    answer="output_image",
    text="instruction",
    folders=("outputs", "inputs"),
    conditions=Keys(
        put=lambda names: {"input_images": list(names)} if names else {},
        get=lambda record, where: listed(record.get("input_images"), where),
    ),
    is_absolute=True,
    more=lambda record, is_edit: {"task_type": "edit" if is_edit else "t2i"} | dict(record),
    beside=lambda home: {
        "mix.yml": yaml.safe_dump(
            {"data": [{"path": f"{home}/data.jsonl", "type": "edit", "ratio": 1.0}]}, sort_keys=False
        )
    },
)

EASYCONTROL = Table(
    name="EasyControl",
    lines="data.jsonl",
    answer="target",
    text="caption",
    folders=("target", "source"),
    conditions=Keys(
        put=lambda names: {
            "source" if number == 1 else f"source_{number}": name for number, name in enumerate(names, 1)
        },
        get=_columns,
    ),
    is_absolute=True,
    is_even=True,
)

DIFFUSERS = Table(
    name="the diffusers script",
    lines="metadata.jsonl",
    answer="image_file_name",
    text="text",
    folders=("images", "cond_images"),
    conditions=Keys(
        put=lambda names: {"cond_image_file_name": names[0]} if names else {},
        get=lambda record, where: listed(record.get("cond_image_file_name"), where),
    ),
    most=1,
)


def _diffsynth(key: str) -> Table:
    return Table(
        name="DiffSynth-Studio",
        lines="metadata.jsonl",
        answer="image",
        text="prompt",
        folders=("images", "edit_images"),
        conditions=Keys(
            put=lambda names: {key: names[0] if len(names) == 1 else list(names)} if names else {}, get=_edit_images
        ),
    )


DIFFSYNTH, DIFFSYNTH_KONTEXT = (_diffsynth(key) for key in _EDIT_KEYS)
"""For `--data_file_keys image,KEY`; either is read under both keys."""
