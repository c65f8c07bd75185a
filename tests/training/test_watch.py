import json

import pytest
from PIL import Image

from tiny_training import disc, made_page, recipe
from triptych.page import Page, condition, slot
from triptych.training.claim import run_folder
from triptych.training.loop import train
from triptych.training.watch import Watcher, newest_samples


def test_rows_what_a_killed_run_did_twice_stands_once_and_in_order(tmp_path):
    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.4}, {"step": 2, "note": "a copy"}, {"step": 2, "loss": 0.3}]
    text = "\n".join(json.dumps(row) for row in [*rows, {"step": 1, "held_out_loss": 0.9}])
    (tmp_path / "log.jsonl").write_text(text + '\n{"step": 3, "lo')
    watcher = Watcher(tmp_path, recipe(), lambda _: None, is_main=True)
    found = watcher.rows()
    assert [row["step"] for row in found] == [1, 1, 2, 2]
    assert [row["loss"] for row in found if "loss" in row] == [0.5, 0.3]


def test_train_contact_sheet_begins_before_the_first_step(tmp_path, pages, pocket):
    out = tmp_path / "s.safetensors"
    plan = recipe(watch={"sample_every": 2, "held_out_every": 2, "samples": 1, "seeds": [1, 2]})
    train(pages, out, plan, pocket, held_out=[made_page(9)])
    with Image.open(run_folder(out) / "contact-sheet.png") as sheet:
        # given, right, and both seeds at steps 0, 2 and 4
        assert sheet.height == (2 + 3 * 2) * 128
        last = sheet.crop((72, sheet.height - 128, 200, sheet.height))
    assert [sample.tobytes() for sample in newest_samples(run_folder(out) / "contact-sheet.png")] == [last.tobytes()]
    log = [json.loads(line) for line in (run_folder(out) / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log if "held_out_loss" in row] == [0, 2, 4]
    assert "Held-out loss" in (run_folder(out) / "summary.md").read_text()


def test_newest_samples_of_a_sheet_without_any_are_none(tmp_path):
    assert newest_samples(tmp_path / "contact-sheet.png") == ()
    Image.new("RGB", (200, 256), "red").save(tmp_path / "contact-sheet.png")
    assert newest_samples(tmp_path / "contact-sheet.png") == ()


def test_train_after_a_run_killed_before_its_first_checkpoint_begins_a_new_log(tmp_path, pages, pocket):
    out = tmp_path / "s.safetensors"
    run_folder(out).mkdir()
    (run_folder(out) / "log.jsonl").write_text('{"step": 77, "loss": 1.0}\n')
    train(pages, out, recipe(), pocket)
    assert '"step": 77' not in (run_folder(out) / "log.jsonl").read_text()


@pytest.mark.parametrize("height", [128, 64])
def test_train_summary_says_where_the_shapes_of_a_pair_differ(tmp_path, pages, pocket, height):
    answer = disc(0.3, 60).crop((0, 0, 128, height))
    odd = Page(panels=(condition(disc(0.3, 9)), slot("on", answer=answer)), page_id="odd")
    out = tmp_path / "s.safetensors"
    train([*pages, odd], out, recipe(steps=1), pocket)
    summary = (run_folder(out) / "summary.md").read_text()
    assert ("page odd: a condition of 128x128 and an answer of 128x64 px differ in shape" in summary) == (height == 64)
    assert ("Nothing unusual" in summary) == (height == 128)
