"""What a run writes, the same run reads: whatever the words, and wherever it was stopped."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triptych.conditioning import Conditioning
from triptych.errors import OutputError, SourceError
from triptych.evaluation.records import PageScores, RunFolder, Settings
from triptych.evaluation.suites import load_suite
from triptych.leftovers import temporary_path


def _scored(page: str) -> PageScores:
    return PageScores(page=page, group="g", rule=None, scores={"arm": {"right": 1.0, "lost": None}})


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_scores_of_any_words_come_back_and_a_torn_line_costs_itself_alone(tmp_path: Path, names: list[str]) -> None:
    run = RunFolder(tmp_path)
    (tmp_path / "rows").mkdir(exist_ok=True)
    file = tmp_path / "rows" / "a.jsonl"
    file.unlink(missing_ok=True)

    run.add("a", [_scored(name) for name in names])

    assert list(run.scores("a")) == names
    whole = file.read_bytes()
    for lost in range(1, min(12, len(whole))):
        file.write_bytes(whole[:-lost])
        assert list(run.scores("a")) == names[:-1]
        run.add("a", [_scored(names[-1])])
        assert list(run.scores("a")) == names


def test_scores_with_line_separators_are_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    RunFolder(tmp_path).add("a", [_scored("one\u2028line\u0085here")])
    assert list(RunFolder(tmp_path).scores("a")) == ["one\u2028line\u0085here"]


def test_settings_that_are_damaged_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no evaluation"):
        RunFolder(tmp_path).settings()
    (tmp_path / "settings.json").write_bytes(b'{"seed": 1, "seed": 2}')
    with pytest.raises(SourceError, match=r"settings\.json is not valid JSON: duplicate key 'seed'"):
        RunFolder(tmp_path).settings()


def _settings() -> Settings:
    return Settings(
        suite=load_suite("smoke"), seed=0, backbone="pocket", weights="0", skill=None, steps=1,
        conditioning=Conditioning.REFERENCE, source="here",
    )  # fmt: skip


def test_begin_after_a_kill_before_the_first_file_begins_anew_and_leaves_no_rest(tmp_path: Path) -> None:
    left = temporary_path(tmp_path / "settings.json")
    left.touch()
    os.utime(left, (0, 0))
    (tmp_path / "rows").mkdir()
    RunFolder(tmp_path).begin(_settings())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows", "settings.json", "shown"]


def test_begin_among_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.html").touch()
    with pytest.raises(OutputError, match="holds other files"):
        RunFolder(tmp_path).begin(_settings())
