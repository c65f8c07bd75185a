"""What picks teach, without people: simulated pickers whose taste can be checked, beside what else the pages could do.

    PYTHONPATH=src python benchmarks/picks.py --backbone pocket-2 --sprites DIR --out DIR [--tastes warmer,flat]

Each taste is a number computed from a picture, and is asked on pages of a kind whose samples differ in it. Its picker
sees four samples of each page, keeps the one with the most of it and rejects the one with the least. A skill, trained
on a few pages of the kind, is tuned to these picks by DiffusionNFT and by Flow-DPO; beside them it is trained for as
many steps on the kept pictures as well, and on as many more pages of the kind. On pages that nobody picked from, each
version's samples stand against the untuned skill's on the same seeds before the same picker: its win rate has Wilson's
interval of 95%, ties being halves. The cost is in dB of PSNR on those pages, read as means.

What all tastes of a kind share is made once: the skill, the samples to pick from, those before, and the skill of more
pages. One JSON file a taste goes into DIR after every way, with a sheet of the pictures before and after, none
selected; what is there is not measured again. `--table` prints what is there as Markdown.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean

import numpy as np
from picks_tastes import KINDS, TASTES, values_of
from PIL import Image

import triptych as tt
from triptych.conditioning import Reading
from triptych.data.build import built_pages
from triptych.data.rules import find_rule
from triptych.data.sources import SpriteScenes
from triptych.data.sprites import SpriteSource
from triptych.errors import TrainingError
from triptych.evaluation.metrics import psnr
from triptych.evaluation.statistics import wilson
from triptych.files import read_json, write_atomic
from triptych.images import load_image, png_bytes
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.picks import Shown, Verdict, add_picks, load_picks
from triptych.sampling import Engine, Request
from triptych.sampling.request import SkillUse
from triptych.skill import Skill, load_skill
from triptych.training.loop import train
from triptych.training.pickcheck import check_picks
from triptych.training.prefer import prefer
from triptych.training.recipe import load_recipe
from triptych.training.tuning import tuning_recipe

SHOWN = 4
WAYS = ("nft", "dpo", "kept only", "more pages")
_THUMB_PX = 96
_SHEET_PICTURES = 12
_TAUGHT, _MORE, _ASKED, _UNSEEN = 1, 2, 3, 4
"""Seeds of the page sets."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all tastes of one kind share."""

    backbone: Backbone
    name: str
    source: SpriteScenes
    folder: Path
    asked: argparse.Namespace

    def pages(self, count: int, seed: int) -> list[Page]:
        """Pages of the kind, its rules taking turns."""
        rules = [find_rule(name) for name in KINDS[self.name].rules]
        each = [list(built_pages(rule, self.source, count, seed)) for rule in rules]
        return [each[place % len(each)][place] for place in range(count)]

    @cached_property
    def taught(self) -> list[Page]:
        return self.pages(self.asked.taught, _TAUGHT)

    @cached_property
    def more(self) -> list[Page]:
        return self.pages(self.asked.picks, _MORE)

    @cached_property
    def unseen(self) -> list[Page]:
        return self.pages(self.asked.unseen, _UNSEEN)

    @cached_property
    def changes(self) -> dict[str, object]:
        """What is changed in the recipe of tuning."""
        own = {key: json.loads(value) for key, value in (change.split("=", 1) for change in self.asked.set)}
        return {"steps": self.asked.steps, "watch.samples": 0, **own}

    @cached_property
    def start(self) -> Skill:
        """The skill that is tuned."""
        path = self.folder / "start.safetensors"
        if path.is_file():
            return load_skill(path)
        own = {"backbone": self.asked.backbone, "steps": self.asked.start_steps, "watch.samples": 0}
        own |= {"batch": 4, "draws": 2, "variety.shots": [0]}
        return train(self.taught, path, load_recipe("pocket", own), self.backbone)

    @cached_property
    def candidates(self) -> list[Shown]:
        """What pickers see: so many samples of each page, one page after the other; nothing is said of them yet."""
        return self.made(self.start, self.pages(self.asked.picks, _ASKED), 1000, SHOWN, self.folder / "candidates")

    @cached_property
    def before(self) -> tuple[list[Image.Image], float]:
        return self.shown_and_scored(self.start, self.folder / "before")

    @cached_property
    def by_more_pages(self) -> tuple[list[Image.Image], float]:
        skill = self.plainly(self.taught + self.more, self.folder / "more-pages.safetensors")
        return self.shown_and_scored(skill, self.folder / "more pages")

    def made(
        self, skill: Skill, pages: Sequence[Page], seed: int, number: int, folder: Path | None = None
    ) -> list[Shown]:
        """Samples of pages; those that are in the folder are not made again."""
        engine = Engine(self.backbone)
        requests = [
            Request(page=page.without_answers(), seed=seed + 100 * place, number=number, reading=Reading.SAMPLE)
            for place, page in enumerate(pages)
        ]
        each = [
            replace(engine.settled(request), seed=request.seed + more, number=1, skills=())
            for request in requests
            for more in range(number)
        ]
        paths = [folder / f"{place:04d}.png" for place in range(len(each))] if folder else []
        if not paths or not all(path.is_file() for path in paths):
            pictures = [result.images[0] for result in engine.generate(each, skill=skill)]
            for path, picture in zip(paths, pictures, strict=False):
                write_atomic(path, png_bytes(picture))
        else:
            pictures = [load_image(path) for path in paths]
        use = (SkillUse(name=skill.name),)
        return [
            Shown(request=replace(request, skills=use), images=(picture,), verdict=Verdict.UNSEEN)
            for request, picture in zip(each, pictures, strict=True)
        ]

    def shown_and_scored(self, skill: Skill, folder: Path | None = None) -> tuple[list[Image.Image], float]:
        """Samples of every page that nobody picked from, and PSNR on these pages read as means."""
        samples = [one.images[0] for one in self.made(skill, self.unseen, 500_000, self.asked.seeds, folder)]
        requests = [Request(page=page.without_answers(), seed=7, reading=Reading.MEAN) for page in self.unseen]
        means = [result.images[0] for result in Engine(self.backbone).generate(requests, skill=skill)]
        answers = [page.slots[0].answer for page in self.unseen]
        pairs = zip(means, answers, strict=True)
        return samples, fmean(
            psnr(values_of(one.resize(right.size)), values_of(right)) for one, right in pairs if right
        )

    def plainly(self, pages: Sequence[Page], out: Path) -> Skill:
        """The skill trained on pages as ever, for as many steps."""
        plain = {key: value for key, value in self.changes.items() if not key.startswith("preference")}
        recipe = tuning_recipe(self.start, None, plain | {"preference": None})
        return train(pages, out, recipe, self.backbone, start=self.start, overwrite=True)


