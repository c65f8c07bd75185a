"""Jobs of the rules lab: page sets made by rules, and reports of how well they are followed."""

from typing import Any

from triptych.data.build import build as build_pages
from triptych.data.build import built_pages
from triptych.data.pagesets import load_pageset
from triptych.data.rules import find_rule
from triptych.data.sources import ShapeSource
from triptych.events import Event, Step
from triptych.page import Page
from triptych.studio.folders import DataFolder
from triptych.studio.jobs import Jobs, State
from triptych.studio.store import Store
from triptych.studio.worker.job import Claim
from triptych.studio.worker.maker import Maker

__all__ = ["build", "rate"]

_SEED = 20_000
"""Pages to evaluate on are not those that the lab shows first."""


def build(claim: Claim, store: Store, folder: DataFolder) -> None:
    """Write a page set that a rule makes, and end the job."""
    body = claim.body
    count = int(body["count"])
    out = folder.pagesets / claim.id

    def on_event(event: Event) -> None:
        claim.check()
        if isinstance(event, Step):
            claim.progress("build", event.step, event.steps)

    if not out.is_dir():
        build_pages(find_rule(body["rule"]), ShapeSource(), count, int(body.get("seed") or 0), out, on_event=on_event)
    Jobs(store).finish(claim.id, claim.owner, State.DONE, results={"page_set": claim.id})


def rate(claim: Claim, maker: Maker, store: Store, folder: DataFolder) -> None:
    """Evaluate a backbone and skills, write the report, and end the job."""
    from triptych.evaluation.report import write_report
    from triptych.evaluation.run import evaluate

    body = claim.body
    count = int(body["count"])
    out = folder.reports / claim.id
    pages = _pages(claim, folder, count)

    def on_event(event: Event) -> None:
        claim.check()
        if isinstance(event, Step):
            claim.progress("evaluate", event.step, event.steps)

    claim.progress("evaluate", 0, len(pages))
    skills = _skills(maker, body.get("skills") or [])
    shots = tuple(range(min(3, len(pages))))
    with maker.lent(body.get("backbone") or "pocket") as backbone:
        write_report(evaluate(backbone, pages, out=out, skill=skills, shots=shots, on_event=on_event))
    Jobs(store).finish(claim.id, claim.owner, State.DONE, results={"report": f"/api/reports/{claim.id}/report.html"})


def _skills(maker: Maker, uses: list[dict[str, Any]]) -> Any:
    from triptych.models.adapters import Skills

    if not uses:
        return None
    return Skills([maker.skill(use["id"]) for use in uses], weights=[float(use.get("weight", 1.0)) for use in uses])


def _pages(claim: Claim, folder: DataFolder, count: int) -> list[Page]:
    if page_set := claim.body.get("page_set"):
        return list(load_pageset(folder.pagesets / page_set)[:count])
    rule = find_rule(claim.body["rule"])
    pages = []
    for page in built_pages(rule, ShapeSource(), count, _SEED):
        claim.check()
        pages.append(page)
    return pages
