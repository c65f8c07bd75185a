"""A batch on a Ray cluster: the results of one process, whatever becomes of a worker."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from triptych.cli.on_ray import Job, Tries, Worker
from triptych.sampling.inputs import Keep
from triptych.sampling.units import read_requests, units_of

WORDS = [f"number {number}" for number in range(20)]


@pytest.fixture
def requests(tmp_path: Path, pocket_file: Path) -> Path:
    """Twenty results of a picture and a line that is no request."""
    Image.new("RGB", (48, 48), "red").save(tmp_path / "red.png")
    pages = [{"panels": [{"image": "red.png"}, {"instruction": words}]} for words in WORDS]
    rows = [{"page": page, "backbone": str(pocket_file), "steps": 1} for page in pages]
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _pixels(folder: Path) -> dict[str, bytes]:
    return {path.name: Image.open(path).tobytes() for path in folder.glob("*.png")}


def _workers(of: psutil.Process) -> Iterator[psutil.Process]:
    for process in of.children(recursive=True):
        try:
            if any(part.startswith("ray::MapWorker") for part in process.cmdline()):
                yield process
        except psutil.Error:
            continue


def test_batch_on_ray_with_a_worker_killed_has_the_pictures_of_one_process(triptych, requests, tmp_path):
    pytest.importorskip("ray")
    assert triptych("batch", requests, "--out", tmp_path / "alone").exit_code == 0
    requests.write_text(requests.read_text() + "not json\n")
    made = tmp_path / "made"
    command = [sys.executable, "-m", "triptych.cli.main", "batch", str(requests), "--out", str(made)]
    command += ["--ray", "local", "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        # Two work by turns on three batches: whoever wrote the first picture has more to do, or the other has.
        while not list(made.glob("*.png")) and run.poll() is None:
            time.sleep(0.01)
        killed = list(_workers(psutil.Process(run.pid))) if run.poll() is None else []
        for worker in killed[:1]:
            worker.kill()
        out, said = run.communicate()

    assert killed, said
    assert run.returncode == 1 and "2 workers of Ray" in said, said
    assert "line 21" in said and "1 failed" in said, said
    assert _pixels(made) == _pixels(tmp_path / "alone") and len(_pixels(made)) == len(WORDS)
    assert sorted(Path(line).name for line in out.split()) == sorted(_pixels(made))
    again = triptych("batch", requests, "--out", made, "--ray", "local")
    assert again.exit_code == 1 and "20 already made" in again.stderr and not again.stdout


def test_batch_on_ray_names_a_cluster_that_is_not_there(triptych, requests, tmp_path):
    pytest.importorskip("ray")
    result = triptych("batch", requests, "--out", tmp_path / "made", "--ray", "nonsense://1")
    assert result.exit_code == 2
    assert "no Ray cluster was joined at 'nonsense://1'" in result.stderr


def test_batch_refuses_workers_without_ray(triptych, requests, tmp_path):
    result = triptych("batch", requests, "--out", tmp_path / "made", "--workers", "2")
    assert result.exit_code == 2 and "--ray" in result.stderr


def test_worker_gives_up_the_unit_that_costs_workers_and_makes_the_others(requests, tmp_path):
    units = [unit for source in read_requests(requests)[:4] for unit in units_of(source)]
    out, tries = tmp_path / "made", Tries()
    out.mkdir()
    job = Job(units=units, out=out, keep=Keep.NOWHERE, options=None, folder=Path.cwd())
    # As they stand when a worker was lost over all four, and two more over the second, after the first was made.
    tries.begin([0, 1, 2, 3])
    tries.begin([1])
    tries.begin([1])

    rows = Worker(job, tries.begin)({"item": np.arange(4)})

    assert [bool(failure) for failure in rows["failure"]] == [False, True, False, False]
    assert "lost 3 times" in rows["failure"][1] and not any(rows["hopeless"])
    assert [unit.is_made(out) for unit in units] == [True, False, True, True]
    (out / units[0].files[0]).write_bytes(b"kept")
    Worker(job, Tries().begin)({"item": np.arange(1)})
    assert (out / units[0].files[0]).read_bytes() == b"kept"


def test_worker_says_where_a_backbone_is_missing(requests, tmp_path):
    text = requests.read_text().splitlines()[0]
    requests.write_text(json.dumps(json.loads(text) | {"backbone": "nowhere.safetensors"}))
    units = [unit for source in read_requests(requests) for unit in units_of(source)]
    job = Job(units=units, out=tmp_path, keep=Keep.NOWHERE, options=None, folder=Path.cwd())

    rows = Worker(job, Tries().begin)({"item": np.arange(1)})

    assert rows["hopeless"] == [True] and "nowhere.safetensors" in rows["failure"][0]
    lost = Job(units=units, out=tmp_path / "not shared", keep=Keep.NOWHERE, options=None, folder=Path.cwd())
    (failure,) = Worker(lost, Tries().begin)({"item": np.arange(1)})["failure"]
    assert "not shared is not there. Share it" in failure
