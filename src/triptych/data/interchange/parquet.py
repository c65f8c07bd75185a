"""Hugging Face datasets: one parquet file of pages with pictures inside, and a data card as README.md."""

import importlib
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from triptych.data.datacard import DataCard, PageCount
from triptych.data.lazy import LazyPages
from triptych.errors import PageError
from triptych.files import is_lfs_pointer, new_folder, write_atomic
from triptych.images import png_bytes, read_image
from triptych.page import Layout, Page, Panel, Role

__all__ = ["read", "write"]

_FILE = "data/train-00000-of-00001.parquet"
_BATCH = 64


def _pyarrow() -> Any:
    try:
        importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise PageError("parquet files need the package pyarrow; pip install 'triptych[data]'.") from error
    return importlib.import_module("pyarrow")


def _features() -> dict[str, Any]:
    """The note by which `datasets` shows the column `images` as pictures."""
    text = {"dtype": "string", "_type": "Value"}
    columns = dict.fromkeys(("page_id", "overview", "layout", "template", "rule"), text)
    features = {
        **columns,
        "gutter_px": {"dtype": "int64", "_type": "Value"},
        "images": {"feature": {"_type": "Image"}, "_type": "List"},
        "roles": {"feature": text, "_type": "List"},
        "instructions": {"feature": text, "_type": "List"},
    }
    return {"info": {"features": features}}


def write(pages: Iterable[Page], folder: Path, *, card: DataCard | None = None) -> None:
    """Write the parquet file and its card. Needs pyarrow. Raises PageError for unfinished pages and for contexts."""
    pyarrow = _pyarrow()
    records: list[dict[str, Any]] = []
    counted = PageCount()
    for number, page in enumerate(pages, 1):
        if page.context or not page.is_answered:
            raise PageError(f"page {number} ({page.page_id!r}) is not a single finished page; data sets hold those.")
        counted.add(page)
        pictures = [png_bytes(panel.picture) for panel in page.panels if panel.picture is not None]
        records.append(
            {
                "page_id": page.page_id,
                "overview": page.overview,
                "images": [{"bytes": data, "path": None} for data in pictures],
                "roles": [panel.role.value for panel in page.panels],
                "instructions": [panel.instruction for panel in page.panels],
                "layout": page.layout.value,
                "gutter_px": page.gutter_px,
                "template": page.template,
                "rule": page.rule or "",
            }
        )
    names = ("page_id", "overview", "layout", "template", "rule")
    picture = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    texts = pyarrow.list_(pyarrow.string())
    schema = pyarrow.schema(
        [(name, pyarrow.string()) for name in names]
        + [("gutter_px", pyarrow.int64()), ("images", pyarrow.list_(picture))]
        + [("roles", texts), ("instructions", texts)],
        metadata={"huggingface": json.dumps(_features())},
    )
    with new_folder(folder) as out:
        (out / "data").mkdir()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records, schema=schema), out / _FILE)
        write_atomic(out / "README.md", (card or DataCard()).text(counted, data_files="data/*.parquet").encode())


def read(folder: Path) -> LazyPages:
    """The pages of every parquet file in `folder/data`."""
    pyarrow = _pyarrow()
    paths = sorted((folder / "data").glob("*.parquet"))
    if not paths:
        raise PageError(f"{folder / 'data'} has no parquet files; name the folder of a data set.")
    makers: list[Callable[[], Page]] = []
    for path in paths:
        with path.open("rb") as file:
            if is_lfs_pointer(file.read(64)):
                raise PageError(f"{path} is a Git LFS pointer, not the data. Run `git lfs pull` where it was cloned.")
        try:
            count = pyarrow.parquet.read_metadata(path).num_rows
        except (OSError, pyarrow.ArrowException) as error:
            raise PageError(f"{path} is not a whole parquet file: {' '.join(str(error).split())}.") from error
        rows = _Rows(path)
        makers += [partial(rows.page, number) for number in range(count)]
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
        pyarrow = _pyarrow()
        with pyarrow.parquet.ParquetFile(self._path) as file:
            self._start = 0
            for batch in file.iter_batches(batch_size=_BATCH):
                if number < self._start + batch.num_rows:
                    self._rows = batch.to_pylist()
                    return
                self._start += batch.num_rows


def _page(row: dict[str, Any], where: str) -> Page:
    panels: list[Panel] = []
    for number, (data, role, text) in enumerate(zip(row["images"], row["roles"], row["instructions"], strict=True), 1):
        picture = read_image(data["bytes"], name=where, panel=number)
        if role == "slot":
            panels.append(Panel(role=Role.SLOT, answer=picture, instruction=text))
        else:
            panels.append(Panel(role=Role(role), image=picture, instruction=text))
    return Page(
        panels=tuple(panels),
        overview=row["overview"],
        layout=Layout(row["layout"]),
        gutter_px=row["gutter_px"],
        template=row["template"],
        page_id=row["page_id"],
        rule=row["rule"] or None,
    )
