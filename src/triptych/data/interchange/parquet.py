"""Hugging Face datasets: one parquet file of pages with pictures inside, and a data card as README.md."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from triptych.data.datacard import DataCard, PageCount
from triptych.data.interchange.rows import boxes_from
from triptych.data.lazy import LazyPages
from triptych.data.parquet import (
    Column,
    count_rows,
    part_files,
    picture_bytes,
    picture_cell,
    read_batches,
    write_rows,
)
from triptych.errors import PageError
from triptych.files import new_folder, parse_json, write_atomic
from triptych.images import png_bytes, read_answer, read_image
from triptych.page import Layout, Page, Panel, Role
from triptych.pagefile import box_records

__all__ = ["read", "write"]

_COLUMNS = {
    "page_id": Column.TEXT,
    "overview": Column.TEXT,
    "layout": Column.TEXT,
    "template": Column.TEXT,
    "rule": Column.TEXT,
    "gutter_px": Column.NUMBER,
    "images": Column.PICTURES,
    "roles": Column.TEXTS,
    "instructions": Column.TEXTS,
    "boxes": Column.TEXT,
}
"""Boxes are JSON, a list for each panel, and null where the page has none."""


def write(pages: Iterable[Page], folder: Path, *, card: DataCard | None = None) -> None:
    """Write the parquet file and its card. Needs pyarrow. Raises PageError for unfinished pages and for contexts."""
    counted = PageCount()
    with new_folder(folder) as out:
        write_rows(out, _COLUMNS, _records(pages, counted))
        write_atomic(out / "README.md", (card or DataCard()).text(counted, data_files="data/*.parquet").encode())


def _records(pages: Iterable[Page], counted: PageCount) -> Iterator[dict[str, Any]]:
    for number, page in enumerate(pages, 1):
        if page.context or not page.is_answered:
            raise PageError(f"page {number} ({page.page_id!r}) is not a single finished page; data sets hold those.")
        counted.add(page)
        yield {
            "page_id": page.page_id,
            "overview": page.overview,
            "images": [picture_cell(png_bytes(panel.picture)) for panel in page.panels if panel.picture is not None],
            "roles": [panel.role.value for panel in page.panels],
            "instructions": [panel.instruction for panel in page.panels],
            "layout": page.layout.value,
            "gutter_px": page.gutter_px,
            "template": page.template,
            "rule": page.rule or "",
            "boxes": json.dumps([box_records(panel) for panel in page.panels]) if page.has_boxes else None,
        }


def read(folder: Path) -> LazyPages:
    """The pages of every parquet file in `folder` and below it."""
    makers: list[Callable[[], Page]] = []
    for path in part_files(folder):
        rows = _Rows(path)
        makers += [partial(rows.page, number) for number in range(count_rows(path))]
    return LazyPages(makers)


class _Rows:
    """The rows of one file; the last group that was asked for is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start, self._rows = 0, []

    def page(self, number: int) -> Page:
        """Row `number`, from 0. Raises PageError."""
        if not self._start <= number < self._start + len(self._rows):
            self._read(number)
        where = f"{self._path}, row {number + 1}"
        try:
            return _page(self._rows[number - self._start], where)
        except (KeyError, TypeError, ValueError) as error:
            raise PageError(f"{where} is not a page: {error!r}.") from error

    def _read(self, number: int) -> None:
        start = 0
        for rows in read_batches(self._path):
            if number < start + len(rows):
                self._start, self._rows = start, rows
                return
            start += len(rows)


def _page(row: dict[str, Any], where: str) -> Page:
    panels: list[Panel] = []
    told = row.get("boxes")  # sets that were written before there were boxes have no such column
    boxes = boxes_from(parse_json(told) if told else None, len(row["roles"]), where)
    columns = zip(row["images"], row["roles"], row["instructions"], boxes, strict=True)
    for number, (data, role, text, own) in enumerate(columns, 1):
        if role == Role.SLOT:
            picture = read_answer(picture_bytes(data), name=where, panel=number)
            panels.append(Panel(role=Role.SLOT, answer=picture, instruction=text, boxes=own))
        else:
            picture = read_image(picture_bytes(data), name=where, panel=number)
            panels.append(Panel(role=Role(role), image=picture, instruction=text, boxes=own))
    return Page(
        panels=tuple(panels),
        overview=row["overview"],
        layout=Layout(row["layout"]),
        gutter_px=row["gutter_px"],
        template=row["template"],
        page_id=row["page_id"],
        rule=row["rule"] or None,
    )
