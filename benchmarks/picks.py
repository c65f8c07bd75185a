"""What picks teach, without people: simulated pickers whose taste can be checked, beside what else the pages could do.

    PYTHONPATH=src python benchmarks/picks.py --backbone pocket.safetensors --sprites DIR --out DIR [--tastes warmer]

Each taste is a number computed from a picture. Its picker sees four samples of each page, keeps the one with the most
of it and rejects the one with the least. A skill, trained on a few pages of the rule, is tuned to these picks by
DiffusionNFT and by Flow-DPO; beside them it is trained for as many steps on the kept pictures alone, and on as many
more pages of the rule. On pages that nobody picked from, each version's samples stand against the untuned skill's on
the same seeds before the same picker: its win rate has Wilson's interval of 95%, ties being halves. The cost is in dB
of PSNR on pages of the rule, read as means.

One JSON file a taste goes into DIR; tastes that are there are not measured again. `--table` prints them as Markdown.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image
from scipy import ndimage

import triptych as tt
from triptych.conditioning import Reading
from triptych.data.build import built_pages
from triptych.data.rules import find_rule
from triptych.data.sources import ShapeSource, SpriteScenes
from triptych.data.sprites import SpriteSource
from triptych.errors import TrainingError
from triptych.evaluation.metrics import psnr
from triptych.evaluation.statistics import wilson
from triptych.files import read_json, write_atomic
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.picks import Shown, Verdict, add_picks, load_picks
from triptych.sampling import Engine, Request
from triptych.skill import Skill, load_skill
from triptych.training.loop import train
from triptych.training.pickcheck import check_picks
from triptych.training.prefer import prefer
from triptych.training.recipe import Recipe, load_recipe
from triptych.training.tuning import tuning_recipe

SHOWN = 4
WAYS = ("nft", "dpo", "kept only", "more pages")


def _values(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), dtype=np.float32) / 255


def _ground(values: np.ndarray) -> np.ndarray:
    """The colour that most of the border has."""
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    return np.median(border, axis=0)


def _subject(values: np.ndarray) -> np.ndarray:
    """Where the picture is not ground."""
    return np.abs(values - _ground(values)).max(axis=-1) > 0.15


def warmer(values: np.ndarray) -> float:
    """More red than blue."""
    return float((values[..., 0] - values[..., 2]).mean())


def thicker(values: np.ndarray) -> float:
    """Dark area over its edge: how thick dark lines are."""
    dark = values.mean(axis=-1) < 0.35
    edge = dark & ~ndimage.binary_erosion(dark)
    return float(dark.sum() / max(1, edge.sum()))


def larger(values: np.ndarray) -> float:
    """Share of the picture that the subject takes."""
    return float(_subject(values).mean())


def left(values: np.ndarray) -> float:
    """The subject's weight lies left of its middle, as a head that looks there."""
    columns = np.nonzero(_subject(values))[1]
    return 0.0 if not len(columns) else float((columns.min() + columns.max()) / 2 - columns.mean())


def fewer(values: np.ndarray) -> float:
    """Fewer parts that do not touch, specks not counted; of equals, the one with less in it."""
    parts, count = ndimage.label(_subject(values))
    sizes = np.bincount(parts.ravel())[1 : count + 1]
    return -float((sizes > 20).sum()) - float(_subject(values).mean())


def drawn(values: np.ndarray) -> float:
    """Of two styles, shaded and flat, the flat: little changes within the subject."""
    inside = ndimage.binary_erosion(_subject(values), iterations=2)
    grey = values.mean(axis=-1)
    slopes = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))
    return -float(slopes[inside].mean()) if inside.any() else -1.0


def darker(values: np.ndarray) -> float:
    """A darker ground."""
    return -float(_ground(values).mean())


def colourful(values: np.ndarray) -> float:
    """Stronger colours."""
    return float((values.max(axis=-1) - values.min(axis=-1)).mean())


