"""Training jobs: pages in, a skill on the shelf; a run that was stopped or killed goes on from its checkpoint."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from triptych.data.pagesets import load_pageset, save_pageset
from triptych.events import Event, Step, Warning
from triptych.page import Page
from triptych.picks import load_picks
from triptych.skill import Skill, SkillCard
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore
from triptych.studio.folders import DataFolder
from triptych.studio.jobs import Jobs, State
from triptych.studio.pages import page_of
from triptych.studio.shelf import Shelf, file_stem
from triptych.studio.store import Store
from triptych.studio.worker.job import Claim, StopJob
from triptych.studio.worker.maker import Maker

__all__ = ["finished_page", "recipe_of", "teach", "tune"]

_SAMPLES = 6
_GAP_PX = 8


def teach(claim: Claim, maker: Maker, store: Store, files: FileStore, folder: DataFolder) -> None:
    """Train a skill on a job's pages, put it on the shelf, and end the job."""
    from triptych.training.loop import train

    if claim.body.get("prefer"):
        return tune(claim, maker, store, files, folder)
    run = _begun(claim, folder)
    pages = _pages(claim, maker, run)
    recipe = recipe_of(claim.body, pages)
    watch = _Watch(claim, files, run.log / "contact-sheet.png", recipe.steps)
    with maker.lent(recipe.backbone) as backbone:
        skill = train(
            pages,
            run.out,
            recipe,
            backbone,
            resume=run.resume,
            more_steps=run.more_steps,
            on_event=watch,
            cancel=claim.token,
        )
    shown = _sign(run.log / "contact-sheet.png") or pages[0].slots[0].answer
    picture = files.add_image(shown).id if shown else None
    _publish(claim, store, folder, run, skill.card, (picture, len(pages), watch.steps))


def tune(claim: Claim, maker: Maker, store: Store, files: FileStore, folder: DataFolder) -> None:
    """Tune a skill of the shelf to what was picked in the studio, put the better one beside it, and end the job."""
    from triptych.training.pickcheck import check_picks
    from triptych.training.prefer import prefer
    from triptych.training.tuning import tuning_recipe

    body, run = claim.body, _begun(claim, folder)
    if not run.pages.is_dir():
        save_pageset(load_pageset(folder.taught(body["prefer"])), run.pages)
    pages, start = load_pageset(run.pages), maker.skill(body["prefer"])
    recipe = tuning_recipe(start, None, {"steps": body["steps"]} if body.get("steps") else {})
    # The file only grows: an attempt that goes on learns from as much of it as the first one did.
    picks = load_picks(folder.root, first_bytes=body["picks_bytes"])
    with maker.lent(recipe.backbone) as backbone:
        checked = check_picks(picks, start.card, backbone.card, recipe)
        watch = _Watch(claim, files, run.log / "picks.png", recipe.steps)
        for problem in checked.problems:
            watch(Warning(text=str(problem)))
        checked.refuse_few(len(picks))
        skill = prefer(
            checked.examples,
            pages,
            run.out,
            recipe,
            backbone,
            start=start,
            resume=run.resume,
            more_steps=run.more_steps,
            on_event=watch,
            cancel=claim.token,
        )
    watch(Warning(text=f"held-out picks and pages before and after: {run.log / 'picks.md'}"))
    picture = Shelf(store, folder).get(body["prefer"])["picture"]
    picture = watch.last or (picture or "").removeprefix("/api/files/") or None
    _publish(claim, store, folder, run, skill.card, (picture, len(pages), skill.card.steps))


