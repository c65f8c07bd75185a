"""The report stands alone, names what was missed, and shows what the run kept."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from triptych.errors import SourceError
from triptych.evaluation.gallery import contact_sheet, open_picture, picture_uri
from triptych.evaluation.markdown import write_markdown
from triptych.evaluation.report import write_contact_sheet, write_report
from triptych.evaluation.run import evaluate
from triptych.evaluation.scores import Scores, load_scores
from triptych.evaluation.suites import Suite
from triptych.models.pocket import PocketBackbone
from triptych.page import Page, condition, slot
from triptych.sampling import generate

FEW = {"name": "few", "title": "Few <shots>", "rules": ["mirror", "tint", "frame"], "shots": [0, 1, 2],
       "pages_per_task": 1, "controls": ["copied"], "goals": {"top1": 0.9, "over_none": True}}  # fmt: skip
SWAP = {"name": "swap", "title": "Swap", "rules": ["per-panel"], "words": "all", "controls": ["swapped"],
        "kind": "swap", "goals": {"swap": 0.9}, "pages": 2}  # fmt: skip


@pytest.fixture
def scores(pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path) -> Scores:
    return evaluate(pocket, suite(FEW, SWAP, pages=3), out=tmp_path / "run", sprites=sprites, steps=1)


def test_write_report_is_one_file_that_fetches_nothing(scores: Scores) -> None:
    text = write_report(scores).read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert not re.findall(r"@import|url\(http", text)
    # Three plots of the curve and rules, two confusions.
    assert text.count("<svg") == 4
    assert "Few &lt;shots&gt;" in text


def test_write_report_says_what_was_missed_and_stands_beside_baselines(scores: Scores) -> None:
    text = write_report(scores).read_text()
    assert ">missed<" in text
    for words in ("copy of the nearest input", "right rule, another object", "but their answers are the inputs"):
        assert words in text


def test_write_report_shows_every_page_kept(scores: Scores) -> None:
    text = write_report(scores).read_text()
    kept = [entry for entry in scores.folder.shown("few") if entry.arm == "2 shots"]
    assert len(kept) == 3
    assert all(entry.pictures[0].picture in text for entry in kept)


def test_write_markdown_has_every_arm_and_baseline_in_one_table_a_row(scores: Scores) -> None:
    aims, *tables = write_markdown(scores).read_text().split("\n\n**")
    assert "| Few <shots> | right answer retrieved | 0.9 |" in aims
    assert "| Swap | instructions swapped | 0.9 |" in aims
    few = [line.split(" | ") for line in tables[0].splitlines() if line.startswith("| ")]
    assert len({len(cells) for cells in few}) == 1
    assert {"| 0 shots", "| 2 shots", "| 1 shots, copied", "| copy", "| white", "| ceiling"} <= {row[0] for row in few}


def test_write_contact_sheet_takes_rows_in_turn(scores: Scores) -> None:
    one = Image.open(write_contact_sheet(scores, count=1)).size
    four = Image.open(write_contact_sheet(scores, count=4)).size
    assert four[0] > one[0]
    assert four[1] > one[1]


def test_write_report_without_scores_is_refused(scores: Scores) -> None:
    for file in (scores.folder.path / "rows").iterdir():
        file.unlink()
    with pytest.raises(SourceError, match="no scored page"):
        write_report(load_scores(scores.folder.path))


def test_contact_sheet_shows_what_was_made(pocket: PocketBackbone) -> None:
    red = Image.new("RGB", (128, 128), (220, 20, 30))
    page = Page(panels=(condition(red), slot("make it blue", answer=Image.new("RGB", (128, 128), (20, 30, 220)))))
    sheet = contact_sheet([generate(pocket, page, steps=1)], columns=1)
    colours = {colour for _, colour in sheet.getcolors(1 << 20)}
    assert {(220, 20, 30), (20, 30, 220)} <= colours


def test_picture_uri_round_trip_is_near() -> None:
    picture = Image.linear_gradient("L").convert("RGB").resize((200, 100))
    again = open_picture(picture_uri(picture))
    assert again.size == (128, 64)
    assert abs(again.getpixel((5, 60))[0] - picture.resize((128, 64)).getpixel((5, 60))[0]) < 8  # type: ignore[index,operator]
