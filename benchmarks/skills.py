"""What ten pages and one short training give, rule by rule, on rules and objects that the pretraining never saw.

    PYTHONPATH=src python benchmarks/skills.py --sprites DIR --out DIR [--rules negative,sticker] [--docs docs]

For each rule the same held-out pages are filled in seven ways: zero-shot, behind one, two and three of the ten pages
as examples, with a skill trained on the ten, with that skill behind three of them, and by a pix2pix-style U-Net
(diffusers' `UNet2DModel`, plain L1) trained on the same pages for the same time. Scores of each page: PSNR, whether
its right answer is the nearest of 50 answers and the page's own conditions, and whether the rule's own check passes.

One JSON file a rule goes into DIR; rules that are there are not measured again, so a stopped run goes on. `--docs`
writes the tables into skills.md and the pictures beside it. Recipes are chosen on `TUNED_ON`, never on `REPORTED`:

    ... --out tuning/low-rate --rules duotone,halftone,kaleidoscope --without-unet --set optimizer.learning_rate=5e-4
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image
from skills_report import write_docs
from skills_unet import SmallUNet

import triptych as tt
from triptych.data.rules import HELD_OUT_RULES, RULES, Rule, Task
from triptych.data.sources import SpriteScenes
from triptych.data.sprites import SpriteSource, is_held_out
from triptych.evaluation.metrics import psnr
from triptych.evaluation.retrieval import embed, rank_of
from triptych.files import write_atomic
from triptych.images import png_bytes
from triptych.models.adapters import Skills
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.sampling import generate
from triptych.training.cache import fingerprint
from triptych.training.loop import train
from triptych.training.recipe import Recipe, load_recipe

TRAINED, CANDIDATES, MOST_SECONDS = 10, 50, 120
TUNED_ON = ("duotone", "halftone", "kaleidoscope")
REPORTED = tuple(sorted(HELD_OUT_RULES - set(TUNED_ON)))
SHOTS = {"zero-shot": 0, "1 example": 1, "2 examples": 2, "3 examples": 3}
Pictures = tuple[Image.Image, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One rule: ten pages to train on, pages to ask, and answers that each is to be found among."""

    rule: Rule
    trained: list[Page]
    asked: list[Page]
    candidates: list[Page]


def _trial(name: str, sources: tuple[SpriteScenes, SpriteScenes], count: int) -> Trial:
    rule = RULES[name]
    # The same task twice: over objects that the pretraining saw, and over objects that no training saw.
    seen, unseen = (rule.draw(Random(1), source) for source in sources)
    if seen.instruction != unseen.instruction:
        raise SystemExit(f"{name}: the two tasks differ: {seen.instruction!r}, {unseen.instruction!r}")
    candidates = _pages(unseen, max(count, CANDIDATES), seed=3)
    return Trial(rule=rule, trained=_pages(seen, TRAINED, seed=2), asked=candidates[:count], candidates=candidates)


def _pages(task: Task, count: int, seed: int) -> list[Page]:
    rng = Random(seed)
    pages = (task.page(rng) for _ in range(count))
    return [Page(panels=page.panels, page_id=f"{seed}-{i}", rule=page.rule) for i, page in enumerate(pages)]


def _against(made: Sequence[Image.Image], page: Page) -> float:
    pairs = zip(made, page.slots, strict=True)
    return statistics.fmean(psnr(np.asarray(a) / 255.0, np.asarray(b.answer) / 255.0) for a, b in pairs)


def _baseline(page: Page) -> float:
    """The better of white and of the conditions, each given as the answer."""
    white = [Image.new("RGB", slot.answer.size, "white") for slot in page.slots]
    copies = [[panel.image.resize(slot.answer.size) for slot in page.slots] for panel in page.conditions]
    return max(_against(made, page) for made in (white, *copies))


def _is_found(made: Pictures, trial: Trial, number: int) -> float:
    """Share of slots whose picture is nearest to the right answer."""
    page, found = trial.asked[number], []
    for slot, picture in enumerate(made):
        answers = [other.slots[slot].answer for other in trial.candidates] + [panel.image for panel in page.conditions]
        found.append(rank_of(embed([picture])[0], embed(answers), number) == 0)
    return statistics.fmean(found)


