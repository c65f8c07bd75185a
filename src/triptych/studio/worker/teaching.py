"""Training jobs: pages in, a skill on the shelf; a run that was stopped or killed goes on from its checkpoint."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from triptych.data.pagesets import load_pageset, save_pageset
from triptych.page import Page
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore
from triptych.studio.folders import DataFolder
from triptych.studio.jobs import Jobs, State
from triptych.studio.pages import page_of
from triptych.studio.shelf import Shelf, file_stem
from triptych.studio.store import Store
from triptych.studio.worker.job import Claim, StopJob
from triptych.studio.worker.maker import Maker

__all__ = ["finished_page", "recipe_of", "teach"]

_SAMPLES = 6


def teach(claim: Claim, maker: Maker, store: Store, files: FileStore, folder: DataFolder) -> None:
    """Train a skill on a job's pages, put it on the shelf, and end the job."""
    from triptych.training.loop import run_folder, train

    body = claim.body
    run = folder.runs / (body.get("more_from") or claim.id)
    out = run / f"{file_stem(body['name'])}.safetensors"
    claim.progress("prepare")
    pages = _pages(claim, maker, run)
    recipe = recipe_of(body, len(pages))
    backbone = maker.own_backbone(recipe.backbone)
    watch = _Watch(claim, files, run_folder(out) / "contact-sheet.png")
    resume = any((run_folder(out) / "checkpoints").glob("*"))
    skill = train(pages, out, recipe, backbone, resume=resume, on_progress=watch)
    claim.progress("publish", recipe.steps, recipe.steps)
    picture = files.add_image(pages[0].slots[0].answer).id if pages[0].slots[0].answer else None
    shelf = Shelf(store, folder)
    shelf.place(claim.id, out)
    with store.transaction():
        if not Jobs(store).owns(claim.id, claim.owner):
            raise StopJob
        row = shelf.add(
            claim.id,
            name=body["name"],
            summary=skill.card.description,
            backbone=skill.card.backbone,
            picture=watch.last or picture,
            pages=len(pages),
            steps=recipe.steps,
        )
        Jobs(store).finish(claim.id, claim.owner, State.DONE, results={"skill": claim.id})
    claim.tell("skill", skill=row)
    shutil.rmtree(run_folder(out) / "cache", ignore_errors=True)


def recipe_of(body: Mapping[str, Any], pages: int) -> Any:
    """The recipe that a request asks for, made to fit few pages."""
    from triptych.training.recipe import load_recipe

    name = "pocket" if (body.get("backbone") or "pocket") == "pocket" else "flux2-klein"
    changes: dict[str, object] = {"backbone": body.get("backbone") or "pocket"}
    recipe = load_recipe(name)
    steps = int(body.get("steps") or recipe.steps)
    if body.get("epochs") and not body.get("steps"):
        # An epoch shows every page alone and, where pages stand behind examples, behind each other one.
        shown = pages * (pages if 1 in recipe.variety.shots else 1)
        steps = max(1, round(int(body["epochs"]) * shown / recipe.batch))
    changes |= {"steps": steps, "optimizer.warmup": min(recipe.optimizer.warmup, steps)}
    if pages < 2:
        changes["variety.shots"] = [0]
    if recipe.watch.sample_every:
        changes["watch.sample_every"] = max(1, min(recipe.watch.sample_every, steps // _SAMPLES))
    return load_recipe(name, changes)


def _pages(claim: Claim, maker: Maker, run: Path) -> list[Page]:
    """The job's pages, as they were written when the run began."""
    kept = run / "pages"
    if not kept.is_dir():
        pages = [finished_page(page_of(data, maker.read), number) for number, data in enumerate(claim.body["pages"], 1)]
        save_pageset(pages, kept)
    return list(load_pageset(kept))


def finished_page(page: Page, number: int) -> Page:
    """A page to learn from. Raises StudioError naming the panel that has no answer."""
    from dataclasses import replace

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

    def __init__(self, claim: Claim, files: FileStore, sheet: Path) -> None:
        self._claim, self._files, self._sheet = claim, files, sheet
        self._seen = 0.0
        self.last: str | None = None

    def __call__(self, reached: Any) -> None:
        samples = self._samples()
        if reached.note:
            self._claim.tell("log", step=reached.step, loss=None, samples=samples, note=reached.note)
        else:
            self._claim.progress(
                "train", reached.step, reached.steps, eta_s=round(reached.seconds_left, 1), loss=reached.loss
            )
            self._claim.tell("log", step=reached.step, loss=reached.loss, samples=samples)
        self._claim.check()

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
