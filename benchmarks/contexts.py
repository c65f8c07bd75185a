"""What a request costs whose examples were read before: the first and the second request of one context.

    PYTHONPATH=src python benchmarks/contexts.py [--docs docs/pocket/contexts.md]

The released pocket, k example pages of two panels each in front of a page of one condition and one slot. The second
request has another seed and other words. CPU seconds, the best of several runs, each with nothing kept at its start;
the second request's picture is compared with one made without anything kept.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from triptych.files import write_atomic
from triptych.models.pocket import PocketBackbone, load_pocket
from triptych.page import Page, Role, condition, slot
from triptych.sampling import Engine, Request, Result

PAGE = """# Contexts kept between requests

Seconds of CPU for a request on the pocket with k example pages in front ({threads} threads, best of {repeats}): the
first reads the examples, the second, with another seed and other words, finds them read. The pictures are those that
are made without anything kept. Made by `benchmarks/contexts.py`. Back to [the card](../pocket.md).
"""
SHOTS = (1, 2, 4, 8, 16)


def _picture(random: np.random.Generator) -> Image.Image:
    return Image.fromarray(random.integers(0, 256, (128, 128, 3), dtype=np.uint8))


def _request(shots: int, *, seed: int, words: str) -> Request:
    random = np.random.default_rng(shots)
    examples = [
        Page(panels=(condition(_picture(random), role=Role.EDIT), slot(answer=_picture(random)))) for _ in range(shots)
    ]
    page = Page(panels=(condition(_picture(random), role=Role.EDIT), slot(words))).with_context(*examples)
    return Request(page=page, seed=seed)


def _timed(engine: Engine, request: Request) -> tuple[float, Result]:
    began = time.process_time()
    (result,) = engine.generate(request)
    return time.process_time() - began, result


def measure(backbone: PocketBackbone, shots: int, repeats: int) -> tuple[float, float, int]:
    """Best CPU seconds of the first and of the second request, and the tokens that the second found read."""
    engine = Engine(backbone)
    one, two = _request(shots, seed=1, words="the same again"), _request(shots, seed=2, words="another one")
    backbone.shared.forget()
    _, alone = _timed(engine, two)
    firsts, seconds, cached = [], [], 0
    for _ in range(repeats):
        backbone.shared.forget()
        firsts.append(_timed(engine, one)[0])
        second, result = _timed(engine, two)
        seconds.append(second)
        cached = result.cached_tokens
        assert result.images[0].tobytes() == alone.images[0].tobytes(), "a kept context changed the picture"
        assert cached == result.read_tokens, "the context was not found"
    return min(firsts), min(seconds), cached


def main() -> None:
    """Print a line for each number of examples, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--docs", type=Path, help="the page to write")
    arguments = parser.parse_args()
    backbone = load_pocket()
    lines = ["| examples | first request, s | second, s | second / first | cached tokens |", "|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    for shots in SHOTS:
        first, second, cached = measure(backbone, shots, arguments.repeats)
        lines.append(f"| {shots} | {first:.3f} | {second:.3f} | {second / first:.2f} | {cached} |")
        print(lines[-1], flush=True)
    if arguments.docs:
        text = PAGE.format(threads=torch.get_num_threads(), repeats=arguments.repeats)
        write_atomic(arguments.docs, f"{text}\n{chr(10).join(lines)}\n".encode())


if __name__ == "__main__":
    main()
