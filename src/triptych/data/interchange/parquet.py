"""Hugging Face datasets: one parquet file of pages with pictures inside, and a data card as README.md."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.data.interchange.rows import new_folder
from triptych.errors import PageError
from triptych.images import png_bytes, read_image, write_atomic
from triptych.page import Layout, Page, Panel, Role

__all__ = ["DataCard", "read", "write"]

_FILE = "data/train-00000-of-00001.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """Where the pages come from: what a reader must know before using them."""

    title: str = "Pages for in-context image generation"
    license: str = "other"
    sources: Mapping[str, str] | None = None
    """Name (and version) of each picture source, and its licence."""
    rule: str | None = None
    seed: int | None = None
    versions: Mapping[str, str] | None = None

    def text(self, count: int) -> str:
        """The README with the header that the hub reads."""
        lines = [
            "---",
            f"license: {self.license}",
            "configs:",
            "- config_name: default",
            "  data_files: data/*.parquet",
        ]
        lines += ["---", "", f"# {self.title}", "", f"{count} pages; one row a page, panels in reading order."]
        lines += ["Columns: page_id, overview, images, roles, instructions, layout, gutter_px, template, rule."]
        lines += ["Images of slots are their answers.", ""]
        lines += [f"- rule: {self.rule}"] if self.rule else []
        lines += [f"- seed: {self.seed}"] if self.seed is not None else []
        lines += [f"- source: {name}, licence {licence}" for name, licence in (self.sources or {}).items()]
        lines += [f"- made with: {name} {version}" for name, version in (self.versions or {}).items()]
        return "\n".join(lines) + "\n"


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
    import pyarrow
    import pyarrow.parquet

    records: list[dict[str, Any]] = []
    for number, page in enumerate(pages, 1):
        if page.context or not page.is_answered:
            raise PageError(f"page {number} ({page.page_id!r}) is no single finished page; data sets hold those.")
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
        write_atomic(out / "README.md", (card or DataCard()).text(len(records)).encode())


def read(folder: Path) -> list[Page]:
    """The pages of every parquet file in `folder/data`."""
    import pyarrow.parquet

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