def _scores(made: Sequence[Pictures], trial: Trial) -> dict[str, list[float]]:
    pairs = list(zip(made, trial.asked, strict=True))
    return {
        "psnr": [_against(pictures, page) for pictures, page in pairs],
        "found": [_is_found(pictures, trial, number) for number, (pictures, _) in enumerate(pairs)],
        "passed": [float(trial.rule.verify(page, pictures).ok) for pictures, page in pairs],
    }


def _filled(backbone: Backbone, trial: Trial, shots: int, skill: Skills | None = None) -> list[Pictures]:
    asked = [page.without_answers().with_context(*trial.trained[:shots]) for page in trial.asked]
    return [result.images for result in generate(backbone, asked, seed=7, skill=skill)]


def _measured(
    trial: Trial, backbone: Backbone, recipe: Recipe, *, with_unet: bool
) -> tuple[dict, dict[str, list[Pictures]]]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        skill = Skills(train(trial.trained, Path(folder) / "skill.safetensors", recipe, backbone))
        seconds = time.monotonic() - began
    made = {name: _filled(backbone, trial, shots) for name, shots in SHOTS.items()}
    made["skill"] = _filled(backbone, trial, 0, skill)
    made["skill, 3 examples"] = _filled(backbone, trial, 3, skill)
    if with_unet:
        unet = SmallUNet(trial.trained[0])
        unet.train(trial.trained, seconds)
        made["U-Net"] = unet.fill(trial.asked)
    scores = {name: _scores(pictures, trial) for name, pictures in made.items()}
    scores["copy or white"] = {"psnr": [_baseline(page) for page in trial.asked]}
    return {"seconds": round(seconds, 1), "scores": scores}, made


def _sheet(trial: Trial, made: dict[str, list[Pictures]]) -> Image.Image:
    """One row: the first page's last condition, its answer, and what each way made of it."""
    page = trial.asked[0]
    shown = [page.conditions[-1].image, page.slots[0].answer]
    shown += [pictures[0][0] for pictures in made.values()]
    row = Image.new("RGB", (128 * len(shown), 128), "white")
    for column, picture in enumerate(shown):
        row.paste(picture.resize((128, 128)), (128 * column, 0))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=Path, required=True, help="rendered by `triptych pocket sprites`")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures, one file a rule")
    parser.add_argument("--rules", default=",".join(REPORTED))
    parser.add_argument("--pages", type=int, default=32)
    parser.add_argument("--recipe", default="pocket")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    parser.add_argument("--without-unet", action="store_true", help="half the time, for choosing a recipe")
    parser.add_argument("--docs", type=Path, help="folder of skills.md, to write the tables into")
    asked = parser.parse_args()
    quiet = {"watch.samples": 0, "watch.held_out_every": 0}
    changes = {key: json.loads(value) for key, _, value in (change.partition("=") for change in asked.set)}
    recipe = load_recipe(asked.recipe, quiet | changes)
    sprites = SpriteSource(asked.sprites)
    sources = tuple(SpriteScenes(sprites, names=keeps) for keeps in (lambda name: not is_held_out(name), is_held_out))
    backbone = tt.load("pocket")
    settings = {"recipe": recipe.deciding(), "backbone": fingerprint(backbone), "pages": asked.pages}
    settings |= {"with_unet": not asked.without_unet}
    names = asked.rules.split(",")
    for name in names:
        path = asked.out / f"{name}.json"
        if path.exists() and json.loads(path.read_text())["settings"] == settings:
            continue
        trial = _trial(name, sources, asked.pages)
        figures, made = _measured(trial, backbone, recipe, with_unet=not asked.without_unet)
        write_atomic(asked.out / f"{name}.png", png_bytes(_sheet(trial, made)))
        write_atomic(path, json.dumps({"rule": name, "settings": settings} | figures, indent=1).encode())
        late = " TOO LONG" if figures["seconds"] > MOST_SECONDS else ""
        print(f"{name}: trained in {figures['seconds']} s{late}", flush=True)
    write_docs(asked.out, names, asked.docs)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
