"""What a page of the pocket costs from the command line, and how torch's threads should wait.

    python benchmarks/start.py --out docs/pocket/start.md

Prints the processor time of a whole `triptych generate` beside that of `import torch` alone, and the time of a page
within one process under both of OpenMP's ways of waiting, with the machine idle and beside two processes that never
rest. Runs alternate; the least of each is taken.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from triptych.files import write_atomic

_REPEATS = 3
_POLICIES = ("passive", "active")
_BUSY = "while True: pass"
_PAGES = """
import json, time
import torch, triptych as tt
from PIL import Image
backbone = tt.load()
page = tt.Page(panels=(tt.condition(Image.new("RGB", (128, 128), "red"), "a fox"), tt.slot("mirror it")))
tt.generate(backbone, page, seed=0)
costs = []
for seed in range(1, 9):
    wall, cpu = time.perf_counter(), time.process_time()
    tt.generate(backbone, page, seed=seed)
    costs.append((time.perf_counter() - wall, time.process_time() - cpu))
print(json.dumps(sorted(costs)[len(costs) // 2]))
"""


def _cpu_s(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _starts() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "`import torch`": [sys.executable, "-c", "import torch"],
            "`tt.load()`": [sys.executable, "-c", "import triptych as tt; tt.load()"],
            '`triptych generate --slot "a red fox"`': [
                *(sys.executable, "-m", "triptych.cli.main", "generate"),
                *("--slot", "a red fox", "--out"),
            ],
        }
        least = dict.fromkeys(commands, float("inf"))
        for repeat in range(_REPEATS):
            for name, command in commands.items():
                # Every run writes into a folder of its own: nothing is written over.
                whole = [*command, f"{folder}/{repeat}"] if command[-1] == "--out" else command
                least[name] = min(least[name], _cpu_s(whole))
    return least


@contextmanager
def _beside(count: int) -> Iterator[None]:
    others = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _page(policy: str) -> tuple[float, float]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-c", _PAGES],
        env=environment | {"OMP_WAIT_POLICY": policy},
        check=True,
        capture_output=True,
        text=True,
    )
    wall, cpu = json.loads(done.stdout)
    return wall, cpu


def _pages() -> dict[tuple[int, str], tuple[float, float]]:
    least: dict[tuple[int, str], tuple[float, float]] = {}
    for others in (0, 2):
        with _beside(others):
            for _ in range(_REPEATS):
                for policy in _POLICIES:
                    cost = _page(policy)
                    least[others, policy] = min(cost, least.get((others, policy), cost))
    return least


def _document() -> str:
    import torch

    starts, pages = _starts(), _pages()
    torch_s = starts["`import torch`"]
    rows = "\n".join(f"| {name} | {cpu:.2f} | {cpu / torch_s:.2f} |" for name, cpu in starts.items())
    waits = "\n".join(
        f"| {('nothing', 'two busy processes')[others > 0]} | {policy} | {1000 * wall:.0f} | {1000 * cpu:.0f} |"
        for (others, policy), (wall, cpu) in pages.items()
    )
    return f"""# Start and threads of the pocket

`python benchmarks/start.py --out docs/pocket/start.md` on {os.cpu_count()} cores, torch {torch.__version__},
{time.strftime("%Y-%m-%d")}; the least of {_REPEATS} runs each, which alternate. Where a machine does other work
meanwhile, only the proportions mean something.

## Start

Processor time of a whole process. A family's code, and with it diffusers and transformers, is imported when one of its
checkpoints is loaded; the pocket needs none of them.

| process | s | of `import torch` |
|---|---|---|
{rows}

## Threads

One page of the pocket with one condition and one slot, after the first of its process. `import triptych` sets
`OMP_WAIT_POLICY=passive` unless you have set it: threads that have nothing to do sleep instead of spinning. It counts
only where torch is imported after triptych; set it yourself where that cannot be arranged.

| beside | OMP_WAIT_POLICY | wall ms | processor ms |
|---|---|---|---|
{waits}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    document = _document()
    print(document)
    if out is not None:
        write_atomic(out, document.encode())


if __name__ == "__main__":
    main()
