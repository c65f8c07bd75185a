"""What a format cannot hold is said, and what it says that it keeps comes back: a page with everything, through all."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from triptych.cli.main import app
from triptych.data.datacard import DataCard
from triptych.data.interchange import FORMATS, Holding, find_format, read_back
from triptych.data.interchange.losses import holdings
from triptych.data.pagesets import load_pageset, save_pageset
from triptych.errors import PageError
from triptych.page import Layout, NamedBox, Page, Panel, Role, condition, slot
from triptych.pagefile import load_page, page_from_record, page_record, save_page


def _picture(colour: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (48, 32), colour)
    image.paste(colour[::-1][:3], (0, 0, 24, 16))
    return image


def _layer() -> Image.Image:
    image = Image.new("RGBA", (48, 32), (200, 40, 40, 255))
    image.paste((10, 20, 30, 0), (24, 0, 48, 32))
    return image


EVERYTHING = Page(
    panels=(
        condition(
            _picture((10, 120, 200)),
            "the fox <fox> as it is",
            role=Role.SUBJECT,
            boxes=(NamedBox(name="fox", corners=(0.0, 0.0, 0.5, 0.5), words="a fox"),),
        ),
        Panel(
            role=Role.SLOT,
            answer=_layer(),
            instruction="the fox alone",
            size_px=(96, 64),
            rejected=(_picture((1, 2, 3)), _picture((4, 5, 6))),
            boxes=(NamedBox(name="fox", corners=(0.5, 0.5, 1.0, 1.0)),),
        ),
        slot("its ground", answer=_picture((90, 80, 70))),
    ),
    overview="a fox on grass",
    layout=Layout.COLUMN,
    gutter_px=8,
    template="film-storyboard",
    page_id="everything",
    rule="mirror",
)


def _rejoined(pages: list[Page]) -> Page:
    """The rows of one page as a page again, where a format has a row for each slot."""
    slots = [panel for page in pages for panel in page.slots]
    return replace(pages[0], panels=(*pages[0].conditions, *slots))


def test_page_with_everything_has_every_holding() -> None:
    assert set(+holdings(EVERYTHING)) == set(Holding)


@pytest.mark.parametrize("name", FORMATS)
def test_format_keeps_what_it_says_and_names_the_rest(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = find_format(name)
    entry.write([EVERYTHING], tmp_path / "set")
    read_back(entry, [EVERYTHING], tmp_path / "set")
    (said,) = [record.getMessage() for record in caplog.records]
    back = list(entry.read(tmp_path / "set"))
    found = holdings(_rejoined(back))
    if len(back) > 1:
        del found[Holding.SLOTS]
    whole = holdings(EVERYTHING)
    assert +found == {what: whole[what] for what in entry.keeps}
    assert f"the format {name} cannot hold them" in said
    for what in Holding:
        assert (f"{what} ({whole[what]})" in said) == (what not in entry.keeps)


@pytest.mark.parametrize("name", FORMATS)
def test_format_says_nothing_of_a_page_that_it_holds(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = Page(
        panels=(condition(_picture((1, 2, 3)), role=Role.EDIT), slot("red", answer=_picture((9, 9, 9)))), page_id="a"
    )
    find_format(name).write([plain, replace(plain, page_id="b")], tmp_path / "set")
    assert not caplog.records


@pytest.mark.parametrize("name", ["ic-lora", "parquet"])
def test_format_of_pages_gives_boxes_back(name: str, tmp_path: Path) -> None:
    entry = find_format(name)
    bare = replace(EVERYTHING, page_id="bare", panels=tuple(replace(p, boxes=()) for p in EVERYTHING.panels))
    entry.write([bare, EVERYTHING], tmp_path / "set")
    without, having = entry.read(tmp_path / "set")
    assert [panel.boxes for panel in having.panels] == [panel.boxes for panel in EVERYTHING.panels]
    assert not without.has_boxes


def test_parquet_without_the_column_of_boxes_is_read(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    find_format("parquet").write([EVERYTHING], tmp_path / "set")
    (path,) = (tmp_path / "set").rglob("*.parquet")
    parquet.write_table(parquet.read_table(path).drop_columns(["boxes"]), path)
    (back,) = find_format("parquet").read(tmp_path / "set")
    assert not back.has_boxes and back.overview == EVERYTHING.overview


@pytest.mark.parametrize("boxes", ["{}", "[[]]", '[[{"name": 1}], [], []]', "["])
def test_parquet_with_boxes_that_are_none_names_the_row(boxes: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    find_format("parquet").write([EVERYTHING], tmp_path / "set")
    (path,) = (tmp_path / "set").rglob("*.parquet")
    table = parquet.read_table(path)
    column = table.column_names.index("boxes")
    parquet.write_table(table.set_column(column, "boxes", pyarrow.array([boxes])), path)
    with pytest.raises(PageError, match="row 1"):
        list(find_format("parquet").read(tmp_path / "set"))


def test_card_is_refused_where_a_format_has_none(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="no data card"):
        find_format("musubi").write([EVERYTHING], tmp_path / "set", card=DataCard())
    assert not (tmp_path / "set").exists()


def test_export_by_command_says_what_is_left_out_and_refuses_a_licence_without_card(tmp_path: Path) -> None:
    panels = tuple(replace(panel, rejected=(), size_px=None) for panel in EVERYTHING.panels)
    save_pageset([replace(EVERYTHING, panels=panels)], tmp_path / "pages")
    command = ["pages", "export", str(tmp_path / "pages"), "--out", str(tmp_path / "out"), "--format"]
    run = CliRunner().invoke(app, [*command, "musubi", "--license", "mit"])
    assert run.exit_code == 2 and not (tmp_path / "out").exists()
    run = CliRunner().invoke(app, [*command, "musubi"])
    assert run.exit_code == 0
    assert "boxes (2), roles of conditions (1)" in run.stderr


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_page_files_and_records_hold_everything(ending: str, tmp_path: Path) -> None:
    save_page(EVERYTHING, tmp_path / f"page.{ending}")
    for back in (load_page(tmp_path / f"page.{ending}"), page_from_record(page_record(EVERYTHING))):
        assert holdings(back) == holdings(EVERYTHING)
        for one, other in zip(back.slots, EVERYTHING.slots, strict=True):
            assert one.answer is not None and other.answer is not None
            assert (one.answer.mode, one.answer.tobytes()) == (other.answer.mode, other.answer.tobytes())


def test_page_set_holds_all_but_what_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="rejected"):
        save_pageset([EVERYTHING], tmp_path / "pages")
    panels = tuple(replace(panel, rejected=(), size_px=None) for panel in EVERYTHING.panels)
    held = replace(EVERYTHING, panels=panels)
    save_pageset([held], tmp_path / "pages")
    assert holdings(load_pageset(tmp_path / "pages")[0]) == holdings(held)


def test_documented_table_is_what_formats_keep() -> None:
    text = Path(__file__).parents[3].joinpath("docs", "own-pictures.md").read_text()
    named = ("parquet", "ic-lora", "musubi-layers")
    others = [entry for name, entry in FORMATS.items() if name not in named]
    for what in Holding:
        columns = [[find_format(name)] for name in named] + [others]
        told = ["yes" if {what in entry.keeps for entry in column} == {True} else "no" for column in columns]
        assert f"| {what} | {' | '.join(told)} |" in text
    assert len({entry.keeps for entry in others}) == 1