def _sign(sheet: Path) -> Image.Image | None:
    """What a skill is known by on the shelf: what it made at the end, four pictures two by two, or else one."""
    from triptych.training.watch import newest_samples

    samples = newest_samples(sheet)
    if len(samples) < 4:
        return samples[0] if samples else None
    side = samples[0].width
    sign = Image.new("RGB", (2 * side + _GAP_PX, 2 * side + _GAP_PX), "white")
    for number, sample in enumerate(samples[:4]):
        sign.paste(sample, (number % 2 * (side + _GAP_PX), number // 2 * (side + _GAP_PX)))
    return sign


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What a training keeps, and how far an attempt before this one has come."""

    pages: Path
    """The page set that it learns from."""
    out: Path
    """The file of the skill."""
    log: Path
    """The folder of checkpoints, caches and samples."""
    resume: bool
    more_steps: int
    """Steps to add; none where an attempt before this one has added them."""


def _begun(claim: Claim, folder: DataFolder) -> _Run:
    """The run of a job, begun or found as it was left; one that makes another longer starts as a copy of it."""
    from triptych.training.checkpoint import newest_checkpoint
    from triptych.training.claim import CHECKPOINTS, run_folder

    claim.progress("prepare")
    body = claim.body
    run = folder.runs / (body.get("run") or claim.id)
    if body.get("base") and not run.is_dir():
        _copy_run(folder.runs / body["base"], run)
    out = run / f"{file_stem(body.get('called') or body['name'])}.safetensors"
    checkpoint, _ = newest_checkpoint(run_folder(out) / CHECKPOINTS)
    spans = checkpoint.values.get("spans", ()) if checkpoint else ()
    return _Run(
        pages=run / "pages",
        out=out,
        log=run_folder(out),
        resume=checkpoint is not None,
        more_steps=body.get("more_steps") or 0 if len(spans) <= body.get("times_longer", 0) else 0,
    )


def _publish(
    claim: Claim, store: Store, folder: DataFolder, run: _Run, card: SkillCard, facts: tuple[str | None, int, int]
) -> None:
    """Put a finished skill on the shelf, with its picture and how many pages and steps made it, and end the job."""
    picture, pages, steps = facts
    claim.progress("publish", steps, steps)
    shelf = Shelf(store, folder)
    shelf.place(claim.id, run.out)
    with store.transaction():
        if not Jobs(store).owns(claim.id, claim.owner):
            raise StopJob
        row = shelf.add(
            claim.id,
            name=claim.body["name"],
            summary=card.description,
            backbone=card.backbone,
            picture=picture,
            pages=pages,
            steps=steps,
        )
        Jobs(store).finish(claim.id, claim.owner, State.DONE, results={"skill": claim.id})
    claim.tell("skill", skill=row)
    shutil.rmtree(run.log / "cache", ignore_errors=True)


def _copy_run(base: Path, run: Path) -> None:
    """A finished run, to be made longer: the skill that came of it stays as it is."""
    if not base.is_dir():
        raise StudioError("the files of that training are gone; teach the skill again.", code="gone")
    scratch = run.with_name(f".{run.name}.copy")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(base, scratch)
    scratch.rename(run)


def recipe_of(body: Mapping[str, Any], pages: Sequence[Page]) -> Any:
    """The recipe that a request asks for, made to fit few pages, and pages with boxes, which are no examples."""
    from triptych.models.catalog import known_card
    from triptych.training.recipe import load_recipe

    backbone = body.get("backbone") or "pocket"
    card = known_card(backbone)
    name = "pocket" if card and card.family == "pocket" else "flux2-klein"
    changes: dict[str, object] = {"backbone": backbone}
    recipe = load_recipe(name)
    alone = len(pages) < 2 or any(page.has_boxes for page in pages)
    steps = int(body.get("steps") or recipe.steps)
    if body.get("epochs") and not body.get("steps"):
        # An epoch shows every page alone and, where pages stand behind examples, behind each other one.
        shown = len(pages) * (len(pages) if 1 in recipe.variety.shots and not alone else 1)
        steps = max(1, round(int(body["epochs"]) * shown / recipe.batch))
    changes["steps"] = steps
    if alone:
        changes["variety.shots"] = [0]
    if recipe.watch.sample_every:
        changes["watch.sample_every"] = max(1, min(recipe.watch.sample_every, steps // _SAMPLES))
    return load_recipe(name, changes)


def _pages(claim: Claim, maker: Maker, run: _Run) -> list[Page]:
    """The job's pages, as they were written when the run began."""
    if not run.pages.is_dir():
        pages = [finished_page(page_of(data, maker.read), number) for number, data in enumerate(claim.body["pages"], 1)]
        save_pageset(pages, run.pages)
    return list(load_pageset(run.pages))


def finished_page(page: Page, number: int) -> Page:
    """A page to learn from. Raises StudioError naming the panel that has no answer."""
    if not page.is_answered:
        missing = next(place for place, panel in enumerate(page.panels, 1) if panel.is_slot and panel.answer is None)
        raise StudioError(
            f"page {number}, panel {missing} is empty; a page to learn from shows the right picture in every slot.",
            code="unanswered",
            status=422,
            where=f"page {number}, panel {missing}",
        )
    panels = tuple(replace(panel, size_px=None) if panel.is_slot else panel for panel in page.panels)
    return replace(page, panels=panels, context=(), page_id=f"page-{number}")


class _Watch:
    """Tells how a training goes: loss, time left, and the newest samples."""

    def __init__(self, claim: Claim, files: FileStore, sheet: Path, steps: int) -> None:
        self._claim, self._files, self._sheet = claim, files, sheet
        self._seen, self._step = 0.0, 0
        self.steps = steps
        """Of the whole run, which may have been made longer."""
        self.last: str | None = None

    def __call__(self, event: Event[Skill]) -> None:
        match event:
            case Step():
                self._step, self.steps = event.step, event.steps
                loss, left = event.measures.get("loss"), round(event.seconds_left or 0.0, 1)
                self._claim.progress("train", event.step, event.steps, eta_s=left, loss=loss)
                self._claim.tell("log", step=event.step, loss=loss, samples=self._samples())
            case Warning():
                self._claim.tell("log", step=self._step, loss=None, samples=self._samples(), note=event.text)
        self._claim.give_way()

    def _samples(self) -> list[str]:
        """The contact sheet, where it has grown."""
        try:
            changed = self._sheet.stat().st_mtime
        except OSError:
            return []
        if changed == self._seen:
            return []
        self._seen = changed
        with Image.open(self._sheet) as sheet:
            kept = self._files.add_image(sheet.convert("RGB"))
        self.last = kept.id
        return [kept.url]
