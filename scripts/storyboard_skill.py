"""The storyboard skill that ships with the package, from its data to its picture in the docs, in one command.

    PYTHONPATH=src python scripts/storyboard_skill.py --sprites DIR

Ten pages of the rule `storyboard` with three shots each, on objects that the pretraining saw, train the recipe
`storyboard`: once for one epoch, once in full. The picture shows characters that no training saw: given, right, and
made before, after one epoch and after all. The full skill is written into the package, in bfloat16.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import torch
from PIL import Image, ImageDraw

import triptych as tt
from triptych.data.pagesets import save_pageset
from triptych.data.rules import RULES
from triptych.data.sources import SpriteScenes
from triptych.data.sprites import SpriteSource, is_held_out
from triptych.models.adapters import Skills
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.sampling import generate
from triptych.skill import Skill, save_skill
from triptych.training.loop import train
from triptych.training.recipe import load_recipe

ROOT = Path(__file__).parent.parent
SHOTS, TRAINED, SHOWN, EPOCH = 3, 10, 4, 25
SIDE, NAME = 128, 96


def storyboards(source: SpriteScenes, count: int, *, seed: int) -> list[Page]:
    """Pages of one character and three shots, each with shots of its own."""
    pages: list[Page] = []
    for number in range(1000):
        rng = Random(f"{seed}:{number}")
        page = RULES["storyboard"].draw(rng, source).page(rng)
        if len(page.slots) == SHOTS:
            pages.append(replace(page, page_id=f"story-{seed}-{len(pages)}"))
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


def figure(backbone: Backbone, pages: Sequence[Page], skills: dict[str, Skill | None]) -> Image.Image:
    """Two pages side by side in a row; below them what each skill made of them."""
    rows: list[tuple[str, list[Image.Image]]] = [
        ("right", [picture for page in pages for picture in (page.conditions[0].image, *_answers(page))])
    ]
    for name, skill in skills.items():
        asked = [page.without_answers() for page in pages]
        results = generate(backbone, asked, seed=7, skill=Skills(skill) if skill else None)
        rows.append((name, [picture for result in results for picture in (None, *result.images)]))
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
    unseen = storyboards(SpriteScenes(sprites, names=is_held_out), SHOWN, seed=2)
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
    sheet = figure(backbone, unseen, {"before": None, "one epoch": after_one, "after": shipped})
    sheet.save(asked.picture, quality=88, method=6)
    print(f"{asked.out}: {asked.out.stat().st_size / 2**20:.1f} MB; {asked.picture}")


if __name__ == "__main__":
    main()
