"""`evaluate` end to end on a pocket with random weights."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from PIL import Image

from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource
from triptych.errors import Cancelled, OutputError
from triptych.evaluation import run
from triptych.evaluation.records import RunFolder
from triptych.evaluation.run import evaluate
from triptych.evaluation.suites import Suite
from triptych.events import CancelToken, Step
from triptych.models.backbone import Conditioning
from triptych.models.pocket import PocketBackbone, PocketConfig, PocketNetwork

REPAINT = Conditioning.REPAINT
RULE_ROW = {"name": "rules", "title": "Rules", "rules": ["mirror", "grayscale"], "shots": [0, 1], "pages_per_task": 2,
            "controls": ["other-rule", "copied"]}  # fmt: skip


def test_evaluate_suite_scores_every_arm_and_baseline(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    scores = evaluate(pocket, suite(RULE_ROW), out=tmp_path / "run", sprites=sprites, steps=1)
    row = scores.rows["rules"]
    assert [page.page for page in row.pages] == ["rules/000-0", "rules/000-1", "rules/001-0", "rules/001-1"]
    assert {page.rule for page in row.pages} == {"mirror", "grayscale"}
    arms = ("0 shots", "1 shots", "1 shots, other-rule", "1 shots, copied")
    assert row.names[:4] == arms
    assert {"copy", "white", "other object", "ceiling"} <= set(row.names)
    # An untrained model cannot retrieve what the true answers' own codec copies may.
    assert row.estimate("copy", "top1").mean == 0.0
    assert row.estimate("1 shots", "gain").mean < 0.0


def test_evaluate_pocket_of_the_second_codec_stands_beside_the_linear_transform(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    tokenizer, config = (
        pocket.tokenizer,
        PocketConfig(codec="klt", channels=768, width=64, double_blocks=1, single_blocks=1),
    )
    network = PocketNetwork(config).eval()
    network.codec.start(torch.rand(8, 3, 64, 64) * 2 - 1)
    torch.nn.init.normal_(network.codec.decoder[-1].bias, std=5)
    row = evaluate(PocketBackbone(network, tokenizer), suite(RULE_ROW), out=tmp_path / "run", sprites=sprites).rows[
        "rules"
    ]
    assert row.estimate("linear transform", "psnr").mean > row.estimate("ceiling", "psnr").mean


def test_evaluate_samples_a_page_by_several_seeds_where_the_backbone_can(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    row = RULE_ROW | {"shots": [0], "controls": [], "samples": 3}
    torch.manual_seed(0)
    config = PocketConfig(channels=32, width=64, double_blocks=1, single_blocks=1, sample_from=0.5)
    network = PocketNetwork(config).eval()
    torch.nn.init.normal_(network.transformer.proj_out.weight, std=0.2)
    sampling = PocketBackbone(network, pocket.tokenizer)
    scores = evaluate(sampling, suite(row), out=tmp_path / "sampling", sprites=sprites).rows["rules"]
    assert scores.names[:2] == ("0 shots", "0 shots, 3 samples")
    assert scores.estimate("0 shots, 3 samples", "spread").mean > 0.1
    assert not scores.values("0 shots", "spread")
    plain = evaluate(pocket, suite(row), out=tmp_path / "plain", sprites=sprites).rows["rules"]
    assert "0 shots, 3 samples" not in plain.names


def test_evaluate_row_with_a_size_of_its_own_makes_its_pages_at_it(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    row = RULE_ROW | {"size_px": 64, "shots": [0], "controls": []}
    evaluate(pocket, suite(row), out=tmp_path / "run", sprites=sprites)
    shown = RunFolder(tmp_path / "run").shown("rules")
    answers = [base64.b64decode(one.picture.partition(",")[2]) for entry in shown for one in entry.answers]
    assert {Image.open(io.BytesIO(data)).size for data in answers} == {(64, 64)}


def test_evaluate_stopped_run_continues_with_same_scores(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_CHUNK_PAGES", 2)
    whole = evaluate(pocket, suite(RULE_ROW), out=tmp_path / "whole", sprites=sprites, steps=1)

    token = CancelToken()

    def stop(event: object) -> None:
        if isinstance(event, Step) and event.step == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        evaluate(pocket, suite(RULE_ROW), out=tmp_path / "run", sprites=sprites, steps=1, on_event=stop, cancel=token)
    file = tmp_path / "run" / "rows" / "rules.jsonl"
    # As after a crash in the middle of a line.
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:1]) + '{"page": "rules/0')
    again = evaluate(pocket, suite(RULE_ROW), out=tmp_path / "run", sprites=sprites, steps=1)
    assert sorted(again.rows["rules"].pages, key=lambda page: page.page) == whole.rows["rules"].pages


def test_evaluate_folder_of_another_run_is_refused(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    small = suite({"name": "words", "title": "Words", "rules": ["mirror"], "words": "all"}, pages=1)
    evaluate(pocket, small, out=tmp_path, sprites=sprites, steps=1)
    with pytest.raises(OutputError, match="seed"):
        evaluate(pocket, small, out=tmp_path, sprites=sprites, steps=1, seed=5)


def test_evaluate_by_repaint_scores_other_pictures(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    small = suite({"name": "words", "title": "Words", "rules": ["mirror"], "words": "all"}, pages=1)
    native = evaluate(pocket, small, out=tmp_path / "native", sprites=sprites, steps=1)
    painted = evaluate(pocket, small, out=tmp_path / "painted", sprites=sprites, steps=1, conditioning=REPAINT)
    arm, psnr = "0 shots", "psnr"
    assert native.rows["words"].estimate(arm, psnr).mean != painted.rows["words"].estimate(arm, psnr).mean
    with pytest.raises(OutputError, match="conditioning"):
        evaluate(pocket, small, out=tmp_path / "painted", sprites=sprites, steps=1)


def test_evaluate_pages_takes_examples_from_the_set(pocket: PocketBackbone, tmp_path: Path) -> None:
    pages = [
        RULES[name].draw(Random(index), ShapeSource()).page(Random(index), 64)
        for index in range(3)
        for name in ("mirror", "outline")
    ]
    scores = evaluate(pocket, pages, out=tmp_path, shots=(0, 1), steps=1)
    row = scores.rows["pages"]
    assert row.names[:3] == ("0 shots", "1 shots", "1 shots, other-rule")
    assert len(row.pages) == 6


def test_evaluate_storyboard_judges_character_place_and_framing(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    board = suite(
        {"name": "board", "title": "B", "rules": ["storyboard"], "words": "all", "kind": "storyboard"}, pages=2
    )
    row = evaluate(pocket, board, out=tmp_path, sprites=sprites, steps=1).rows["board"]
    assert {"place", "framing", "top1"} <= set(row.figures("0 shots"))


def test_evaluate_controls_are_asked_on_the_first_pages_of_every_task(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    halved = suite(RULE_ROW, control_pages=2)
    row = evaluate(pocket, halved, out=tmp_path, sprites=sprites, steps=1).rows["rules"]
    assert set(row.values("1 shots, copied", "psnr")) == {"rules/000-0", "rules/001-0"}
    assert len(row.values("1 shots", "psnr")) == 4


def test_evaluate_swapped_instructions_are_asked_of_every_page(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    panels = {
        "name": "p",
        "title": "P",
        "rules": ["per-panel"],
        "words": "all",
        "controls": ["swapped"],
        "kind": "swap",
    }
    row = evaluate(pocket, suite(panels, pages=3, control_pages=1), out=tmp_path, sprites=sprites, steps=1).rows["p"]
    assert len(row.values("0 shots, swapped", "all_panels")) == 3
    # The candidates' answers are in the old places.
    assert not row.values("0 shots, swapped", "top1")


def test_evaluate_rows_scored_apart_make_one_run(
    pocket: PocketBackbone, sprites: Path, suite: Callable[..., Suite], tmp_path: Path
) -> None:
    rows = ({"name": name, "title": name, "rules": [name], "words": "all"} for name in ("mirror", "tint"))
    both = suite(*rows, pages=1)
    first = evaluate(pocket, both, out=tmp_path, sprites=sprites, steps=1, rows=["tint"])
    assert list(first.rows) == ["tint"]
    assert list(evaluate(pocket, both, out=tmp_path, sprites=sprites, steps=1).rows) == ["mirror", "tint"]
