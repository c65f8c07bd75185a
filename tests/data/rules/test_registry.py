"""Rules by name, chains by name, and a user's own file of rules."""

from pathlib import Path
from random import Random

import pytest

from triptych.data.rules import RULES, check, find_rule, load_rules
from triptych.data.sources import ShapeSource
from triptych.errors import SourceError

OWN = """
from random import Random
from PIL import ImageFilter
from triptych.data.rules import Change, picture_rule

@picture_rule("soft", "photometric", "everything out of focus")
def soft(rng: Random) -> Change:
    return Change(
        says=("blur it",),
        apply=lambda look: look.moved(lambda layer: layer.filter(ImageFilter.GaussianBlur(layer.width / 12))),
    )
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


def test_load_rules_of_ten_lines_makes_verified_pages(own_file: Path) -> None:
    rules = load_rules(own_file)
    assert list(rules) == ["soft"]
    report = check(rules["soft"], ShapeSource(), 5)
    assert (report.own, report.wrong, report.copied) == (1.0, 0.0, 0.0)


def test_find_rule_by_path_and_in_a_chain(own_file: Path) -> None:
    assert find_rule(str(own_file)).name == "soft"
    assert find_rule(f"{own_file}:soft").name == "soft"
    both = find_rule("soft+mirror", load_rules(own_file))
    assert both.name == "soft+mirror"
    assert both.draw(Random(0), ShapeSource()).instruction.startswith("blur it, then ")


def test_find_rule_unknown_name_lists_near_ones() -> None:
    with pytest.raises(SourceError, match="Did you mean mirror, mirror-line"):
        find_rule("mirror-lin")


def test_find_rule_chain_of_three_keeps_the_order() -> None:
    assert find_rule("outline+mirror+tint").name == "outline+mirror+tint"
    assert find_rule("mirror") is RULES["mirror"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("1 / 0", "ZeroDivisionError"), ("x = 1", "defines no rule"), ("def broken(:", "SyntaxError")],
)
def test_load_rules_bad_file_raises_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(SourceError, match=message):
        load_rules(path)


def test_load_rules_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Python file"):
        load_rules(tmp_path / "none.py")
