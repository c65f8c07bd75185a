"""The demo: one page that needs nothing else, on objects that no training page shows."""

import re
from importlib.resources import files

import pytest

from triptych.cli.demo.exhibits import exhibits
from triptych.data.sprites import is_held_out


def test_demo_writes_one_page_that_stands_alone(triptych, pocket_file, tmp_path):
    result = triptych("demo", "--out", tmp_path / "demo", "--backbone", pocket_file, "--steps", 1)

    assert result.exit_code == 0, result.stderr
    path = tmp_path / "demo" / "demo.html"
    assert result.stdout.strip() == str(path.resolve())
    assert [each.name for each in path.parent.iterdir()] == ["demo.html"]
    html = path.read_text()
    assert set(re.findall(r'(?:src|href)="(\w+:)', html)) == {"data:"}
    found = exhibits()
    slots = sum(len(page.slots) for exhibit in found for page in exhibit.pages)
    assert html.count('class="panel slot"') == slots
    assert html.count("right answer") >= slots
    for exhibit in found:
        assert exhibit.title in html
    assert "[PANEL-2] close-up, in a forest" in html


@pytest.mark.parametrize("style", ["icon-park", "icon-park-outline", "noto"])
def test_demo_pictures_are_of_objects_held_out_from_training(style):
    names = [entry.name.removesuffix(".webp") for entry in (files("triptych.cli.demo") / "assets" / style).iterdir()]

    assert names
    assert all(is_held_out(name) for name in names)


def test_exhibits_have_the_five_kinds_of_pages():
    photographs, style, rule, story, panels = exhibits()

    assert [exhibit.backbone for exhibit in exhibits()] == ["pocket-2", "pocket", "pocket-2", "pocket", "pocket"]
    assert all(page.context or page.panels[-1].instruction for page in photographs.pages)
    assert {len(page.context) for page in style.pages} == {3}
    assert not any(panel.instruction for page in (*style.pages, *rule.pages) for panel in page.all_panels)
    assert len(story.pages[0].slots) == 3
    first, swapped = panels.pages
    assert [slot.instruction for slot in first.slots] == [slot.instruction for slot in reversed(swapped.slots)]
    assert len({slot.answer.tobytes() for slot in first.slots}) == 3
