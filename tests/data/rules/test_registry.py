"""Rules by name, chains by name, and a user's own file of rules."""

from pathlib import Path
from random import Random

import pytest

from triptych.data.rules import RULES, check, find_rule, load_rules, rule_names
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
    assert find_rule(str(own_file), trust_files=True).name == "soft"
    assert find_rule(f"{own_file}:soft", trust_files=True).name == "soft"
    both = find_rule("soft+mirror", load_rules(own_file))
    assert both.name == "soft+mirror"
    assert both.draw(Random(0), ShapeSource()).instruction.startswith("blur it, then ")


@pytest.mark.parametrize("name", ["{}", "{}:soft", "mirror+{}:soft", "{}:soft+mirror"])
def test_find_rule_in_a_file_that_is_not_trusted_is_refused_and_not_run(tmp_path: Path, name: str) -> None:
    path = tmp_path / "theirs.py"
    path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + OWN)
    with pytest.raises(SourceError, match=r"was not run.*--trust-rules"):
        find_rule(name.format(path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "group",
    [
        "maps",
        "photo-maps",
        "held-out",
        "held-out-chains",
        "families",
        "held-out-families",
        "held-out-family-chains",
        "all",
    ],
)
def test_rule_names_of_a_group_are_rules(group: str) -> None:
    names = rule_names(group)
    assert names
    assert [find_rule(name).name for name in names] == list(names)


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
    with pytest.raises(SourceError, match="not a Python file"):
        load_rules(tmp_path / "none.py")
