"""From records to estimates, goals and comparisons, on pages whose figures are written by hand."""

from pathlib import Path

import pytest

from triptych.errors import OutputError, SourceError
from triptych.evaluation.compare import compare
from triptych.evaluation.records import PageScores, RunFolder, Settings
from triptych.evaluation.scores import RowScores, load_scores
from triptych.evaluation.suites import Row, Suite
from triptych.models.backbone import Conditioning

ROW = Row.model_validate(
    {
        "name": "r",
        "title": "R",
        "rules": ["mirror", "rotate"],
        "shots": [0, 1],
        "controls": ["other-rule"],
        "goals": {"gain_db": 4, "top1": 0.9, "over_none": True, "over_wrong": True},
    }
)


def _page(number: int, *, none: float, right: float, wrong: float, top1: float = 1.0) -> PageScores:
    return PageScores(
        page=f"r/{number:03d}-0",
        group=f"r/{number:03d}",
        rule=("mirror", "rotate")[number % 2],
        scores={
            "0 shots": {"psnr": none},
            "1 shots": {"psnr": right, "top1": top1},
            "1 shots, other-rule": {"psnr": wrong},
            "copy": {"psnr": 10.0 + number % 2},
            "white": {"psnr": 9.0},
        },
    )


def _row(*, right: float = 20.0) -> RowScores:
    pages = [_page(n, none=12 + n % 3, right=right + n % 3, wrong=13 + n % 4, top1=float(n > 0)) for n in range(12)]
    return RowScores(row=ROW, pages=pages)


def _settings(seed: int = 0) -> Settings:
    suite = Suite(title="T", rows=(ROW,))
    return Settings(
        suite=suite,
        seed=seed,
        backbone="pocket",
        weights="abc",
        skill=None,
        steps=8,
        conditioning=Conditioning.REFERENCE,
        source="sprites",
    )


def _run(folder: Path, row: RowScores, *, seed: int = 0) -> Path:
    run = RunFolder(folder)
    run.begin(_settings(seed))
    run.add("r", row.pages)
    return folder


def test_gain_is_over_the_better_baseline_of_each_page() -> None:
    values = _row().values("1 shots", "gain")
    assert values["r/000-0"] == 10.0
    assert values["r/001-0"] == 10.0
    assert _row().gain_of_means == pytest.approx(21.0 - 10.5)


def test_goals_are_met_only_where_reached() -> None:
    goals = {goal.name: goal for goal in _row().goals}
    assert goals["dB over copy and white"].is_met
    assert goals["right answer retrieved"].estimate.mean == pytest.approx(11 / 12)
    assert goals["1 right over no example (psnr)"].is_met
    assert goals["1 right over another rule's (psnr)"].is_met
    weak = {goal.name: goal for goal in _row(right=12.0).goals}
    assert not weak["dB over copy and white"].is_met
    assert not weak["1 right over no example (psnr)"].is_met
    assert not weak["1 right over another rule's (psnr)"].is_met


def test_summary_by_rule_counts_each_rule_pages() -> None:
    summary = _row().summary()
    assert summary["rules"]["mirror"]["1 shots"]["gain"]["pages"] == 6  # type: ignore[index]


def test_load_scores_gives_back_what_was_added(tmp_path: Path) -> None:
    scores = load_scores(_run(tmp_path / "run", _row()))
    assert scores.rows["r"].pages == list(_row().pages)
    assert scores.save().read_text() == scores.save().read_text()


def test_run_folder_line_cut_short_is_left_out_and_overwritten(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", _row())
    file = folder / "rows" / "r.jsonl"
    file.write_text(file.read_text()[:-40])
    run = RunFolder(folder)
    assert len(run.scores("r")) == 11
    run.add("r", _row().pages[-1:])
    assert list(run.scores("r").values()) == list(_row().pages)


def test_run_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", _row())
    with pytest.raises(OutputError, match="seed"):
        RunFolder(folder).begin(_settings(seed=1))


def test_load_scores_without_a_run_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="triptych evaluate"):
        load_scores(tmp_path)


def test_compare_finds_the_better_run_and_only_there(tmp_path: Path) -> None:
    first = load_scores(_run(tmp_path / "a", _row(right=20.0)))
    second = load_scores(_run(tmp_path / "b", _row(right=22.0)))
    found = {(one.arm, one.figure): one for one in compare(first, second)}
    assert found["1 shots", "gain"].better == "second"
    assert found["1 shots", "gain"].test.difference.mean == pytest.approx(-2.0)
    assert found["0 shots", "gain"].better == "neither"


def test_compare_runs_on_other_pages_is_refused(tmp_path: Path) -> None:
    first = load_scores(_run(tmp_path / "a", _row()))
    second = load_scores(_run(tmp_path / "b", _row(), seed=1))
    with pytest.raises(SourceError, match="seed"):
        compare(first, second)
