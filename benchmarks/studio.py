"""How long the studio takes: cold start, keystroke to picture, and what the server adds to `engine.generate`.

    python benchmarks/studio.py [--rounds 20] [--out docs/studio/latency.md]

The same page (one condition, one slot) is made by the engine in this process, by a live job over HTTP until its picture
is shown and until it is in the gallery, and by the OpenAI client. Medians, with the 90th percentile in brackets.
"""

import argparse
import base64
import io
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
from PIL import Image

import triptych as tt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    picture = Image.effect_noise((128, 128), 60).convert("RGB")
    rows = [("engine.generate, in this process", _direct(picture, options.rounds))]
    with tempfile.TemporaryDirectory() as data:
        began = time.perf_counter()
        server, url = _start(data)
        try:
            cold = time.perf_counter() - began
            with httpx.Client(base_url=url, headers={"X-Triptych": "1"}, timeout=600) as client:
                while client.get("/api/health").json()["worker"] != "ready":
                    time.sleep(0.02)
                ready = time.perf_counter() - began
                shown, kept = _live(client, url, picture, options.rounds)
            rows += [("live job: shown", shown), ("live job: in the gallery", kept)]
            rows.append(("the OpenAI client, picture in hand", _openai(url, picture, options.rounds)))
        finally:
            server.terminate()
            server.wait(30)
    text = _table(rows, cold, ready)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)


def _direct(picture: Image.Image, rounds: int) -> list[float]:
    engine = tt.Engine(tt.load("pocket"))
    times = []
    for number in range(rounds + 1):
        page = tt.Page(panels=(tt.condition(picture, role=tt.Role.EDIT), tt.slot(f"word {number}")))
        began = time.perf_counter()
        engine.generate(tt.Request(page=page, seed=number))
        times.append(time.perf_counter() - began)
    return times[1:]


def _start(data: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "triptych.cli.main", "studio", "--no-browser", "--port", "0", "--data", data]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1, env=_unbuffered())
    assert server.stdout is not None
    line = server.stdout.readline()
    return server, line.split(" at ")[1].split()[0].rstrip("/")


def _unbuffered() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def _live(client: httpx.Client, url: str, picture: Image.Image, rounds: int) -> tuple[list[float], list[float]]:
    file = client.post("/api/files", content=_png(picture)).json()["id"]
    seen: dict[tuple[str, str], float] = {}
    heard = threading.Condition()

    def listen() -> None:
        with httpx.stream("GET", f"{url}/api/events", timeout=600) as stream:
            event = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: ") and event in ("preview", "picture"):
                    with heard:
                        seen.setdefault((event, json.loads(line[6:])["job"]), time.perf_counter())
                        heard.notify_all()

    threading.Thread(target=listen, daemon=True).start()
    time.sleep(0.5)
    shown, kept, before = [], [], None
    for number in range(rounds + 1):
        panels = [{"role": "edit", "image": f"file:{file}"}, {"role": "slot", "instruction": f"word {number}"}]
        body = {"request": {"page": {"panels": panels}, "seed": number}}
        began = time.perf_counter()
        job = {"kind": "generate", "lane": "live", "replaces": before, "body": body}
        before = client.post("/api/jobs", json=job).json()["id"]
        with heard:
            while ("picture", before) not in seen:
                heard.wait(60)
        shown.append(seen["preview", before] - began)
        kept.append(seen["picture", before] - began)
    return shown[1:], kept[1:]


def _openai(url: str, picture: Image.Image, rounds: int) -> list[float]:
    import openai

    times = []
    page = {"role": "edit", "image": "data:image/png;base64," + base64.b64encode(_png(picture)).decode()}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=600) as client:
        for number in range(rounds + 1):
            panels = [page, {"role": "slot", "instruction": f"word {number}"}]
            began = time.perf_counter()
            client.images.generate(prompt="", extra_body={"page": {"panels": panels}, "seed": number})
            times.append(time.perf_counter() - began)
    return times[1:]


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _table(rows: list[tuple[str, list[float]]], cold: float, ready: float) -> str:
    lines = [
        f"Pocket, one condition and one slot, {platform.machine()}, {len(rows[0][1])} rounds each:",
        "",
        "| what | ms, median (90 %) |",
        "|---|---|",
    ]
    for name, times in rows:
        high = sorted(times)[int(0.9 * (len(times) - 1))]
        lines.append(f"| {name} | {1000 * statistics.median(times):.0f} ({1000 * high:.0f}) |")
    added = statistics.median(rows[1][1]) - statistics.median(rows[0][1])
    lines += [f"| the server adds, until the picture is shown | {1000 * added:.0f} |"]
    lines += [
        f"| cold start: the server answers | {1000 * cold:.0f} |",
        f"| cold start: models ready | {1000 * ready:.0f} |",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
