"""The storyboard skill that ships with the package, from its data to its picture in the docs, in one command.

    PYTHONPATH=src python scripts/storyboard_skill.py --sprites DIR

Ten pages of the rule `storyboard` with three shots each, on objects that the pretraining saw, every shot graded as
film: toned, between black bars. No words say so; the pages do. They train the recipe `storyboard`: once for one epoch,
once in full. The picture shows characters that no training saw: given, right, and made before, after one epoch and
after all; the figures are of forty such pages. The full skill is written into the package, in bfloat16.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean

import torch
from PIL import Image, ImageDraw, ImageOps

import triptych as tt
from triptych.data.pagesets import save_pageset
from triptych.data.rules import RULES
from triptych.data.sources import SpriteScenes
from triptych.data.sprites import SpriteSource, is_held_out
from triptych.evaluation.metrics import compare_pictures
from triptych.evaluation.statistics import Estimate, bootstrap
from triptych.models.adapters import Skills
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.sampling import generate
from triptych.skill import Skill, save_skill
from triptych.training.loop import train
from triptych.training.recipe import load_recipe

ROOT = Path(__file__).parent.parent
SHOTS, TRAINED, SHOWN, MEASURED, EPOCH = 3, 10, 4, 40, 25
BAR = 8
"""A bar above and one below take an eighth of a shot each: 4:3."""
SIDE, NAME = 128, 96


def film(shot: Image.Image) -> Image.Image:
    """A shot as on old film stock: blue shadows, warm lights, black bars."""
    toned = ImageOps.colorize(shot.convert("L"), black=(6, 16, 40), mid=(120, 104, 92), white=(255, 236, 196))
    graded = Image.blend(shot.convert("RGB"), toned, 0.65)
    height = graded.height // BAR
    draw = ImageDraw.Draw(graded)
    draw.rectangle((0, 0, graded.width, height - 1), fill="black")
    draw.rectangle((0, graded.height - height, graded.width, graded.height), fill="black")
    return graded


def filmed(page: Page) -> Page:
    panels = [replace(panel, answer=film(panel.answer)) if panel.answer else panel for panel in page.panels]
    return replace(page, panels=tuple(panels))


def storyboards(source: SpriteScenes, count: int, *, seed: int) -> list[Page]:
    """Pages of one character and three shots on film, each with shots of its own."""
    pages: list[Page] = []
    for number in range(1000):
        rng = Random(f"{seed}:{number}")
        page = RULES["storyboard"].draw(rng, source).page(rng)
        if len(page.slots) == SHOTS:
            pages.append(filmed(replace(page, page_id=f"story-{seed}-{len(pages)}")))
        if len(pages) == count:
            return pages
    raise SystemExit("the rule makes too few pages of three shots")


def trained(pages: Sequence[Page], backbone: Backbone, changes: dict[str, object]) -> Skill:
    """A skill, and how long it took on stdout."""
    recipe = load_recipe("storyboard", {"watch.samples": 0} | changes)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        skill = train(pages, Path(folder) / "storyboard.safetensors", recipe, backbone)
    print(f"{recipe.steps} steps in {time.monotonic() - began:.0f} s", flush=True)
    return skill


def painted(backbone: Backbone, pages: Sequence[Page], skill: Skill | None) -> list[list[Image.Image]]:
    asked = [page.without_answers() for page in pages]
    return [list(result.images) for result in generate(backbone, asked, seed=7, skill=Skills(skill) if skill else None)]


def truth(pages: Sequence[Page], made: Sequence[Sequence[Image.Image]]) -> Estimate:
    """PSNR in dB, and its interval of 95% over pages."""
    return bootstrap([_psnr(shots, _answers(page)) for page, shots in zip(pages, made, strict=True)])


def _psnr(shots: Sequence[Image.Image], answers: Sequence[Image.Image]) -> float:
    return fmean(compare_pictures(shot, answer).psnr for shot, answer in zip(shots, answers, strict=True))


def figure(pages: Sequence[Page], made: dict[str, list[list[Image.Image]]]) -> Image.Image:
    """Two pages side by side in a row; below them what was made of them in each way."""
    rows: list[tuple[str, list[Image.Image]]] = [
        ("right", [picture for page in pages for picture in (page.conditions[0].image, *_answers(page))])
    ]
    for name, shots in made.items():
        rows.append((name, [picture for images in shots[: len(pages)] for picture in (None, *images)]))
    width = (SHOTS + 1) * len(pages) // 2
    sheet = Image.new("RGB", (NAME + SIDE * width, 2 * SIDE * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for line in range(2 * len(rows)):
        name, pictures = rows[line % len(rows)]
        draw.text((6, SIDE * line + SIDE // 2), name, fill="black", anchor="lm")
        for column, picture in enumerate(pictures[line // len(rows) * width :][:width]):
            if picture is not None:
                sheet.paste(picture.resize((SIDE, SIDE)), (NAME + SIDE * column, SIDE * line))
    return sheet


def _answers(page: Page) -> list[Image.Image]:
    return [slot.answer for slot in page.slots if slot.answer is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=Path, required=True, help="rendered by `triptych pocket sprites`")
    parser.add_argument("--out", type=Path, default=ROOT / "src/triptych/skills/storyboard.safetensors")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs/skills/storyboard.webp")
    parser.add_argument("--pages", type=Path, help="also save the ten pages as a page set, in this folder")
    parser.add_argument("--steps", type=int, help="fewer steps, to try it")
    asked = parser.parse_args()
    sprites = SpriteSource(asked.sprites)
    pages = storyboards(SpriteScenes(sprites, names=lambda name: not is_held_out(name)), TRAINED, seed=1)
    unseen = storyboards(SpriteScenes(sprites, names=is_held_out), MEASURED, seed=2)
    if asked.pages:
        save_pageset(pages, asked.pages)
    backbone = tt.load("pocket")
    fewer = {"steps": asked.steps} if asked.steps else {}
    after_one = trained(pages, backbone, {"steps": EPOCH} | fewer)
    after_all = trained(pages, backbone, fewer)
    small = {name: tensor.to(torch.bfloat16) for name, tensor in after_all.tensors.items()}
    shipped = Skill(card=after_all.card, tensors=small)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    save_skill(shipped, asked.out)
    asked.picture.parent.mkdir(parents=True, exist_ok=True)
    ways = {"before": None, "one epoch": after_one, "after": shipped}
    made = {name: painted(backbone, unseen, skill) for name, skill in ways.items()}
    for name, pictures in made.items():
        found = truth(unseen, pictures)
        print(f"{name}: {found.mean:.1f} dB [{found.low:.1f}, {found.high:.1f}] on {found.pages} pages", flush=True)
    figure(unseen[:SHOWN], made).save(asked.picture, quality=88, method=6)
    print(f"{asked.out}: {asked.out.stat().st_size / 2**20:.1f} MB; {asked.picture}")


if __name__ == "__main__":
    main()
