"""What step caches and cached conditions cost in truth and save in time, beside the exact run of the same page.

    PYTHONPATH=src:tests python benchmarks/peers_approximations.py [--page docs/backbones/approximations.md]

prints a Markdown table, and with --page writes it into that page of the docs. The error is the root mean square
difference of the pictures over the deviation of the exact ones; the time is CPU seconds of the steps over those of
the exact run, on one thread.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import TaylorSeerCacheConfig
from peers_families import HEADS, make_qwen, widened
from peers_measuring import machine, write_page

from tiny_models import flux1, klein, picture
from triptych.models.backbone import Backbone, Conditioning
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux1.kontext import Kontext
from triptych.models.flux2.backbone import Flux2, References
from triptych.models.options import LoadOptions, StepCache
from triptych.models.placing import enable_step_cache
from triptych.models.pocket import load_pocket
from triptych.page import Page, condition, slot
from triptych.sampling import generate

SIDE_PX = 128
Make = Callable[[], Backbone]
MAKERS: dict[str, tuple[str, Make]] = {
    "FLUX.1 (repaint)": ("flux1", lambda: widened(flux1(Flux1))),
    "Kontext": ("kontext", lambda: widened(flux1(Kontext, Conditioning.REFERENCE))),
    "Qwen-Image-Edit": ("qwen", make_qwen),
    "FLUX.2 klein": ("flux2", lambda: klein(heads=HEADS, single_blocks=6)),
}
CACHES: tuple[tuple[str, StepCache, float], ...] = (
    ("FLUX.1 (repaint)", StepCache.FIRST_BLOCK, 0.05),
    ("FLUX.1 (repaint)", StepCache.FIRST_BLOCK, 0.2),
    ("FLUX.1 (repaint)", StepCache.MAGCACHE, 0.05),
    ("FLUX.1 (repaint)", StepCache.MAGCACHE, 0.2),
    ("FLUX.1 (repaint)", StepCache.TAYLORSEER, 0.05),
    ("Kontext", StepCache.FIRST_BLOCK, 0.2),
    ("Kontext", StepCache.MAGCACHE, 0.2),
    ("Kontext", StepCache.TAYLORSEER, 0.05),
    ("Qwen-Image-Edit", StepCache.FIRST_BLOCK, 0.2),
    ("Qwen-Image-Edit", StepCache.TAYLORSEER, 0.05),
    ("FLUX.2 klein", StepCache.TAYLORSEER, 0.05),
)


def page() -> Page:
    return Page(panels=(condition(picture(1, 64, 64), "a fox"), slot("on the beach", size_px=(64, 64))))


def made(backbone: Backbone, asked: Page, steps: int, **settings: Any) -> tuple[np.ndarray, float]:
    """The picture and the CPU seconds from the first step's end to the last's."""
    ticks: list[float] = []
    result = generate(backbone, asked, steps=steps, on_step=lambda _: ticks.append(time.process_time()), **settings)
    return np.asarray(result.images[0], dtype=np.float64), sum(after - before for before, after in pairwise(ticks))


def row(weights: str, way: str, steps: int, exact: tuple[np.ndarray, float], near: tuple[np.ndarray, float]) -> str:
    error = np.sqrt(np.mean((near[0] - exact[0]) ** 2)) / exact[0].std()
    return f"| {weights} | {way} | {steps} | {100 * error:.1f}% | {near[1] / exact[1]:.2f} |"


def step_caches(steps: int) -> Iterator[str]:
    for name, cache, threshold in CACHES:
        family, make = MAKERS[name]
        exact, near = make(), make()
        for backbone in (exact, near):
            backbone.card = replace(backbone.card, family=family, steps=steps)
        # Of the pages that the options are for: the cache is planned for the card's own number of steps.
        enable_step_cache(near, LoadOptions(step_cache=cache, step_cache_threshold=threshold))
        told = "" if cache is StepCache.TAYLORSEER else f", threshold {threshold}"
        yield row(f"random: {name}", cache.value + told, steps, made(exact, page(), steps), made(near, page(), steps))


def cached_references(steps: int) -> Iterator[str]:
    for conditions in (1, 3):
        given = [condition(picture(number), "a fox") for number in range(conditions)]
        asked = Page(panels=(*given, slot("on the beach", size_px=(64, 64))))
        exact = klein(heads=HEADS, single_blocks=6)
        near: Flux2 = klein(References.ALONE, heads=HEADS, single_blocks=6)
        way = f"conditions cached, n = {conditions}"
        yield row("random: FLUX.2 klein", way, steps, made(exact, asked, steps), made(near, asked, steps))


def pocket(steps: int) -> Iterator[str]:
    """The shipped weights by repaint, where every step reads the whole canvas."""
    asked = Page(
        panels=(condition(picture(1, SIDE_PX, SIDE_PX), "a fox"), slot("the same, flat", size_px=(SIDE_PX, SIDE_PX)))
    )
    backbone = load_pocket(dtype=torch.float32)
    exact = made(backbone, asked, steps, conditioning=Conditioning.REPAINT)
    for interval in (2, 3, 5):
        backbone = load_pocket(dtype=torch.float32)
        transformer: Any = backbone.transformer
        transformer.enable_cache(TaylorSeerCacheConfig(disable_cache_before_step=3, cache_interval=interval))
        with transformer.cache_context("cond") if hasattr(transformer, "cache_context") else nullcontext():
            near = made(backbone, asked, steps, conditioning=Conditioning.REPAINT)
        yield row("pocket, as shipped", f"taylorseer, every {interval}. step exact", steps, exact, near)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--page", type=Path, help="a page of the docs with the marks of this script")
    asked = options.parse_args()
    torch.set_num_threads(1)
    lines = ["| weights | approximation | steps | error | time of the steps |", "|---|---|---|---|---|"]
    for rows in (step_caches(asked.steps), cached_references(4), pocket(asked.steps)):
        for line in rows:
            print(line, flush=True)
            lines.append(line)
    if asked.page:
        write_page(asked.page, Path(__file__).name, [f"On {machine()}; float32.", "", *lines])


if __name__ == "__main__":
    main()