TASTES: dict[str, Callable[[np.ndarray], float]] = {
    "warmer": warmer,
    "thicker": thicker,
    "larger": larger,
    "left": left,
    "fewer": fewer,
    "flat": drawn,
    "darker": darker,
    "colourful": colourful,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all tastes share: the skill that is tuned, and pages that are taught, picked from, asked and scored."""

    backbone: Backbone
    start: Skill
    taught: list[Page]
    more: list[Page]
    asked: list[Page]
    unseen: list[Page]
    changes: dict[str, object]

    def requests(self, pages: Sequence[Page], seed: int, number: int) -> list[Request]:
        """Samples of pages, where the backbone knows such; else its own reading."""
        reading = Reading.SAMPLE if self.backbone.card.sample_steps else None
        return [
            Request(page=page.without_answers(), seed=seed + 100 * place, number=number, reading=reading)
            for place, page in enumerate(pages)
        ]

    def samples(self, skill: Skill, seeds: int) -> list[Image.Image]:
        """Of every page that nobody picked from, on `seeds` seeds."""
        made = Engine(self.backbone).generate(self.requests(self.unseen, 500_000, seeds), skill=skill)
        return [result.images[0] for result in made]

    def quality(self, skill: Skill) -> float:
        """PSNR on pages of the rule, read as means."""
        pages = self.unseen
        reading = Reading.MEAN if self.backbone.card.sample_steps else None
        requests = [Request(page=page.without_answers(), seed=7, reading=reading) for page in pages]
        made = Engine(self.backbone).generate(requests, skill=skill)
        pairs = zip(made, pages, strict=True)
        return fmean(
            psnr(_values(one.images[0].resize(page.slots[0].answer.size)), _values(page.slots[0].answer))
            for one, page in pairs
        )


def pick(bench: Bench, taste: Callable[[np.ndarray], float], folder: Path) -> int:
    """Pick from every page that is asked as somebody with the taste would; how many pages let one choose."""
    made = Engine(bench.backbone).generate(bench.requests(bench.asked, 1000, SHOWN), skill=bench.start)
    shown: list[Shown] = []
    for place in range(0, len(made), SHOWN):
        results = sorted(made[place : place + SHOWN], key=lambda result: taste(_values(result.images[0])))
        verdicts = [Verdict.REJECTED, *[Verdict.UNSEEN] * (SHOWN - 2), Verdict.KEPT]
        for result, verdict in zip(results, verdicts, strict=True):
            shown.append(Shown(request=result.request, images=result.images, verdict=verdict))
    add_picks(folder, shown, made_by="benchmarks/picks.py")
    return len(made) // SHOWN


def tuned(bench: Bench, way: str, picks: Path, folder: Path) -> tuple[Skill, str]:
    """The skill after one of `WAYS`, and what is to be known of it."""
    out = folder / f"{way.replace(' ', '-')}.safetensors"
    if way in ("nft", "dpo"):
        recipe = tuning_recipe(bench.start, None, {**bench.changes, "preference.kind": way})
        checked = check_picks(load_picks(picks), bench.start.card, bench.backbone.card, recipe)
        try:
            skill = prefer(
                checked.examples, bench.taught, out, recipe, bench.backbone, start=bench.start, overwrite=True
            )
        except TrainingError as error:
            return bench.start, str(error).partition(". The skill")[0]
        told = skill.card.recipe["picks"]
        assert isinstance(told, dict)
        return skill, f"held-out picks foretold {told['foretold']:.2f}"
    pages = [replace(chosen.page, page_id=chosen.pick_id) for chosen in load_picks(picks)]
    kept = [replace(page, panels=tuple(replace(panel, rejected=()) for panel in page.panels)) for page in pages]
    pages = bench.taught + (kept if way == "kept only" else bench.more)
    plain = {key: value for key, value in bench.changes.items() if not key.startswith("preference")}
    recipe = tuning_recipe(bench.start, None, plain | {"preference": None})
    return train(pages, out, recipe, bench.backbone, start=bench.start, overwrite=True), ""


def measure(bench: Bench, name: str, folder: Path, seeds: int) -> dict[str, object]:
    """Everything of one taste."""
    taste, began = TASTES[name], time.monotonic()
    pick(bench, taste, folder / "picks")
    before = [taste(_values(picture)) for picture in bench.samples(bench.start, seeds)]
    quality, rows = bench.quality(bench.start), {}
    for way in WAYS:
        skill, note = tuned(bench, way, folder / "picks", folder)
        after = [taste(_values(picture)) for picture in bench.samples(skill, seeds)]
        wins = sum(1.0 if new > old else 0.5 if new == old else 0.0 for old, new in zip(before, after, strict=True))
        found = wilson(wins, len(before))
        rows[way] = {
            "wins": wins,
            "of": len(before),
            "rate": [found.mean, found.low, found.high],
            "db": bench.quality(skill) - quality,
            "note": note,
        }
        print(f"{name}, {way}: {found.mean:.2f} [{found.low:.2f}, {found.high:.2f}], {rows[way]['db']:+.2f} dB {note}")
    return {"taste": name, "ways": rows, "seconds": round(time.monotonic() - began), "picks": len(bench.asked)}


def table(folder: Path) -> str:
    """The tastes in `folder` as Markdown."""
    lines = [f"| taste | {' | '.join(WAYS)} |", "|---" * (len(WAYS) + 1) + "|"]
    for name in TASTES:
        if (path := folder / f"{name}.json").is_file():
            cells = []
            for way in WAYS:
                row = read_json(path)["ways"][way]
                rate, low, high = row["rate"]
                cells.append(f"{rate:.2f} [{low:.2f}, {high:.2f}], {row['db']:+.2f} dB")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _bench(asked: argparse.Namespace) -> Bench:
    backbone = tt.load(asked.backbone)
    rule = find_rule(asked.rule)
    source = SpriteScenes(SpriteSource(asked.sprites)) if asked.sprites else ShapeSource()

    def pages(count: int, seed: int) -> list[Page]:
        return list(built_pages(rule, source, count, seed))

    taught, start = pages(asked.taught, 1), asked.out / "start.safetensors"
    own = {"backbone": asked.backbone, "steps": asked.start_steps, "watch.samples": 0}
    recipe: Recipe = load_recipe("pocket", own | {"variety.shots": [0]})
    skill = load_skill(start) if start.is_file() else train(taught, start, recipe, backbone)
    changes = {"steps": asked.steps, **{key: json.loads(value) for key, value in (c.split("=") for c in asked.set)}}
    return Bench(
        backbone=backbone,
        start=skill,
        taught=taught,
        more=pages(asked.picks, 2),
        asked=pages(asked.picks, 3),
        unseen=pages(asked.unseen, 4),
        changes={"watch.samples": 0, **changes},
    )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="pocket", help="a pocket with the sample mode")
    parser.add_argument("--sprites", type=Path, help="rendered by `triptych pocket sprites`; default: plain shapes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures, one file a taste")
    parser.add_argument("--rule", default="text-to-picture", help="whose pages have many right answers")
    parser.add_argument("--tastes", default=",".join(TASTES))
    parser.add_argument("--picks", type=int, default=40)
    parser.add_argument("--taught", type=int, default=10)
    parser.add_argument("--unseen", type=int, default=32, help="pages that nobody picked from")
    parser.add_argument("--seeds", type=int, default=2, help="samples of each of them")
    parser.add_argument("--start-steps", type=int, default=60)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="change the recipe")
    parser.add_argument("--table", action="store_true", help="print what is measured and measure nothing")
    asked = parser.parse_args()
    if asked.table:
        return print(table(asked.out))
    bench = _bench(asked)
    for name in asked.tastes.split(","):
        path = asked.out / f"{name}.json"
        if not path.is_file():
            found = measure(bench, name, asked.out / name, asked.seeds)
            write_atomic(path, json.dumps(found, indent=1).encode())
    print(table(asked.out))


if __name__ == "__main__":
    main()
