"""Pages a second that the pocket's pretraining gets, and where they are lost: made, laid out, learned from.

    PYTHONPATH=src python benchmarks/pocket_pages.py [--batches 40] [--start POCKET] [--steps 4]

Seconds are of one process's processor time, so that a busy machine does not change them much. The kinds of page are
those of the recipe, each at its own share of large pictures. `--steps` times the network too, on `--start` (by default
the released pocket), eager and on one thread; compiled blocks take about a third of its time away.
"""

import argparse
import cProfile
import io
import pstats
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from triptych.cli.options import sprite_folder
from triptych.data.mixture import Mixture
from triptych.data.sprites import SpriteSource
from triptych.models.pocket import PocketNetwork, load_pocket
from triptych.models.pocket.klt import KltCodec
from triptych.training.pretrain.batches import PageBatch, collate
from triptych.training.pretrain.objective import page_loss
from triptych.training.pretrain.recipe import PretrainRecipe, load_recipe, mixture_of


def _kinds(mixture: Mixture) -> Iterator[tuple[str, Mixture]]:
    for entry in mixture.entries:
        yield entry.name, replace(mixture, entries=(replace(entry, first_batch=0),))


def _made(mixture: Mixture, tokenizer: Tokenizer, batches: int) -> tuple[list[PageBatch], int, float, float]:
    """Batches, their pages, and the seconds of making and of laying out."""
    found, pages, making, laying = [], 0, 0.0, 0.0
    for index in range(batches):
        began = time.process_time()
        made = mixture.batch(index)
        middle = time.process_time()
        found.append(collate(made, tokenizer, factor=16, index=index))
        making, laying = making + middle - began, laying + time.process_time() - middle
        pages += len(made)
    return found, pages, making, laying


def _report_kinds(mixture: Mixture, tokenizer: Tokenizer, batches: int) -> None:
    print("kind of page | share of batches | pages a second | made, ms | laid out, ms")
    whole, pages_a_batch, spent = sum(entry.weight for entry in mixture.entries), 0.0, 0.0
    for (name, alone), entry in zip(_kinds(mixture), mixture.entries, strict=True):
        _, pages, making, laying = _made(alone, tokenizer, batches)
        share = entry.weight / whole
        pages_a_batch, spent = pages_a_batch + share * pages / batches, spent + share * (making + laying) / batches
        rate, made, laid = pages / (making + laying), 1000 * making / pages, 1000 * laying / pages
        print(f"{name} | {share:.3f} | {rate:.1f} | {made:.1f} | {laid:.2f}", flush=True)
    print(f"all, by their shares | 1 | {pages_a_batch / spent:.1f} | |")


def _report_functions(mixture: Mixture, tokenizer: Tokenizer, batches: int) -> None:
    profile = cProfile.Profile()
    profile.enable()
    _made(mixture, tokenizer, batches)
    profile.disable()
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(15)
    print("\nwhere the seconds of making go, by function:")
    print("\n".join(line for line in text.getvalue().splitlines()[6:] if line.strip()))


def _report_network(recipe: PretrainRecipe, made: list[PageBatch], network: PocketNetwork) -> None:
    codec = network.requires_grad_(True).codec.requires_grad_(False)
    weights = codec.channel_weights if isinstance(codec, KltCodec) else torch.ones(codec.channels)
    pages, forward, backward = 0, 0.0, 0.0
    for batch in made:
        network.zero_grad()
        began = time.process_time()
        loss = page_loss(network, batch, recipe, weights, torch.Generator().manual_seed(0)).loss
        middle = time.process_time()
        loss.backward()
        forward, backward = forward + middle - began, backward + time.process_time() - middle
        pages += len(batch.answers)
    print(f"\nthe network: {pages / (forward + backward):.2f} pages a second of one thread, eager; ", end="")
    print(f"forward {1000 * forward / pages:.0f} ms, backward {1000 * backward / pages:.0f} ms a page")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="pocket", help="whose pages; shipped or a YAML file")
    parser.add_argument("--batches", type=int, default=40, help="a kind")
    parser.add_argument("--steps", type=int, default=4, help="of the network; 0 leaves it out")
    parser.add_argument("--start", type=Path, default=None, help="a pocket's file; by default the released one")
    parser.add_argument("--sprites", type=Path, default=None)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load_recipe(asked.recipe)
    mixture = mixture_of(recipe, SpriteSource(sprite_folder(asked.sprites)))
    pocket = load_pocket(asked.start) if asked.start else load_pocket()
    _report_kinds(mixture, pocket.tokenizer, asked.batches)
    _report_functions(mixture, pocket.tokenizer, asked.batches)
    if asked.steps:
        made, *_ = _made(mixture, pocket.tokenizer, asked.steps)
        _report_network(recipe, made, pocket.network.float())


if __name__ == "__main__":
    main()
