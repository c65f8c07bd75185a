"""Seconds a page and a step: ours against the stock FLUX.2 klein pipelines on the same small random weights.

Run `python benchmarks/peers.py`; prints a Markdown table. The weights are those of the oracle tests, made wider, so
that both sides are known to make the same picture. CPU seconds of one thread are counted, which other work on the
machine does not change. A stock pipeline fills one slot at a time, so m slots are m calls.

The floor is what the operations alone would give. Multiply-adds of a step, for S tokens of targets, R of references, L
of text, width d and B blocks, and W weights of linear layers that every token meets:

    uncached   (S + R + L) W + 2 B d (S + R + L)^2
    cached     (S + L) W     + 2 B d (S + L) (S + R + L)     in every step but the first
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import torch
from diffusers import Flux2KleinKVPipeline, Flux2KleinPipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from tiny_models import LAYERS, dynamic_scheduler, klein, picture
from triptych.models.flux2 import Flux2, References
from triptych.page import Page, condition, slot
from triptych.prompts import write_prompt
from triptych.sampling import generate
from triptych.sampling.encode import forget

SIDE_PX, TEXT = 64, 64
PEERS = {References.JOINT: Flux2KleinPipeline, References.ALONE: Flux2KleinKVPipeline}


def page_of(conditions: int, slots: int) -> Page:
    given = [condition(picture(number), "a fox") for number in range(conditions)]
    return Page(panels=(*given, *(slot("on the beach", size_px=(SIDE_PX, SIDE_PX)) for _ in range(slots))))


def stock(backbone: Flux2) -> Callable[[Page, int], None]:
    """The pipeline on the parts of `backbone`, one call a slot."""
    pipeline = PEERS[backbone.references](
        scheduler=dynamic_scheduler(),
        vae=backbone.codec.vae,
        text_encoder=backbone.text.encoder,
        tokenizer=backbone.text.tokenizer,
        transformer=backbone.transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    more = {"guidance_scale": 1.0} if backbone.references is References.JOINT else {}

    def fill(page: Page, steps: int) -> None:
        for _ in page.slots:
            pipeline(
                image=[panel.image for panel in page.conditions] or None,
                prompt=write_prompt(page).text,
                width=SIDE_PX,
                height=SIDE_PX,
                num_inference_steps=steps,
                max_sequence_length=TEXT,
                text_encoder_out_layers=LAYERS,
                **more,
            )

    return fill


def ours(backbone: Flux2) -> Callable[[Page, int], None]:
    def fill(page: Page, steps: int) -> None:
        # Nothing may be left from the run before: a page is timed as the first of its kind.
        forget(backbone)
        generate(backbone, page, steps=steps)

    return fill


def cpu_seconds(work: Callable[[], None], repeats: int) -> float:
    """The least of `repeats` runs, after one that warms up."""
    work()
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def operations(backbone: Flux2, conditions: int, slots: int, *, cached: bool) -> float:
    """Multiply-adds of a step that is not the first, by the formula above."""
    transformer = backbone.transformer
    blocks = [*transformer.transformer_blocks, *transformer.single_transformer_blocks]
    # Half of a double-stream block's weights are the text's; a token meets one half.
    halves = [0.5] * len(transformer.transformer_blocks) + [1.0] * len(transformer.single_transformer_blocks)
    met = sum(
        half * sum(p.numel() for p in block.parameters() if p.ndim == 2)
        for half, block in zip(halves, blocks, strict=True)
    )
    panel = (SIDE_PX // backbone.card.factor) ** 2
    whole = (conditions + slots) * panel + TEXT
    asking = slots * panel + TEXT if cached else whole
    return asking * met + 2 * len(blocks) * transformer.inner_dim * asking * whole


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=4)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--heads", type=int, default=16, help="width is 16 times this")
    options.add_argument("--conditions", type=int, nargs="+", default=[0, 1, 3])
    options.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4])
    options.add_argument("--references", type=References, nargs="+", default=list(References), help="joint, alone")
    asked = options.parse_args()
    torch.set_num_threads(1)
    print(
        "| peer | n | m | ours, s a page | stock, s a page | stock / ours | floor | ours, s a step | stock, s a step |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for references, n, m in product(asked.references, asked.conditions, asked.slots):
        backbone = klein(references, heads=asked.heads, single_blocks=6)
        page, rows = page_of(n, m), []
        for fill in (ours(backbone), stock(backbone)):
            whole = cpu_seconds(partial(fill, page, asked.steps), asked.repeats)
            once = cpu_seconds(partial(fill, page, 1), asked.repeats)
            rows.append((whole, (whole - once) / (asked.steps - 1)))
        (page_ours, step_ours), (page_stock, step_stock) = rows
        cached = references is References.ALONE
        floor = m * operations(backbone, n, 1, cached=cached) / operations(backbone, n, m, cached=cached)
        print(
            f"| {PEERS[references].__name__} | {n} | {m} | {page_ours:.3f} | {page_stock:.3f} | "
            f"{page_stock / page_ours:.2f} | {floor:.2f} | {step_ours:.3f} | {step_stock:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
