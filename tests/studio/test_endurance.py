"""What the studio survives: kills at any moment, and hundreds of jobs in a row."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from studio_pictures import png
from studio_ports import free_port

_VARIANTS = 2


class Real:
    """`triptych studio` as a process of its own, started anew on the same folder and port."""

    def __init__(self, data: Path) -> None:
        port = free_port()
        self._log = data.parent / "log"
        self._command = [sys.executable, "-m", "triptych.cli.main", "studio", "--no-browser"]
        self._command += ["--port", str(port), "--data", str(data)]
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"X-Triptych": "1"}, timeout=60, transport=_patient()
        )
        self.start()

    def start(self) -> None:
        with self._log.open("a") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + 120
        while time.monotonic() < until and self.process.poll() is None:
            try:
                self.client.get("/api/health").raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"the studio does not answer: {self._log.read_text()[-2000:]}")

    def worker(self) -> int | None:
        """The worker's process; None while there is none."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                    return int(folder.name)
            except (OSError, ValueError):
                continue
        return None

    def states(self, jobs: list[str]) -> list[str]:
        return [self.client.get(f"/api/jobs/{job}").json()["state"] for job in jobs]

    def done(self, jobs: list[str]) -> int:
        """How many of the jobs are done."""
        return self.states(jobs).count("done")

    def wait(self, jobs: list[str], count: int) -> None:
        """Until so many of the jobs are done; ten minutes at most for the next of them."""
        reached, until = 0, time.monotonic() + 600
        while (now := self.done(jobs)) < count:
            if now > reached:
                reached, until = now, time.monotonic() + 600
            assert time.monotonic() < until, self.states(jobs)
            time.sleep(0.2)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.client.close()


def _patient() -> httpx.HTTPTransport:
    return httpx.HTTPTransport(retries=3)


@pytest.fixture
def real(tmp_path):
    studio = Real(tmp_path / "data")
    yield studio
    studio.end()


def _body(client: httpx.Client, seed: int, **more: object) -> dict[str, object]:
    file = client.post("/api/files", content=png((64, 64), "red")).raise_for_status().json()["id"]
    panels = [{"role": "edit", "image": f"file:{file}"}, {"role": "slot", "instruction": "the same in blue"}]
    return {"request": {"page": {"panels": panels}, "seed": seed, "number": _VARIANTS, **more}}


def _add(client: httpx.Client, seed: int) -> str:
    answer = client.post("/api/jobs", json={"kind": "generate", "body": _body(client, seed)})
    return answer.raise_for_status().json()["id"]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [6, 50])
def test_killed_workers_and_servers_lose_no_job_and_do_none_twice(real, kills):
    jobs = [_add(real.client, seed) for seed in range(2 * kills + 4)]
    for kill in range(kills):
        # At least one job ends between two kills: one that kills three workers is given up, as it should be.
        real.wait(jobs, min(len(jobs), real.done(jobs) + 1))
        time.sleep(random.random() * 0.3)
        if kill % 2 and (worker := real.worker()) is not None:
            os.kill(worker, signal.SIGKILL)
        else:
            real.process.kill()
            real.process.wait()
            real.start()
    real.wait(jobs, len(jobs))
    made = real.client.get("/api/pictures?limit=200").json()
    assert made["total"] == _VARIANTS * len(jobs)
    for job in jobs:
        assert len(real.client.get(f"/api/jobs/{job}").json()["results"]) == _VARIANTS


@pytest.mark.slow
def test_three_hundred_jobs_in_a_row_leave_memory_and_open_files_flat(real):
    def run(seeds: range) -> None:
        jobs = [_add(real.client, seed) for seed in seeds]
        real.wait(jobs, len(jobs))

    run(range(100))
    before = _held(real)
    for start in range(100, 400, 100):
        run(range(start, start + 100))
    after = _held(real)
    for (memory, files), (more_memory, more_files) in zip(before, after, strict=True):
        assert more_memory < memory + 48 * 2**20, (before, after)
        assert more_files <= files + 4, (before, after)


def _held(real: Real) -> list[tuple[int, int]]:
    """Resident bytes and open files of the server and its worker."""
    worker = real.worker()
    assert worker is not None
    held = []
    for process in (real.process.pid, worker):
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        held.append((pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{process}/fd").iterdir()))))
    print([(f"{memory / 2**20:.0f} MiB", files) for memory, files in held])
    return held
