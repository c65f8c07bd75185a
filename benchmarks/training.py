"""Time of a training step and held-out loss: ours, against the same training on the full canvas without caches.

    PYTHONPATH=src python benchmarks/training.py PAGESET [--steps 40] [--backbone pocket]

Both train the same adapter, on the same weights and pages, with the same number of noise draws a step. Ours reads
the conditions once (`pocket-fast`); the other paints every page on one canvas, noises all of it, encodes pictures
and words anew for each draw, and has all tokens in every pass. The last pages of the set are held out.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch

import triptych as tt
from triptych.data.pagesets import load_pageset
from triptych.models.adapters import AdapterSpec, ejecting, inject, linear_names, unheard_by_conditions
from triptych.models.backbone import Backbone, Conditioning
from triptych.page import Page
from triptych.training.cache import PageCache
from triptych.training.objective import draw_item, group_items, group_losses
from triptych.training.optimizers import make_optimizer, rate_share, set_rate
from triptych.training.prepare import Prepared, Setting, prepare_page
from triptych.training.recipe import Recipe, load_recipe
from triptych.training.running import arithmetic
from triptych.training.variants import item_seed


def _train(
    backbone: Backbone,
    pages: list[Page],
    held_out: list[Page],
    recipe: Recipe,
    read: Callable[[Page], Prepared],
    *,
    repeats: int,
) -> dict[str, float]:
    """Median seconds of a step by the clock and by the processor, and the held-out loss after all steps."""
    transformer = backbone.transformer
    spec = AdapterSpec(rank=recipe.adapter.rank, alpha=recipe.adapter.alpha)
    with ExitStack() as stack:
        names = linear_names(transformer, recipe.adapter.targets)
        stack.enter_context(ejecting(transformer))
        parameters = inject(transformer, names, spec, seed=recipe.seed)
        if recipe.frozen_conditions:
            stack.enter_context(unheard_by_conditions(backbone))
        optimizer = make_optimizer(parameters, recipe.optimizer)
        times: list[tuple[float, float]] = []
        for step in range(recipe.steps):
            began, worked = time.perf_counter(), time.process_time()
            batch = [pages[(step * recipe.batch + number) % len(pages)] for number in range(recipe.batch)]
            items = [
                draw_item(read(page), draws=recipe.draws, levels=recipe.levels, seed=item_seed(step, number, again))
                for number, page in enumerate(batch)
                for again in range(repeats)
            ]
            optimizer.zero_grad()
            for group in group_items(backbone, items):
                with arithmetic(backbone.device, recipe.precision):
                    losses = group_losses(backbone, group, space=recipe.loss)
                (losses.sum() / len(items)).backward()
            torch.nn.utils.clip_grad_norm_(list(parameters.values()), recipe.optimizer.clip)
            set_rate(optimizer, recipe.optimizer.learning_rate * rate_share(step, recipe.steps, recipe.optimizer))
            optimizer.step()
            times.append((time.perf_counter() - began, time.process_time() - worked))
        with torch.no_grad(), arithmetic(backbone.device, recipe.precision):
            items = [
                draw_item(read(page), draws=16, levels=recipe.levels, seed=item_seed("held out", number))
                for number, page in enumerate(held_out)
            ]
            losses = [group_losses(backbone, group, space=recipe.loss) for group in group_items(backbone, items)]
    # The first steps fill caches and choose kernels.
    clock, processor = (statistics.median(column) for column in zip(*times[2:], strict=True))
    return {"seconds": clock, "processor_seconds": processor, "held_out_loss": float(torch.cat(losses).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pageset", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=4)
    parser.add_argument("--backbone", default="pocket")
    asked = parser.parse_args()
    pages = list(load_pageset(asked.pageset))
    pages, held_out = pages[: -asked.held_out], pages[-asked.held_out :]
    backbone = tt.load(asked.backbone)
    fast = load_recipe("pocket-fast", {"steps": asked.steps, "variety.shots": [0]})
    canvas = load_recipe("pocket", {"steps": asked.steps, "variety.shots": [0], "draws": 1, "conditioning": "repaint"})
    own = Setting(conditioning=Conditioning.REFERENCE, frozen_conditions=True)
    whole = Setting(conditioning=Conditioning.REPAINT, canvas_loss=True)
    measured = Setting(conditioning=Conditioning.REPAINT)

    def from_canvas(page: Page) -> Prepared:
        backbone.shared.forget()
        # Trained on the whole canvas, measured on the slots: only the latter can be compared with ours.
        return prepare_page(backbone, page, measured if page in held_out else whole)

    with tempfile.TemporaryDirectory() as folder:
        cache = PageCache(backbone, Path(folder))
        ours = _train(backbone, pages, held_out, fast, lambda page: cache.get(page, own), repeats=1)
    theirs = _train(backbone, pages, held_out, canvas, from_canvas, repeats=fast.draws)
    shape = {"conditions": len(pages[0].conditions), "slots": len(pages[0].slots)}
    faster = {key: round(theirs[key] / ours[key], 2) for key in ("seconds", "processor_seconds")}
    print(json.dumps(shape | {"ours": ours, "full canvas": theirs, "times faster": faster}, indent=2))


if __name__ == "__main__":
    main()