def pick(bench: Bench, taste: Callable[[np.ndarray], float], folder: Path) -> None:
    """Pick from every page that is asked as somebody with the taste would."""
    made, shown = bench.candidates, []
    for place in range(0, len(made), SHOWN):
        results = sorted(made[place : place + SHOWN], key=lambda result: taste(values_of(result.images[0])))
        verdicts = [Verdict.REJECTED, *[Verdict.UNSEEN] * (SHOWN - 2), Verdict.KEPT]
        shown += [replace(result, verdict=verdict) for result, verdict in zip(results, verdicts, strict=True)]
    add_picks(folder, shown, made_by="benchmarks/picks.py")


def tuned(bench: Bench, way: str, picks: Path, folder: Path) -> tuple[Skill, str]:
    """The skill after one of `WAYS`, and what is to be known of it."""
    out = folder / f"{way.replace(' ', '-')}.safetensors"
    if way == "kept only":
        kept = [_answered(chosen.page, chosen.pick_id) for chosen in load_picks(picks)]
        return bench.plainly(bench.taught + kept, out), ""
    recipe = tuning_recipe(bench.start, None, {**bench.changes, "preference.kind": way})
    checked = check_picks(load_picks(picks), bench.start.card, bench.backbone.card, recipe)
    try:
        skill = prefer(checked.examples, bench.taught, out, recipe, bench.backbone, start=bench.start, overwrite=True)
    except TrainingError as error:
        return bench.start, str(error).partition(". The skill")[0]
    told = skill.card.recipe["picks"]
    assert isinstance(told, dict)
    steps = skill.card.steps - bench.start.card.steps
    return skill, f"step {steps}, foretold {told['foretold']:.2f}, by chance {told['chance']:.3f}"


def _answered(page: Page, page_id: str) -> Page:
    return replace(page, page_id=page_id, panels=tuple(replace(panel, rejected=()) for panel in page.panels))


