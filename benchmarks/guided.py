"""What the contrastive guidance loss does to samples, on a backbone that makes them in few steps.

    PYTHONPATH=src python benchmarks/guided.py --sprites DIR --out DIR

Skills are trained on a few pages with many right answers, once by plain flow matching and once for each scale of
`guided`, everything else being equal. On pages that no skill saw, samples of each stand beside the right answers:
sharpness is the mean step between neighbouring pixels over that of the answers (1: as sharp, less: blurred), PSNR is to
the answer itself, spread is how far samples of one page differ, in levels of 255.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image

import triptych as tt
from triptych.conditioning import Reading
from triptych.data.build import built_pages
from triptych.data.rules import find_rule
from triptych.data.sources import ShapeSource, SpriteScenes
from triptych.data.sprites import SpriteSource
from triptych.evaluation.metrics import psnr
from triptych.files import read_json, write_atomic
from triptych.models.adapters import Skills
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.sampling import Engine, Request
from triptych.skill import Skill, load_skill
from triptych.training.loop import train
from triptych.training.recipe import load_recipe


def _values(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), dtype=np.float32) / 255


def _edges(values: np.ndarray) -> float:
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())


def measured(backbone: Backbone, skill: Skill | None, pages: Sequence[Page], seeds: int) -> dict[str, float]:
    """Of samples of the pages."""
    requests = [
        Request(page=page.without_answers(), seed=seed, reading=Reading.SAMPLE)
        for page in pages
        for seed in range(seeds)
    ]
    made = Engine(backbone).generate(requests, skill=Skills([skill]) if skill else None)
    right = [_values(page.slots[0].answer) for page in pages for _ in range(seeds)]
    samples = [_values(one.images[0].resize(values.shape[1::-1])) for one, values in zip(made, right, strict=True)]
    by_page = np.stack(samples).reshape(len(pages), seeds, *samples[0].shape)
    return {
        "sharpness": fmean(map(_edges, samples)) / fmean(map(_edges, right)),
        "db": fmean(psnr(one, other) for one, other in zip(samples, right, strict=True)),
        "spread": 255 * float(by_page.std(axis=1, ddof=1).mean()),
    }


def table(folder: Path) -> str:
    """What is in `folder` as Markdown."""
    rows = [read_json(path) for path in sorted(folder.glob("*.json"))]
    lines = ["| skill | sharpness | PSNR, dB | spread, levels |", "|---|---|---|---|"]
    lines += [f"| {row['skill']} | {row['sharpness']:.2f} | {row['db']:.1f} | {row['spread']:.1f} |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="pocket-2", help="a pocket with the sample mode")
    parser.add_argument("--sprites", type=Path, help="rendered by `triptych pocket sprites`; default: plain shapes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures, one file a skill")
    parser.add_argument("--rule", default="lines-to-object", help="whose pages have many right answers")
    parser.add_argument("--scales", default="2,3")
    parser.add_argument("--taught", type=int, default=10)
    parser.add_argument("--unseen", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=2, help="samples of each of them")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="change the recipe")
    asked = parser.parse_args()
    source = SpriteScenes(SpriteSource(asked.sprites)) if asked.sprites else ShapeSource()
    taught, unseen = (
        list(built_pages(find_rule(asked.rule), source, count, seed))
        for count, seed in ((asked.taught, 1), (asked.unseen, 4))
    )
    backbone = tt.load(asked.backbone)
    changes = {key: json.loads(value) for key, value in (change.split("=") for change in asked.set)}
    common = {"backbone": asked.backbone, "steps": asked.steps, "watch.samples": 0, "variety.shots": [0], **changes}
    ways: dict[str, dict[str, object] | None] = {"0 none": None, "1 plain": {}}
    ways |= {f"2 guided {scale}": {"guided": float(scale)} for scale in asked.scales.split(",")}
    for name, own in ways.items():
        path, skill = asked.out / f"{name.replace(' ', '-')}.json", None
        if path.is_file():
            continue
        if own is not None:
            file = path.with_suffix(".safetensors")
            skill = load_skill(file) if file.is_file() else train(
                taught, file, load_recipe("pocket", common | own), backbone, resume=file.with_suffix(".run").is_dir()
            )  # fmt: skip
        found = {"skill": name[2:], **measured(backbone, skill, unseen, asked.seeds)}
        write_atomic(path, json.dumps(found, indent=1).encode())
        print(found, flush=True)
    print(table(asked.out))


if __name__ == "__main__":
    main()
