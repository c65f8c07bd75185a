"""`triptych evaluate` and `triptych compare` from page set to report."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from typer.testing import Result

from triptych.data.pagesets import save_pageset
from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource

Command = Callable[..., Result]


@pytest.fixture
def pageset(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    save_pageset(
        (RULES["mirror"].draw(Random(n), ShapeSource()).page(Random(n), 64) for n in range(3)),
        folder,
    )
    return folder


def test_evaluate_pageset_writes_scores_report_and_sheet(
    triptych: Command, pageset: Path, pocket_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    asked = ("evaluate", pageset, "--out", out, "--backbone", pocket_file, "--shots", "0,1", "--steps", 1)
    first = triptych(*asked)
    assert first.exit_code == 0, first.output
    for name in ("scores.json", "report.html", "contact-sheet.png"):
        assert (out / name).is_file()
        assert str(out / name) in first.output
    lines = (out / "rows" / "pages.jsonl").read_text()
    assert triptych(*asked).exit_code == 0
    assert (out / "rows" / "pages.jsonl").read_text() == lines
    same = triptych("compare", out, out)
    assert same.exit_code == 0
    assert "0 of " in same.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("evaluate", "nosuch"), "nosuch"),
        (("evaluate", "pocket", "--rows", "storybord"), "storybord"),
        (("evaluate", "pocket", "--shots", "one"), "one"),
        (("evaluate", "pocket", "--conditioning", "repant"), "repant"),
        (("compare", "nowhere", "nowhere"), "triptych evaluate"),
    ],
)
def test_evaluate_mistake_is_named(
    triptych: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found = triptych(*arguments)
    assert found.exit_code == 2
    assert says in found.output
    assert not list(tmp_path.iterdir())
