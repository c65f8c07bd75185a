"""What ten pages and one short training give, rule by rule, on rules and objects that the pretraining never saw.

    PYTHONPATH=src python benchmarks/skills.py --sprites DIR --out report.json [--rules negative,sticker] [--pages 32]

For each rule the same held-out pages are filled in six ways: zero-shot, behind one example and behind three, with a
skill, with the skill behind three examples, and by a pix2pix-style U-Net (diffusers' `UNet2DModel`, plain L1) trained
on the same ten pages for the same time. Scores are PSNR, its gain over the better of copy and white, and the share
of pages that the rule's own check passes, each with a 95% interval; and the paired difference of the skill and the
best number of examples.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import UNet2DModel
from PIL import Image

import triptych as tt
from triptych.data.rules import HELD_OUT_RULES, RULES, Rule, Task
from triptych.data.sources import SpriteScenes
from triptych.data.sprites import SpriteSource, is_held_out
from triptych.evaluation.metrics import psnr
from triptych.evaluation.statistics import bootstrap, paired_test
from triptych.images import write_atomic
from triptych.models.adapters import Skills
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.sampling import generate
from triptych.training.loop import train
from triptych.training.recipe import load_recipe

TRAINED = 10
Pictures = tuple[Image.Image, ...]


def _pages(task: Task, count: int, seed: int) -> list[Page]:
    rng = Random(seed)
    return [
        Page(panels=page.panels, page_id=f"{seed}-{i}", rule=page.rule)
        for i, page in enumerate(task.page(rng) for _ in range(count))
    ]


def _numbers(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)


class _UNet:
    """Conditions side by side in the channels, answers out; trained with L1, as pix2pix without its critic."""

    def __init__(self, page: Page) -> None:
        torch.manual_seed(0)
        self.net = UNet2DModel(
            in_channels=3 * len(page.conditions),
            out_channels=3 * len(page.slots),
            block_out_channels=(32, 64, 96, 128),
            down_block_types=("DownBlock2D",) * 4,
            up_block_types=("UpBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=8,
        )

    @staticmethod
    def _given(pages: Sequence[Page]) -> torch.Tensor:
        return torch.stack([torch.cat([_numbers(panel.image) for panel in page.conditions]) for page in pages])

    def train(self, pages: Sequence[Page], seconds: float) -> None:
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3)
        given = self._given(pages)
        answers = torch.stack([torch.cat([_numbers(panel.answer) for panel in page.slots]) for page in pages])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            optimizer.zero_grad()
            (self.net(given, 0).sample - answers).abs().mean().backward()
            optimizer.step()

    @torch.no_grad()
    def fill(self, pages: Sequence[Page]) -> list[Pictures]:
        made = self.net(self._given(pages), 0).sample.clamp(-1, 1)
        bytes_ = ((made + 1) * 127.5).round().to(torch.uint8).unflatten(1, (-1, 3)).permute(0, 1, 3, 4, 2).numpy()
        return [tuple(Image.fromarray(slot) for slot in page) for page in bytes_]


def _score(rule: Rule, page: Page, pictures: Pictures) -> tuple[float, float, float]:
    """PSNR, its gain over the better of copy and white, and whether the rule's check passes."""

    def against(made: Sequence[Image.Image]) -> float:
        pairs = zip(made, page.slots, strict=True)
        return statistics.fmean(psnr(np.asarray(a) / 255.0, np.asarray(b.answer) / 255.0) for a, b in pairs)

    own = against(pictures)
    white = against([Image.new("RGB", slot.answer.size, "white") for slot in page.slots])
    copies = [against([panel.image.resize(slot.answer.size) for slot in page.slots]) for panel in page.conditions]
    return own, own - max([white, *copies]), float(rule.verify(page, pictures).ok)


def _filled(
    backbone: Backbone, pages: Sequence[Page], examples: Sequence[Page], skill: Skills | None
) -> list[Pictures]:
    asked = [page.without_answers().with_context(*examples) for page in pages]
    return [result.images for result in generate(backbone, asked, seed=7, skill=skill)]


def _measure(
    rule: Rule, backbone: Backbone, sources: tuple[SpriteScenes, SpriteScenes], count: int, recipe: str
) -> dict:
    task = rule.draw(Random(1), sources[0])
    trained = _pages(task, TRAINED, seed=2)
    # The same task, drawn again over objects that no training saw.
    unseen = _pages(rule.draw(Random(1), sources[1]), count, seed=3)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        skill = Skills(train(trained, Path(folder) / "skill.safetensors", load_recipe(recipe), backbone))
        seconds = time.monotonic() - began
    ways = {
        "zero-shot": lambda: _filled(backbone, unseen, (), None),
        "1 example": lambda: _filled(backbone, unseen, trained[:1], None),
        "3 examples": lambda: _filled(backbone, unseen, trained[:3], None),
        "skill": lambda: _filled(backbone, unseen, (), skill),
        "skill, 3 examples": lambda: _filled(backbone, unseen, trained[:3], skill),
    }
    made = {name: fill() for name, fill in ways.items()}
    unet = _UNet(trained[0])
    unet.train(trained, seconds)
    made["U-Net"] = unet.fill(unseen)
    scores = {
        name: [_score(rule, page, pictures) for page, pictures in zip(unseen, filled, strict=True)]
        for name, filled in made.items()
    }
    return {"seconds": round(seconds, 1), "pages": count} | _summary(unseen, scores)


def _summary(pages: Sequence[Page], scores: dict[str, list[tuple[float, float, float]]]) -> dict:
    report: dict = {}
    for name, rows in scores.items():
        estimates = (bootstrap(column) for column in zip(*rows, strict=True))
        report[name] = {
            what: {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
            for what, estimate in zip(("psnr", "gain", "passed"), estimates, strict=True)
        }
    best = max(("1 example", "3 examples"), key=lambda name: report[name]["gain"]["mean"])
    better = max(("skill", "skill, 3 examples"), key=lambda name: report[name]["gain"]["mean"])
    gains = {
        name: {page.page_id: row[1] for page, row in zip(pages, scores[name], strict=True)} for name in (best, better)
    }
    test = paired_test(gains[better], gains[best])
    report["difference"] = {
        "of": f"{better} minus {best}",
        "mean": test.difference.mean,
        "low": test.difference.low,
        "high": test.difference.high,
        "p": test.p,
    }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rules", default=",".join(sorted(HELD_OUT_RULES)))
    parser.add_argument("--pages", type=int, default=32)
    parser.add_argument("--recipe", default="pocket")
    asked = parser.parse_args()
    sprites = SpriteSource(asked.sprites)
    sources = (
        SpriteScenes(sprites, names=lambda name: not is_held_out(name)),
        SpriteScenes(sprites, names=is_held_out),
    )
    backbone, report = tt.load("pocket"), {}
    for name in asked.rules.split(","):
        report[name] = _measure(RULES[name], backbone, sources, asked.pages, asked.recipe)
        print(name, json.dumps(report[name]["difference"]))
        # After every rule, so that a run that is stopped has told what it found.
        write_atomic(asked.out, json.dumps(report, indent=2).encode())


if __name__ == "__main__":
    main()
