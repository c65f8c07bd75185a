"""`Studio`: everything behind the API, without the web: files, documents, gallery, shelf, queue, worker."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from triptych.data.rules import find_rule
from triptych.errors import SourceError
from triptych.studio.broadcast import Broadcast
from triptych.studio.documents import Documents
from triptych.studio.errors import StudioError, not_found
from triptych.studio.files import FileStore, references
from triptych.studio.folders import DataFolder
from triptych.studio.gallery import Gallery
from triptych.studio.jobs import Jobs, Kind, Lane, State
from triptych.studio.pages import checked_page, words_of
from triptych.studio.picks import Picks
from triptych.studio.requests import checked_request
from triptych.studio.schemas import BuildBody, EvaluateBody, GenerateBody, TrainBody
from triptych.studio.shelf import Shelf
from triptych.studio.starters import starters
from triptych.studio.store import Store, unpacked
from triptych.studio.supervisor import Supervisor
from triptych.version import __version__

__all__ = ["DISK_LIMIT_BYTES", "Studio"]

DISK_LIMIT_BYTES = 20 * 2**30
_FILES_KEPT_S = 86400.0
_NAMING = (("documents", "page"), ("documents", "settings"), ("jobs", "body"), ("pictures", "request"))
"""Where pictures are named."""
_FACTS_S = 60.0


class Studio:
    """One data folder at work."""

    def __init__(
        self, root: Path, *, backbones: tuple[str, ...] = ("pocket",), limit_bytes: int = DISK_LIMIT_BYTES
    ) -> None:
        self.folder = DataFolder(root=root)
        self.folder.make()
        self.store = Store(self.folder.database)
        self.files = FileStore(root, self.store, limit_bytes=limit_bytes)
        self.documents = Documents(self.store)
        self.gallery = Gallery(self.store)
        self.shelf = Shelf(self.store, self.folder)
        self.picks = Picks(root, self.gallery, self.files, self.shelf)
        self.jobs = Jobs(self.store)
        self.events = Broadcast(__version__)
        self.backbones, self.limit_bytes = backbones, limit_bytes
        self.supervisor = Supervisor(
            self.folder, self.store, backbones=backbones, limit_bytes=limit_bytes, on_event=self._hear
        )

    @contextlib.contextmanager
    def running(self) -> Iterator["Studio"]:
        """With a worker at work."""
        self.tidy()
        self.supervisor.start()
        try:
            yield self
        finally:
            self.events.close()
            self.supervisor.stop()
            self.store.close()

    @cached_property
    def starters(self) -> list[dict[str, Any]]:
        """Ready pages to begin with; their pictures are put among the files once."""
        return starters(self.files)

    def add_job(
        self,
        kind: Kind,
        body: Mapping[str, Any],
        *,
        lane: Lane = Lane.BATCH,
        replaces: str | None = None,
        document: str | None = None,
    ) -> dict[str, Any]:
        """A checked job at the end of its lane. Raises StudioError that says what to change."""
        checked, title, words = self._checked(kind, body)
        if kind in (Kind.GENERATE, Kind.TRAIN):
            self.files.check_room()
        if replaces is not None:
            self._replace(replaces)
        job = self.jobs.add(kind, checked, lane=lane, title=title, document=document)
        self.supervisor.wake()
        self.events.send("job", job)
        if lane is Lane.BATCH:
            self.gallery.note_prompts(words)
        return job

    def cancel(self, job: str) -> dict[str, Any]:
        """Stop a job or take it from the queue."""
        found = self.jobs.cancel(job)
        self.events.send("job", found)
        self.supervisor.cancel(job)
        return found

    def backbone_facts(self) -> list[dict[str, Any]]:
        """What the offered backbones can do; waits for the worker the first time."""
        until = time.monotonic() + _FACTS_S
        while True:
            known = self.store.fact("backbones") or []
            if known and known[0]["name"] == self.backbones[0]:
                return known
            if time.monotonic() > until:
                return []
            time.sleep(0.1)

    def cards(self) -> dict[str, dict[str, Any] | None]:
        """The facts of each offered backbone as `triptych.models.backbone.Card` has them; None before it is loaded."""
        self.backbone_facts()
        known = self.store.fact("cards") or {}
        return {name: known.get(name) for name in self.backbones}

    def tidy(self) -> None:
        """Forget what is old, and delete pictures that nothing names any more."""
        self.jobs.forget_old()
        self.gallery.forget_old()
        self.documents.forget_old()
        used = {row["file"] for row in self.store.rows("SELECT file FROM pictures")}
        used |= {row["picture"] for row in self.store.rows("SELECT picture FROM skills WHERE picture IS NOT NULL")}
        for sql in (
            "SELECT page AS t FROM documents",
            "SELECT body AS t FROM jobs",
            "SELECT request AS t FROM pictures",
        ):
            for row in self.store.rows(sql):
                used.update(references(unpacked(row["t"])))
        for row in self.store.rows("SELECT settings AS t FROM documents"):
            used.update(references(unpacked(row["t"])))
        self.files.remove_unused(frozenset(used), older_than_s=_FILES_KEPT_S)

    def _replace(self, job: str) -> None:
        with contextlib.suppress(StudioError):
            old = self.jobs.get(job)
            if old["lane"] != Lane.LIVE:
                return
            if old["state"] == State.DONE:
                self.gallery.delete_drafts(job)
            else:
                self.cancel(job)

    def _checked(self, kind: Kind, body: Mapping[str, Any]) -> tuple[dict[str, Any], str, list[str]]:
        """The body as it is kept, a title, and the words that were used."""
        match kind:
            case Kind.GENERATE:
                asked = GenerateBody.model_validate(body)
                request = checked_request(asked.request, asked.slots, self.files, self.shelf)
                request["backbone"] = request.get("backbone") or self.backbones[0]
                self._check_backbone(request["backbone"])
                words = words_of(request["page"])
                return {"request": request, "slots": asked.slots}, (words or ["pictures"])[-1][:80], words
            case Kind.TRAIN:
                return self._checked_training(TrainBody.model_validate(body))
            case Kind.EVALUATE:
                return self._checked_evaluation(EvaluateBody.model_validate(body))
            case Kind.BUILD:
                build = BuildBody.model_validate(body)
                self._check_rule(build.rule)
                return build.model_dump(), f"{build.count} pages of {build.rule}", []

    def _checked_training(self, body: TrainBody) -> tuple[dict[str, Any], str, list[str]]:
        self._check_backbone(body.backbone)
        checked = body.model_dump()
        if body.continues is not None:
            return self._continued(body.continues, body), body.name, []
        if body.more_steps is not None:
            raise StudioError(
                "more_steps makes a training longer; name it by continues.", code="bad_request", status=422
            )
        if body.prefer is not None:
            return self._checked_tuning(body.prefer, checked), body.name, []
        if not body.pages:
            raise StudioError(
                "there are no pages to learn from; give about ten finished ones.", code="no_pages", status=422
            )
        checked["pages"] = [checked_page(page, self.files, f"page {n}") for n, page in enumerate(body.pages, 1)]
        return checked, body.name, []

    def _checked_tuning(self, skill: str, checked: dict[str, Any]) -> dict[str, Any]:
        self.shelf.get(skill)
        if not self.folder.taught(skill).is_dir():
            raise StudioError(
                "the pages that taught this skill are not here, and one half of what is learned are these. Take a "
                "skill that was taught in this studio.",
                code="no_pages",
                status=422,
            )
        few = self.picks.too_few()
        if few is not None:
            raise StudioError(few, code="few_picks", status=422)
        return checked | {"picks_bytes": self.picks.size_bytes}

    def _continued(self, job: str, body: TrainBody) -> dict[str, Any]:
        """What a training that goes on is asked; pages, recipe and folder are those of the first."""
        before = self.jobs.get(job, body=True)
        if before["kind"] != Kind.TRAIN or before["state"] not in (State.CANCELLED, State.FAILED, State.DONE):
            raise StudioError("only a training that has ended can be continued.", code="conflict", status=409)
        if before["state"] == State.DONE and body.more_steps is None:
            raise StudioError(
                "the training is done. Say by more_steps how much longer it is to be.", code="conflict", status=409
            )
        old = before["body"]
        run, done = old.get("run") or job, before["state"] == State.DONE
        return old | {
            "name": body.name,
            "called": old.get("called") or old["name"],
            "run": None if done else run,
            "base": run if done else old.get("base"),
            "more_steps": body.more_steps or old.get("more_steps"),
            "times_longer": old.get("times_longer", 0) + (body.more_steps is not None),
        }

    def _checked_evaluation(self, body: EvaluateBody) -> tuple[dict[str, Any], str, list[str]]:
        self._check_backbone(body.backbone)
        if (body.rule is None) == (body.page_set is None):
            raise StudioError("give a rule or a page_set, one of the two.", code="bad_request", status=422)
        if body.rule is not None:
            self._check_rule(body.rule)
        if body.page_set is not None and not self.page_set(body.page_set).is_dir():
            raise not_found("page set", body.page_set)
        for use in body.skills:
            self.shelf.get(str(use.get("id", "")))
            if not isinstance(use.get("weight", 1.0), (int, float)):
                raise StudioError("weight of a skill must be a number.", code="bad_request", status=422)
        return body.model_dump(), f"{body.rule or 'page set'}: evaluation", []

    def page_set(self, job: str) -> Path:
        """The folder of a page set that a job built."""
        self.jobs.get(job)
        return self.folder.pagesets / job

    def _check_backbone(self, name: object) -> None:
        if name is not None and name not in self.backbones:
            raise StudioError(
                f"the studio does not offer the backbone {str(name)[:80]!r}; it offers {', '.join(self.backbones)}. "
                "Start it with --backbone to add one.",
                code="unknown_backbone",
                status=422,
                where="backbone",
            )

    def _check_rule(self, name: str) -> None:
        # A rule may also be a Python file, which the command line runs and nobody from outside may.
        if ".py" in name:
            raise not_found("rule", name)
        try:
            find_rule(name)
        except SourceError as error:
            raise StudioError(str(error)[:500], code="not_found", status=404) from error

    def _hear(self, event: str, data: Any) -> None:
        """What the worker tells, as the page is told."""
        try:
            match event:
                case "job":
                    self.events.send("job", self.jobs.get(data))
                case "progress":
                    self.events.send("job", self.jobs.get(data["job"]) | {"progress": data["progress"]})
                case "picture":
                    self.events.send("picture", self.gallery.get(data["picture"]))
                case "skill":
                    self.events.send("skill", data["skill"])
                case _:
                    self.events.send(event, data)
        except StudioError:
            # It was deleted in the meantime.
            return
