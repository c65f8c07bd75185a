"""Each result is made once, whatever is killed, repeated, split or wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from triptych.data.pagesets import save_pageset
from triptych.page import Page, condition, slot
from triptych.sampling.units import read_requests, units_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def requests(tmp_path: Path, pocket_file: Path) -> Path:
    """Six results of four lines: two pictures in turns, one line asks for three."""
    for name in ("red", "blue"):
        Image.new("RGB", (48, 48), name).save(tmp_path / f"{name}.png")
    rows = [
        {
            "page": {"panels": [{"image": f"{name}.png"}, {"instruction": words}]},
            "backbone": str(pocket_file),
            "steps": 1,
            "number": number,
        }
        for name, words, number in (("red", "a", 1), ("blue", "b", 3), ("red", "c", 1), ("blue", "d", 1))
    ]
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def _index(folder: Path, name: str = "index.jsonl") -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_batch_makes_every_result_once_and_says_which_is_whose(triptych, requests, tmp_path):
    out = tmp_path / "made"

    first = triptych("batch", requests, "--out", out)

    assert first.exit_code == 0, first.output
    made = _made(out)
    assert len(made) == 6
    assert {file for row in _index(out) for file in row["files"]} == set(made)
    assert sorted((row["line"], row["seed"]) for row in _index(out)) == [(1, 0), (2, 0), (2, 1), (2, 2), (3, 0), (4, 0)]
    assert len(list((out / "inputs").iterdir())) == 2
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    second = triptych("batch", requests, "--out", out)
    assert second.exit_code == 0 and second.stdout == "" and "6 already made" in second.stderr
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.png")} == before
    lost = next(out.glob("*.png"))
    lost.unlink()
    assert triptych("batch", requests, "--out", out).stdout.split() == [str(lost)]
    assert _made(out) == made


def test_batch_equals_generate(triptych, requests, tmp_path):
    (tmp_path / "one.json").write_text(requests.read_text().splitlines()[0])
    triptych("generate", tmp_path / "one.json", "--out", tmp_path / "one")
    triptych("batch", requests, "--out", tmp_path / "made")

    (file,) = next(row["files"] for row in _index(tmp_path / "made") if row["line"] == 1)
    (alone,) = (tmp_path / "one").glob("*.png")
    assert Image.open(tmp_path / "made" / file).tobytes() == Image.open(alone).tobytes()


@pytest.mark.parametrize("count", [2, 4, 9])
def test_batch_shards_are_together_the_whole_and_none_twice(triptych, requests, tmp_path, count):
    triptych("batch", requests, "--out", tmp_path / "whole")
    parts = []
    for number in range(1, count + 1):
        result = triptych("batch", requests, "--out", tmp_path / "parts", "--shard", f"{number}/{count}")
        assert result.exit_code == 0, result.output
        parts += result.stdout.split()

    assert len(parts) == len(set(parts)) == 6
    assert _made(tmp_path / "parts") == _made(tmp_path / "whole")
    rows = [row for n in range(1, count + 1) for row in _index(tmp_path / "parts", f"index-{n}-of-{count}.jsonl")]
    assert sorted(row["files"] for row in rows) == sorted(row["files"] for row in _index(tmp_path / "whole"))


def test_batch_reads_what_is_shared_side_by_side(triptych, requests, tmp_path):
    triptych("batch", requests, "--out", tmp_path / "made", "--shard", "1/2")
    triptych("batch", requests, "--out", tmp_path / "made", "--shard", "2/2")

    lines = [{row["line"] for row in _index(tmp_path / "made", f"index-{n}-of-2.jsonl")} for n in (1, 2)]
    # Two results are of the red picture and four of the blue: only one of the two shards reads both.
    assert sum(bool(each & {1, 3}) and bool(each & {2, 4}) for each in lines) == 1


def test_batch_failures_cost_themselves_alone_and_are_tried_again(triptych, requests, tmp_path):
    out = tmp_path / "made"
    good = requests.read_text()
    long = json.dumps({**json.loads(good.splitlines()[0]), "page": {"panels": [{"instruction": "fox " * 600}]}})
    requests.write_text(f'{good}{{"page": 1}}\n{long}\nnot json\n')

    result = triptych("batch", requests, "--out", out)

    assert result.exit_code == 1
    assert len(_made(out)) == 6
    said = " ".join(result.stderr.split())
    assert "line 5" in said and "line 6" in said and "at most 64" in said and "line 7" in said and "3 failed" in said
    requests.write_text(good + long.replace("fox " * 600, "a fox") + "\n")
    again = triptych("batch", requests, "--out", out)
    assert again.exit_code == 0 and len(again.stdout.split()) == 1


def test_batch_goes_on_where_one_of_several_backbones_cannot_be_loaded(triptych, requests, tmp_path):
    lost = json.loads(requests.read_text().splitlines()[0]) | {"backbone": "a/nowhere.safetensors"}
    requests.write_text(f"{json.dumps(lost)}\n{requests.read_text()}")
    result = triptych("batch", requests, "--out", tmp_path / "made")
    assert result.exit_code == 1 and len(_made(tmp_path / "made")) == 6
    assert "line 1" in result.stderr and "nowhere.safetensors" in result.stderr and "1 failed" in result.stderr
    requests.write_text(json.dumps(lost))
    assert triptych("batch", requests, "--out", tmp_path / "made").exit_code == 2


def test_units_have_another_name_after_a_skill_was_trained_anew_and_with_a_step_cache(requests, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = json.loads(requests.read_text().splitlines()[0]) | {"skills": [{"name": "mine.safetensors"}]}
    requests.write_text(json.dumps(row))
    (source,) = read_requests(requests)
    skill, names = tmp_path / "mine.safetensors", []
    for content in (b"first", b"second", b"first"):
        skill.write_bytes(content)
        (unit,) = units_of(source)
        names.append(unit.name)
    (cached,) = units_of(source, step_cache="magcache")
    assert names[0] == names[2] != names[1] and cached.name not in names


def test_batch_killed_at_any_moment_loses_nothing_and_makes_nothing_twice(requests, tmp_path):
    command = [sys.executable, "-m", "triptych.cli.main", "batch", str(requests), "--out", str(tmp_path / "made")]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not list((tmp_path / "made").glob("*.png")) and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    there = _made(tmp_path / "made")

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert {Path(line).name for line in done.stdout.split()}.isdisjoint(there)
    made = _made(tmp_path / "made")
    assert len(made) == 6 and there.items() <= made.items()
    assert all(Image.open(path).load() for path in (tmp_path / "made").glob("*.png"))


def test_batch_of_a_page_set_makes_its_slots(triptych, pocket_file, tmp_path):
    picture = Image.new("RGB", (48, 48), "green")
    pages = [Page(panels=(condition(picture), slot("a", answer=picture)), page_id=f"p{n}") for n in range(2)]
    save_pageset(pages, tmp_path / "set")

    common = ("--backbone", pocket_file, "--steps", 1, "--seed", 5, "--no-inputs")
    result = triptych("batch", tmp_path / "set", "--out", tmp_path / "made", *common)

    assert result.exit_code == 0, result.output
    assert len(_made(tmp_path / "made")) == 2 and not (tmp_path / "made" / "inputs").exists()
    assert {row["seed"] for row in _index(tmp_path / "made")} == {5}


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b"])
def test_batch_with_a_wrong_shard_is_refused(triptych, requests, tmp_path, shard):
    result = triptych("batch", requests, "--out", tmp_path / "made", "--shard", shard)
    assert result.exit_code == 2 and "--shard" in result.stderr


def test_batch_of_a_file_outside_its_folder_is_refused(triptych, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "in").mkdir()
    row = {"page": {"panels": [{"image": "../secret.png"}, {"instruction": "a"}]}}
    (tmp_path / "in" / "requests.jsonl").write_text(json.dumps(row))
    result = triptych("batch", tmp_path / "in" / "requests.jsonl", "--out", tmp_path / "made")
    assert result.exit_code == 2 and "leaves the folder" in result.stderr


def _script(name: str) -> tuple[str, dict[str, str]]:
    """What a scheduler runs, and what it sets for the second of two machines."""
    path = ROOT / "docs" / "batch" / name
    match name:
        case "slurm.sh":
            return path.read_text(), {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "2"}
        case "skypilot.yaml":
            return yaml.safe_load(path.read_text())["run"], {"SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": "2"}
        case _:
            commands = [line for line in yaml.safe_load(path.read_text())["commands"] if line.startswith("triptych")]
            return "\n".join(commands), {"DSTACK_NODE_RANK": "1", "DSTACK_NODES_NUM": "2"}


@pytest.mark.parametrize("name", ["slurm.sh", "skypilot.yaml", "dstack.yaml"])
def test_example_file_of_a_scheduler_makes_its_shard(requests, tmp_path, name):
    text, variables = _script(name)
    stub = tmp_path / "bin" / "triptych"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\nexec {sys.executable} -m triptych.cli.main "$@"\n')
    stub.chmod(0o755)
    places = {"REQUESTS": str(requests), "OUT": str(tmp_path / "made"), "PATH": f"{stub.parent}:{os.environ['PATH']}"}

    done = subprocess.run(
        ["bash", "-c", text], env=os.environ | variables | places, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert len(_made(tmp_path / "made")) == 3
    assert (tmp_path / "made" / "index-2-of-2.jsonl").is_file()