def measure(bench: Bench, name: str, path: Path) -> None:
    """Every way of one taste that is not in its file yet."""
    taste, folder = TASTES[name][1], path.with_suffix("")
    if not (folder / "picks").is_dir():
        pick(bench, taste, folder / "picks")
    found = read_json(path) if path.is_file() else {"taste": name, "picks": bench.asked.picks, "ways": {}}
    pictures, quality = bench.before
    before, rows = [taste(values_of(picture)) for picture in pictures], [pictures]
    for way in bench.asked.ways.split(","):
        if way in found["ways"]:
            continue
        began, note = time.process_time(), ""
        if way == "more pages":
            samples, after_quality = bench.by_more_pages
        else:
            skill, note = tuned(bench, way, folder / "picks", folder)
            samples, after_quality = bench.before if skill is bench.start else bench.shown_and_scored(skill)
        after = [taste(values_of(picture)) for picture in samples]
        wins = sum(1.0 if new > old else 0.5 if new == old else 0.0 for old, new in zip(before, after, strict=True))
        rate = wilson(wins, len(before))
        found["ways"][way] = {
            "wins": wins,
            "of": len(before),
            "rate": [rate.mean, rate.low, rate.high],
            "db": after_quality - quality,
            "cpu_s": round(time.process_time() - began),
            "note": note,
        }
        rows.append(samples)
        write_atomic(path, json.dumps(found, indent=1).encode())
        print(f"{name}, {way}: {_cell(found['ways'][way])} {note}", flush=True)
    if len(rows) > 1:
        write_atomic(path.with_suffix(".png"), png_bytes(_sheet(rows)))


def _sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """The first pictures of each row, the same seeds under each other."""
    sheet = Image.new("RGB", (_SHEET_PICTURES * _THUMB_PX, len(rows) * _THUMB_PX), "white")
    for down, row in enumerate(rows):
        for across, picture in enumerate(row[:_SHEET_PICTURES]):
            thumb = picture.convert("RGB").resize((_THUMB_PX, _THUMB_PX))
            sheet.paste(thumb, (across * _THUMB_PX, down * _THUMB_PX))
    return sheet


def _cell(row: dict[str, object]) -> str:
    rate = row["rate"]
    assert isinstance(rate, list)
    return f"{rate[0]:.2f} [{rate[1]:.2f}, {rate[2]:.2f}], {row['db']:+.2f} dB"


def table(folder: Path) -> str:
    """The tastes in `folder` as Markdown."""
    lines = [f"| taste | pages | {' | '.join(WAYS)} |", "|---" * (len(WAYS) + 2) + "|"]
    for name, (kind, _) in TASTES.items():
        if (path := folder / f"{name}.json").is_file():
            ways = read_json(path)["ways"]
            cells = [_cell(ways[way]) if way in ways else "-" for way in WAYS]
            lines.append(f"| {name} | {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backbone", default="pocket-2", help="a pocket with the sample mode")
    parser.add_argument("--sprites", type=Path, help="rendered by `triptych pocket sprites`")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures, one file a taste")
    parser.add_argument("--tastes", default=",".join(TASTES))
    parser.add_argument("--picks", type=int, default=40)
    parser.add_argument("--taught", type=int, default=10)
    parser.add_argument("--unseen", type=int, default=24, help="pages that nobody picked from")
    parser.add_argument("--seeds", type=int, default=2, help="samples of each of them")
    parser.add_argument("--start-steps", type=int, default=30)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="change the recipe")
    parser.add_argument("--table", action="store_true", help="print what is measured and measure nothing")
    asked = parser.parse_args()
    if not asked.table:
        if asked.sprites is None:
            parser.error("--sprites is missing: a folder made by `triptych pocket sprites`")
        backbone, benches = tt.load(asked.backbone), {}
        for name in asked.tastes.split(","):
            kind = TASTES[name][0]
            if kind not in benches:
                source = SpriteScenes(SpriteSource(asked.sprites), styles=KINDS[kind].styles)
                folder = asked.out / f"pages of {kind}"
                benches[kind] = Bench(backbone=backbone, name=kind, source=source, folder=folder, asked=asked)
            measure(benches[kind], name, asked.out / f"{name}.json")
    print(table(asked.out))


if __name__ == "__main__":
    main()
