"""Page sets from rules: the same bytes from the same seed, whatever the number of workers."""

from pathlib import Path
from random import Random

import pytest

from triptych.data.build import build, built_page
from triptych.data.pagesets import load_pageset
from triptych.data.rules import RULES, find_rule
from triptych.data.sheets import contact_sheet
from triptych.data.sources import ShapeSource
from triptych.errors import Cancelled, SourceError
from triptych.events import CancelToken, Step

SOURCE = ShapeSource()


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_build_one_and_two_workers_same_bytes(tmp_path: Path) -> None:
    for workers in (1, 2):
        build(RULES["storyboard"], SOURCE, 10, 7, tmp_path / str(workers), workers=workers)
    assert _files(tmp_path / "1") == _files(tmp_path / "2")


def test_build_other_seed_other_pictures(tmp_path: Path) -> None:
    for seed in (1, 2):
        build(RULES["tint"], SOURCE, 3, seed, tmp_path / str(seed))
    first, second = (_files(tmp_path / str(seed)) for seed in (1, 2))
    assert not set(first.values()) & set(second.values())


def test_build_page_set_reads_back_and_verifies(tmp_path: Path) -> None:
    rule = find_rule("silhouette+tile")
    build(rule, SOURCE, 4, 0, tmp_path / "set")
    pages = load_pageset(tmp_path / "set")
    assert len(pages) == 4
    for page in pages:
        assert page.rule == "silhouette+tile"
        assert find_rule(page.rule).verify(page, tuple(slot.answer for slot in page.slots)).ok


def test_built_page_does_not_depend_on_the_pages_before(tmp_path: Path) -> None:
    build(RULES["swap"], SOURCE, 5, 0, tmp_path / "set")
    alone = built_page(RULES["swap"], SOURCE, 0, 3)
    assert load_pageset(tmp_path / "set")[3].slots[0].answer.tobytes() == alone.slots[0].answer.tobytes()


def test_build_one_task_fixes_the_instruction(tmp_path: Path) -> None:
    build(RULES["tint"], SOURCE, 8, 0, tmp_path / "one", one_task=True)
    build(RULES["tint"], SOURCE, 8, 0, tmp_path / "many")
    words = [{page.slots[0].instruction for page in load_pageset(tmp_path / kind)} for kind in ("one", "many")]
    assert len(words[0]) == 1
    assert len(words[1]) > 1


def test_build_reports_each_page_in_order(tmp_path: Path) -> None:
    seen: list[str] = []
    build(RULES["mirror"], SOURCE, 5, 0, tmp_path / "set", workers=2, on_page=lambda page: seen.append(page.page_id))
    assert seen == [f"mirror-0-{index:05d}" for index in range(5)]


def test_build_cancelled_after_some_pages_leaves_nothing(tmp_path: Path) -> None:
    token, steps = CancelToken(), []

    def hear(event: object) -> None:
        assert isinstance(event, Step)
        steps.append((event.step, event.steps))
        if event.step == 3:
            token.cancel()

    with pytest.raises(Cancelled):
        build(RULES["mirror"], SOURCE, 5, 0, tmp_path / "set", on_event=hear, cancel=token)
    assert steps == [(1, 5), (2, 5), (3, 5)]
    assert list(tmp_path.iterdir()) == []


def test_build_count_zero_raises(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="count is 0"):
        build(RULES["mirror"], SOURCE, 0, 0, tmp_path / "set")


def test_contact_sheet_shows_every_picture_of_every_page() -> None:
    pages = [RULES[name].draw(Random(0), SOURCE).page(Random(0)) for name in ("swap", "line-up", "storyboard")]
    sheet = contact_sheet(pages, columns=2, cell_px=128, caption=False)
    for page, corner in zip(pages, ((0, 0), (1, 0), (0, 1)), strict=True):
        width, height = (sheet.width - 4) // 2, sheet.height // 2
        left, top = corner[0] * (width + 4) + 4, corner[1] * height + 2
        assert page.panels[0].image is not None
        assert sheet.crop((left, top, left + 128, top + 128)).tobytes() == page.panels[0].image.tobytes()
