"""Picks as data sets of pairs (prompt, chosen, rejected), as others train on preferences; needs pyarrow."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL.Image import Image

from triptych.data.parquet import Column, part_files, picture_bytes, picture_cell, read_batches, write_rows
from triptych.errors import PickError, TriptychError
from triptych.files import new_folder, write_atomic
from triptych.images import bare_bytes, read_answer, read_image
from triptych.page import Page, slot
from triptych.picks.pick import Outcome, Pick, Verdict
from triptych.picks.store import Shown
from triptych.sampling.request import Request

__all__ = ["Exported", "read_pairs", "write_pairs"]

_COLUMNS = {
    **dict.fromkeys(
        ("prompt", "pick_id", "backbone", "when", "chosen_result", "rejected_result", "request"), Column.TEXT
    ),
    **dict.fromkeys(("slot", "chosen_seed", "rejected_seed"), Column.NUMBER),
    "chosen": Column.PICTURE,
    "rejected": Column.PICTURE,
    "conditions": Column.PICTURES,
}
_PROMPTS = ("prompt", "caption", "text")
_CARD = """\
---
configs:
- config_name: default
  data_files: data/*.parquet
tags:
- preferences
- text-to-image
---

# Pairs of pictures

{rows} pairs of {picks} picks, recorded with Triptych. A row has a `prompt`, the picture that was `chosen` and one that
was `rejected`; `conditions` are the pictures that were given. `chosen_seed`, `rejected_seed` and `request` say how both
were made.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written, and how many picks hold no pair."""

    rows: int
    picks: int
    left_out: int


def write_pairs(picks: Sequence[Pick], folder: str | Path) -> Exported:
    """Write every kept result against every rejected one of its pick, one row per slot, to a new folder.

    `datasets.load_dataset(folder)` reads it. Picks without a pair are counted and left out. Raises PickError where none
    has one, and OutputError for a folder that is not empty.
    """
    with_pairs = [pick for pick in picks if pick.kept and pick.rejected]
    if not with_pairs:
        raise PickError(f"none of the {len(picks)} picks has a kept and a rejected result, so there are no pairs.")
    with new_folder(folder) as out:
        rows = write_rows(out, _COLUMNS, (row for pick in with_pairs for row in _rows(pick)), error=PickError)
        write_atomic(out / "README.md", _CARD.format(rows=rows, picks=len(with_pairs)).encode())
    return Exported(rows=rows, picks=len(with_pairs), left_out=len(picks) - len(with_pairs))


def _rows(pick: Pick) -> Iterator[dict[str, Any]]:
    request, given = pick.request, list[bytes]()

    def place(image: Image) -> str:
        given.append(bare_bytes(image))
        return f"conditions/{len(given) - 1}"

    told = json.dumps(request.record(place), ensure_ascii=False)
    shared = {
        "pick_id": pick.pick_id,
        "backbone": pick.backbone,
        "when": pick.when,
        "request": told,
        "conditions": [picture_cell(data) for data in given],
    }
    made = {result.pictures: pick.images(result) for result in (*pick.kept, *pick.rejected)}
    for kept in pick.kept:
        for rejected in pick.rejected:
            for number, panel in enumerate(request.page.slots):
                yield shared | {
                    "prompt": " ".join(filter(None, (request.page.overview, panel.instruction))),
                    "slot": number + 1,
                    "chosen_seed": kept.seed,
                    "rejected_seed": rejected.seed,
                    "chosen_result": _result_id(kept),
                    "rejected_result": _result_id(rejected),
                    "chosen": picture_cell(bare_bytes(made[kept.pictures][number])),
                    "rejected": picture_cell(bare_bytes(made[rejected.pictures][number])),
                }


def _result_id(result: Outcome) -> str:
    """Equal for rows of one result."""
    return hashlib.sha256(f"{result.seed} {result.pictures}".encode()).hexdigest()[:16]


def read_pairs(folder: str | Path) -> tuple[Shown, ...]:
    """Every result of the pairs in a folder of parquet files, once each, with what was said of it.

    Reads what `write_pairs` writes, and data sets with a prompt (or caption, text) and either `chosen` and `rejected`
    or, as Pick-a-Pic has them, `jpg_0`, `jpg_1` and `label_0`; of those no seed is known. Raises PickError.
    """
    results: dict[object, dict[int, Shown]] = {}
    for path in part_files(Path(folder), error=PickError):
        rows = (row for batch in read_batches(path, error=PickError) for row in batch)
        for number, row in enumerate(rows, 1):
            where = f"{path}, row {number}"
            try:
                for key, place, shown in _shown(row, where):
                    results.setdefault(key, {})[place] = shown
            except (KeyError, TypeError, ValueError, TriptychError) as error:
                raise PickError(f"{where} is not a pair of pictures: {error}.") from error
    return tuple(_whole(parts) for parts in results.values())


def _whole(parts: Mapping[int, Shown]) -> Shown:
    """A result of all its slots."""
    images = tuple(image for _, part in sorted(parts.items()) for image in part.images)
    return replace(next(iter(parts.values())), images=images)


def _shown(row: Mapping[str, Any], where: str) -> Iterator[tuple[object, int, Shown]]:
    """Both results of a row, each with what it is known by and the slot that it fills."""
    request, place = _request(row, where), row.get("slot") or 1
    for key, verdict in _verdicts(row).items():
        image = read_answer(picture_bytes(row[key]), name=f"{where}, {key}")
        seed = row.get(f"{key}_seed")
        own = request if seed is None else replace(request, seed=seed)
        result = row.get(f"{key}_result")
        known = (row.get("pick_id"), result) if result else (where, key)
        yield known, place, Shown(request=own, images=(image,), verdict=verdict, has_seed=seed is not None)


def _verdicts(row: Mapping[str, Any]) -> dict[str, Verdict]:
    if "chosen" in row:
        return {"chosen": Verdict.KEPT, "rejected": Verdict.REJECTED}
    if "label_0" not in row:
        raise PickError(
            f"it has the columns {', '.join(row)}; wanted are chosen and rejected, or jpg_0, jpg_1, label_0"
        )
    likes = float(row["label_0"])
    if likes == 0.5:
        return {"jpg_0": Verdict.UNSEEN, "jpg_1": Verdict.UNSEEN}
    first, second = (Verdict.KEPT, Verdict.REJECTED) if likes > 0.5 else (Verdict.REJECTED, Verdict.KEPT)
    return {"jpg_0": first, "jpg_1": second}


def _request(row: Mapping[str, Any], where: str) -> Request:
    if row.get("request"):
        given = [read_image(picture_bytes(cell), name=where) for cell in row.get("conditions") or ()]
        return Request.from_record(
            json.loads(row["request"]), resolve=lambda text: given[int(text.removeprefix("conditions/"))]
        )
    words = next((str(row[name]) for name in _PROMPTS if row.get(name)), "")
    model = str(row.get("backbone") or row.get("model_0") or "unknown")
    return Request(page=Page(panels=(slot(words),)), backbone=model)
