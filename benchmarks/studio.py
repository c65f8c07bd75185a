"""How long the studio takes: cold start, keystroke to picture, what the server adds to `engine.generate`, the gallery.

    python benchmarks/studio.py [--rounds 20] [--pictures 10000] [--no-browser] [--out docs/studio/latency.md]

The same page (one condition, one slot) is made in turns by the engine in this process, by a live job over HTTP, and by
the OpenAI client. In front of it, unless `--no-browser`, Chromium works the page: see `studio_page.py`. Medians, with
the 90th percentile in brackets; the machine's load stands in the table.
"""

import argparse
import base64
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import openai
from PIL import Image
from studio_page import page_table

import triptych as tt
from triptych.files import write_atomic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=10_000, help="in the gallery")
    parser.add_argument("--no-browser", action="store_true", help="measure the server alone")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = server_table(options.rounds)
    print(text)
    if not options.no_browser:
        front = page_table(options.rounds, options.pictures)
        print(front)
        text += "\n" + front
    if options.out:
        write_atomic(options.out, text.encode())


def server_table(rounds: int) -> str:
    """The server beside the engine alone."""
    picture = Image.effect_noise((128, 128), 60).convert("RGB")
    engine = tt.Engine(tt.load("pocket"))
    with tempfile.TemporaryDirectory() as data:
        began = time.perf_counter()
        server, url = _start(data)
        try:
            cold = time.perf_counter() - began
            with httpx.Client(base_url=url, headers={"X-Triptych": "1"}, timeout=600) as client:
                while client.get("/api/health").json()["worker"] != "ready":
                    time.sleep(0.02)
                ready = time.perf_counter() - began
                times = _rounds(rounds, engine, client, url, picture)
        finally:
            server.terminate()
            server.wait(30)
    return _table(times, cold, ready)


def _rounds(
    rounds: int, engine: tt.Engine, client: httpx.Client, url: str, picture: Image.Image
) -> dict[str, list[float]]:
    """Seconds of each way in turns, so that all of them meet the same machine; the first three rounds warm it up."""
    live = _Live(client, url, picture)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=600) as api:
        ways: dict[str, Callable[[int], None]] = {
            "engine.generate, in this process": lambda number: _direct(engine, picture, number),
            "live job over HTTP, until the picture is shown": live.show,
            "the OpenAI client, until it has the picture": lambda number: _openai(api, picture, number),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 3):
            for name, way in ways.items():
                began = time.perf_counter()
                way(number)
                times[name].append(time.perf_counter() - began)
                live.settle()
    return {name: those[3:] for name, those in times.items()}


def _direct(engine: tt.Engine, picture: Image.Image, number: int) -> None:
    page = tt.Page(panels=(tt.condition(picture, role=tt.Role.EDIT), tt.slot(f"word {number}")))
    engine.generate(tt.Request(page=page, seed=number))


def _start(data: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "triptych.cli.main", "studio", "--no-browser", "--port", "0", "--data", data]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, bufsize=1, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    return server, line.split(" at ")[1].split()[0].rstrip("/")


class _Live:
    """A page that is typed at: each request replaces the one before."""

    def __init__(self, client: httpx.Client, url: str, picture: Image.Image) -> None:
        self._client, self._url = client, url
        self._file = client.post("/api/files", content=_png(picture)).json()["id"]
        self._seen: set[tuple[str, str]] = set()
        self._heard = threading.Condition()
        self._before: str | None = None
        threading.Thread(target=self._listen, daemon=True).start()
        time.sleep(0.5)

    def show(self, number: int) -> None:
        """Send a page, and wait until its picture is told."""
        panels = [{"role": "edit", "image": f"file:{self._file}"}, {"role": "slot", "instruction": f"word {number}"}]
        body = {"request": {"page": {"panels": panels}, "seed": number}}
        job = {"kind": "generate", "lane": "live", "replaces": self._before, "body": body}
        self._before = self._client.post("/api/jobs", json=job).json()["id"]
        self._wait("preview")

    def settle(self) -> None:
        """Wait until the last picture is in the gallery, and the worker rests."""
        if self._before is not None:
            self._wait("picture")
        time.sleep(0.2)

    def _wait(self, event: str) -> None:
        with self._heard:
            while (event, self._before) not in self._seen:
                assert self._heard.wait(60), f"no {event} of {self._before}"

    def _listen(self) -> None:
        with httpx.stream("GET", f"{self._url}/api/events", timeout=600) as stream:
            event = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: ") and event in ("preview", "picture"):
                    with self._heard:
                        self._seen.add((event, json.loads(line[6:])["job"]))
                        self._heard.notify_all()


def _openai(client: openai.OpenAI, picture: Image.Image, number: int) -> None:
    image = "data:image/png;base64," + base64.b64encode(_png(picture)).decode()
    panels = [{"role": "edit", "image": image}, {"role": "slot", "instruction": f"word {number}"}]
    client.images.generate(prompt="", extra_body={"page": {"panels": panels}, "seed": number})


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _table(times: dict[str, list[float]], cold: float, ready: float) -> str:
    (_, direct), (_, shown), (_, openai_) = times.items()
    rows = {
        **times,
        "the server adds to the engine": [b - a for a, b in zip(direct, shown, strict=True)],
        "the OpenAI client adds to the engine": [b - a for a, b in zip(direct, openai_, strict=True)],
    }
    head = f"Pocket, one condition and one slot, {platform.machine()}, {os.cpu_count()} cores with a load of "
    lines = [
        f"{head}{os.getloadavg()[0]:.1f}, {len(direct)} rounds in turns:",
        "",
        "| what | ms, median (90 %) |",
        "|---|---|",
    ]
    for name, those in rows.items():
        high = sorted(those)[int(0.9 * (len(those) - 1))]
        lines.append(f"| {name} | {1000 * statistics.median(those):.0f} ({1000 * high:.0f}) |")
    lines += [
        f"| cold start: the server answers | {1000 * cold:.0f} |",
        f"| cold start: models ready | {1000 * ready:.0f} |",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
