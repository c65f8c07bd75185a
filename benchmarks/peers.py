"""Seconds a page, seconds a step and peak memory: ours against each stock pipeline, on the same small random weights.

    PYTHONPATH=src:tests python benchmarks/peers.py [--page docs/backbones/speed.md]

prints a Markdown table, and with --page writes it into that page of the docs. The weights are those of the oracle
tests, made wider, with the same type, noise levels and noise on both sides. Where both do the same work, their pictures
are compared before anything is timed. CPU seconds of one thread are counted.

A stock reference pipeline fills one slot at a time, so m slots are m calls; its conditions are read again in every
call. Inpainting pipelines fill m slots of a canvas in one call, as ours does. What ours keeps from one call to the
next, encoded texts and conditions, is dropped before every run.

The floor is what the operations alone would give. Multiply-adds of a step, for S tokens of slots, R of conditions, L of
text, width d and B blocks, and W weights of linear layers that every token meets:

    (S + R + L) W + 2 B d (S + R + L)^2
    (S + L) W     + 2 B d (S + L) (S + R + L)     conditions cached (klein-KV)
    S W           + 2 B d S (S + R + L)           conditions and text cached (Qwen-Image 2.1)
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean

import torch
from peers_families import FAMILIES, SIDE_PX, Family
from peers_measuring import machine, peak_bytes, write_page
from torch import Tensor

from tiny_models import filled, picture
from triptych.models.latent import LatentBackbone
from triptych.page import Page, condition, slot
from triptych.sampling import generate

MIB = 2**20
HEAD = (
    "peer | n | m | ours, s a page | stock, s a page | stock / ours | floor | ours, s a step | stock, s a step "
    "| ours, MiB | stock, MiB | largest difference"
)


def page_of(conditions: int, slots: int) -> Page:
    given = [condition(picture(number), "a fox") for number in range(conditions)]
    return Page(panels=(*given, *(slot("on the beach", size_px=(SIDE_PX, SIDE_PX)) for _ in range(slots))))


class Clock:
    """CPU seconds of a run and of each of its steps."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def tick(self, *_: object) -> dict:
        self.ticks.append(time.process_time())
        return {}

    def run(self, work: Callable[[], object]) -> tuple[float, float]:
        """Seconds of the whole, and of a step that is not the first of its call."""
        self.ticks.clear()
        began = time.process_time()
        work()
        whole = time.process_time() - began
        # Steps of one call follow each other closely; from one call to the next decoding and encoding lie between.
        gaps = sorted(after - before for before, after in zip(self.ticks, self.ticks[1:], strict=False))
        return whole, mean(gaps[: max(1, len(gaps) * 2 // 3)])


def ours(backbone: LatentBackbone, page: Page, steps: int, clock: Clock) -> None:
    backbone.shared.forget()
    generate(backbone, page, steps=steps, guidance=backbone.card.guidance, on_step=clock.tick)


def stock(family: Family, backbone: LatentBackbone, page: Page, steps: int, clock: Clock) -> Tensor | None:
    """The picture of the last call."""
    made = None
    for _ in range(1 if family.whole_canvas else len(page.slots)):
        made = family.ask(backbone, page, steps, clock.tick)
    return made


def difference(family: Family, backbone: LatentBackbone, page: Page, steps: int, clock: Clock) -> str:
    """Of the two sides' pictures in [0, 1], where they do the same work."""
    theirs = stock(family, backbone, page, steps, clock)
    backbone.shared.forget()
    mine = filled(backbone, page, backbone.card.native, steps=steps, guidance=backbone.card.guidance)
    if len(page.slots) > 1 and not family.whole_canvas:
        return "other work: jointly"
    assert theirs is not None
    return f"{(mine[0] - theirs).abs().max():.0e}"


def operations(family: Family, backbone: LatentBackbone, conditions: int, slots: int) -> float:
    """Multiply-adds of a step that is not the first of its call."""
    transformer = backbone.transformer
    tokens = family.latents_a_token * (SIDE_PX // backbone.card.factor) ** 2
    text = family.text_tokens
    whole = (conditions + slots) * tokens + text
    asking = whole - conditions * tokens if family.cached else whole
    if family.cached_text:
        asking -= text
    blocks = len(transformer.transformer_blocks) + len(getattr(transformer, "single_transformer_blocks", ()))
    met = 0.0
    for name, parameter in transformer.named_parameters():
        if "transformer_blocks" in name and parameter.ndim == 2:
            # Half of a double-stream block's weights are the text's; a token meets one half.
            met += parameter.numel() * (0.5 if family.double and not name.startswith("single") else 1.0)
    passes = 2 if backbone.card.negative is not None else 1
    return passes * (asking * met + 2 * blocks * transformer.inner_dim * asking * whole)


def floor(family: Family, backbone: LatentBackbone, conditions: int, slots: int) -> float:
    """Stock over ours, by operations alone."""
    calls = 1 if family.whole_canvas else slots
    alone = operations(family, backbone, conditions, slots if family.whole_canvas else 1)
    return calls * alone / operations(family, backbone, conditions, slots)


def measured(clock: Clock, work: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds of the whole and of a step, and MiB at the peak."""
    spent: list[tuple[float, float]] = []
    peak = peak_bytes(lambda: spent.append(clock.run(work)))
    return *spent[0], peak / MIB


def row(name: str, n: int, m: int, steps: int) -> str:
    family = FAMILIES[name]
    backbone, page, clock = family.make(), page_of(n, m), Clock()
    same = difference(family, backbone, page, steps, clock)
    page_ours, step_ours, peak_ours = measured(clock, partial(ours, backbone, page, steps, clock))
    page_stock, call_step, peak_stock = measured(clock, partial(stock, family, backbone, page, steps, clock))
    step_stock = call_step * (1 if family.whole_canvas else m)
    return (
        f"| {name} | {n} | {m} | {page_ours:.2f} | {page_stock:.2f} | {page_stock / page_ours:.2f} | "
        f"{floor(family, backbone, n, m):.2f} | {step_ours:.3f} | {step_stock:.3f} | "
        f"{peak_ours:.0f} | {peak_stock:.0f} | {same} |"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=4)
    options.add_argument("--conditions", type=int, nargs="+", default=[0, 1, 3])
    options.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4])
    options.add_argument("--peers", choices=FAMILIES, nargs="+", default=list(FAMILIES))
    options.add_argument("--rows", type=Path, help="append the rows to this file; --page takes all of them from it")
    options.add_argument("--page", type=Path, help="a page of the docs with the marks of this script")
    asked = options.parse_args()
    torch.set_num_threads(1)
    lines = []
    for name, n, m in product(asked.peers, asked.conditions, asked.slots):
        if n in FAMILIES[name].conditions:
            lines.append(row(name, n, m, asked.steps))
            print(lines[-1], flush=True)
    if asked.rows:
        with asked.rows.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        lines = asked.rows.read_text(encoding="utf-8").splitlines()
    if asked.page:
        head = [f"On {machine()}; {asked.steps} steps, float32.", "", f"| {HEAD} |", "|---" * 12 + "|"]
        write_page(asked.page, Path(__file__).name, [*head, *lines])


if __name__ == "__main__":
    main()
