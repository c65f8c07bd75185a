"""What a Ray cluster of this machine alone makes of a batch, beside one process.

    PYTHONPATH=src python benchmarks/ray_batch.py --out DIR [--count 160] [--workers 2]

Runs `triptych batch` on the pocket both ways, each into a folder of its own. `whole` is the time of the command; `rate`
counts results a second between the first batch of files and the last, without the start of processes and the reading of
weights, which Ray does once a worker.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from triptych.files import write_atomic

_AT_ONCE = 8


def _requests(folder: Path, count: int, steps: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.radial_gradient("L").convert("RGB").resize((128, 128)).save(folder / "given.png")
    page = {"panels": [{"image": "given.png"}, {"instruction": "mirror it"}]}
    rows = [
        {"page": page, "steps": steps, "seed": 100 * number, "number": _AT_ONCE} for number in range(count // _AT_ONCE)
    ]
    path = folder / "requests.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def timed(requests: Path, made: Path, *options: str) -> dict[str, float]:
    """Seconds of the whole command, and results a second once it is going."""
    shutil.rmtree(made, ignore_errors=True)
    command = [sys.executable, "-m", "triptych.cli.main", "batch", str(requests), "--out", str(made), *options]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - began
    written = sorted(path.stat().st_mtime for path in made.glob("*.png"))
    rate = (len(written) - _AT_ONCE) / (written[-1] - written[_AT_ONCE - 1])
    return {"results": len(written), "whole": round(whole, 2), "rate": round(rate, 2)}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    requests = _requests(asked.out, asked.count, asked.steps)
    found = {"one process": timed(requests, asked.out / "alone")}
    name = f"ray, {asked.workers} workers"
    found[name] = timed(requests, asked.out / "ray", "--ray", "local", "--workers", str(asked.workers))
    write_atomic(asked.out / "figures.json", json.dumps(found | {"cores": os.cpu_count()}, indent=1).encode())
    print("| | results | whole, s | results a second |\n|---|---|---|---|")
    for name, row in found.items():
        print(f"| {name} | {row['results']:.0f} | {row['whole']:.1f} | {row['rate']:.1f} |")


if __name__ == "__main__":
    main()
