"""Hugging Face datasets: one parquet file of pages with pictures inside, and a data card as README.md."""

import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from triptych.data.datacard import DataCard, PageCount
from triptych.errors import PageError
from triptych.files import new_folder, write_atomic
from triptych.images import png_bytes, read_image
from triptych.page import Layout, Page, Panel, Role

__all__ = ["read", "write"]

_FILE = "data/train-00000-of-00001.parquet"


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
            raise PageError(f"page {number} ({page.page_id!r}) is no single finished page; data sets hold those.")
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


def read(folder: Path) -> list[Page]:
    """The pages of every parquet file in `folder/data`."""
    pyarrow = _pyarrow()
    paths = sorted((folder / "data").glob("*.parquet"))
    if not paths:
        raise PageError(f"{folder / 'data'} has no parquet files; name the folder of a data set.")
    pages: list[Page] = []
    for path in paths:
        for number, row in enumerate(pyarrow.parquet.read_table(path).to_pylist(), 1):
            try:
                pages.append(_page(row, f"{path}, row {number}"))
            except (KeyError, TypeError, ValueError) as error:
                raise PageError(f"{path}, row {number} is no page: {error!r}.") from error
    return pages


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
