"""Suites as data: the shipped ones hold, and mistakes are named."""

from pathlib import Path

import pytest

from triptych.data.rules import HELD_OUT_CHAINS, HELD_OUT_RULES, rule_names
from triptych.data.sprites import EVALUATION_STYLES
from triptych.errors import SourceError
from triptych.evaluation.suites import Arm, Control, Row, Suite, load_suite, rules_of, suite_names


def test_load_suite_every_shipped_suite_names_rules_that_exist() -> None:
    assert {"pocket", "smoke"} <= set(suite_names())
    for name in suite_names():
        assert all(rules_of(row) for row in load_suite(name).rows)


def test_load_suite_pocket_keeps_trained_and_held_out_apart() -> None:
    rows = {row.name: row for row in load_suite("pocket").rows}
    assert {rule.name for rule in rules_of(rows["held-out-rules"])} == HELD_OUT_RULES
    assert {tuple(rule.name.split("+")) for rule in rules_of(rows["held-out-chains"])} == set(HELD_OUT_CHAINS)
    assert not {rule.name for rule in rules_of(rows["rules-by-example"])} & HELD_OUT_RULES
    assert {after for _, after in rows["held-out-family"].styles} == EVALUATION_STYLES
    assert not {style for pair in rows["styles-by-example"].styles for style in pair} & EVALUATION_STYLES


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title: x\nrows: [{name: a, title: A, rules: [nosuch]}]", "nosuch"),
        ("title: x\nrows: [{name: a, title: A, rules: maps, shot: [1]}]", "rows 1, key 'shot' is unknown; .*, shots,"),
        ("title: x\nrows: [{name: a, rules: maps}]", "rows 1, key 'title': field required"),
        ("title: x\nrows: [{name: a, title: A, rules: maps, controls: [copied]}]", "copied"),
        ("title: x\nrows: [{name: a, title: A, rules: maps}, {name: a, title: B, rules: maps}]", "differ"),
        ("title: x\nrows: []", "rows"),
        ("title: [x", r"suite.yaml is not valid YAML"),
        ("title: x\ntitle: y\nrows: []", "duplicate key 'title'"),
        ("title: caf\udce9\nrows: []", r"suite.yaml is not text in UTF-8 \(byte 10, 0xe9\)"),
    ],
)
def test_load_suite_mistake_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SourceError, match=says):
        load_suite(str(path))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_load_suite_with_a_mark_and_windows_line_ends_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_bytes("title: caf\u00e9\r\nrows: [{name: a, title: A, rules: [mirror]}]\r\n".encode(encoding))
    assert load_suite(str(path)).title == "caf\u00e9"


def test_load_suite_that_says_maps_writes_the_names_it_meant(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("title: x\nrows: [{name: a, title: A, rules: maps}]")
    suite = load_suite(str(path))
    assert suite.model_dump(mode="json")["rows"][0]["rules"] == list(rule_names("maps"))
    assert Suite.model_validate_json(suite.model_dump_json()).rows[0].rules == suite.rows[0].rules


def test_load_suite_of_somebody_else_runs_its_files_only_where_trusted(tmp_path: Path) -> None:
    program, ran = tmp_path / "theirs.py", tmp_path / "ran"
    program.write_text(
        f"open({str(ran)!r}, 'w')\nfrom triptych.data.rules import RULES as OURS\nRULES = (OURS['mirror'],)\n"
    )
    path = tmp_path / "suite.yaml"
    path.write_text(f"title: x\nrows: [{{name: a, title: A, rules: ['{program}:mirror']}}]")
    with pytest.raises(SourceError, match=r"row 'a'.*was not run.*--trust-rules"):
        load_suite(str(path))
    assert not ran.exists()
    trusted = load_suite(str(path), trust_rules=True)
    assert ran.exists()
    assert [rule.name for rule in rules_of(trusted.rows[0])] == ["mirror"]
    assert [rule.name for rule in rules_of(trusted.only(("a",)).model_copy().rows[0])] == ["mirror"]
    with pytest.raises(SourceError, match="was not run"):
        rules_of(Suite.model_validate_json(trusted.model_dump_json()).rows[0])


def test_load_suite_unknown_name_lists_the_known() -> None:
    with pytest.raises(SourceError, match="pocket"):
        load_suite("pockets")


def test_row_arms_put_controls_only_where_they_can_be() -> None:
    row = Row(
        name="a",
        title="A",
        rules="maps",
        shots=(0, 2),
        controls=(Control.COPIED, Control.NO_TEXT),
        control_shots=(0, 2),
    )
    assert row.arms == (
        Arm(shots=0),
        Arm(shots=2),
        Arm(shots=2, control=Control.COPIED),
        Arm(shots=0, control=Control.NO_TEXT),
        Arm(shots=2, control=Control.NO_TEXT),
    )
    assert row.main == Arm(shots=2)


def test_only_unknown_row_is_named() -> None:
    with pytest.raises(SourceError, match="storybord"):
        load_suite("pocket").only(("storybord",))
