"""`Engine`: the one thing that makes pictures. Safe to share between threads."""

import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from triptych.events import CancelToken, Done, Event, Phase, Preview, Step, Warning
from triptych.models.backbone import Backbone, Card
from triptych.sampling.lanes import Worn, worn_by_all
from triptych.sampling.relief import BatchTooLargeError, run_relieved
from triptych.sampling.request import Request
from triptych.sampling.result import Result
from triptych.sampling.skills import FindSkill, SkillFiles, SkillLike, as_worn, uses_of, worn_of_uses
from triptych.sampling.working import layout_key, working_page

__all__ = ["BATCH_PAGES", "Engine"]

_log = logging.getLogger(__name__)

BATCH_PAGES = 8
"""Most pages of one layout that are denoised in one batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One result to be made: `request` is settled and asks for this one only."""

    request: Request
    worn: Worn | None

    def kind(self, backbone: Backbone) -> Hashable:
        """Equal for jobs that can be one batch."""
        request = self.request
        layout = layout_key(working_page(request.page, backbone.card, request.size_px))
        return layout, request.steps, request.conditioning, request.guidance, request.size_px, request.solver, self.worn


class Engine:
    """Makes pictures with one loaded backbone, for any number of threads and of streams at once.

    Threads take turns: `generate` for a whole batch, `stream` for a step, so that streams advance side by side. Skills
    that a request names are found by `find_skill`, by default as files or in the package; they stay on until another
    request needs others, or until `release`. What requests read is kept for later ones, up to `context_bytes` (512 MiB,
    on a GPU an eighth of its memory). Everything on one backbone, other engines included, shares turns and contexts.
    """

    shows_previews = True

    def __init__(
        self, backbone: Backbone, *, find_skill: FindSkill | None = None, context_bytes: int | None = None
    ) -> None:
        self.backbone = backbone
        backbone.shared.make_room(backbone.device, context_bytes)
        self._find_skill = find_skill or SkillFiles()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    @property
    def card(self) -> Card:
        return self.backbone.card

    def settled(self, request: Request) -> Request:
        """The request with nothing left to the backbone."""
        return request.settled(self.card)

    def steps_of(self, request: Request) -> int:
        """How many `Step` events make one result."""
        return self.settled(request).steps or 0

    def release(self) -> None:
        """Take skills off: the backbone is as it was loaded. The engine can still be used."""
        self.backbone.shared.release(self.backbone)

    def generate(
        self,
        requests: Request | Sequence[Request],
        *,
        skill: SkillLike | None = None,
        cancel: CancelToken | None = None,
        on_event: Callable[[Event[tuple[Result, ...]]], None] | None = None,
    ) -> tuple[Result, ...]:
        """The results of one request or of several, in order; a request for several results gives as many.

        A result depends on its own request and on nothing else in the list. `skill` is put on in place of the skills
        that the requests name. `on_event` hears all that `stream` would yield, while the engine is taken; what it
        raises ends the run. Raises Cancelled when `cancel` is, and for what cannot be made RequestError, BackboneError,
        PageError, LayoutError, PromptError or SkillError.
        """
        results: tuple[Result, ...] = ()
        for event in self._events(self._jobs(requests, skill), cancel or CancelToken(), taken=True):
            if on_event is not None:
                on_event(event)
            if isinstance(event, Done):
                results = event.result
        return results

    def stream(
        self,
        requests: Request | Sequence[Request],
        *,
        skill: SkillLike | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[Event[tuple[Result, ...]]]:
        """What happens, as it happens: phases, steps with a preview each, warnings, and `Done` with the results.

        Between two events the engine is free for others. Where memory runs out the page is made again with less, and
        its steps are reported again. Errors are those of `generate`.
        """
        return self._events(self._jobs(requests, skill), cancel or CancelToken(), taken=False)

    def _jobs(self, requests: Request | Sequence[Request], skill: SkillLike | None) -> list[_Job]:
        given = as_worn(skill)
        jobs = []
        for request in [requests] if isinstance(requests, Request) else requests:
            worn = given or worn_of_uses(request.skills, self._find_skill, len(request.page.slots))
            settled = replace(self.settled(request), skills=uses_of(worn))
            jobs += [_Job(request=each, worn=worn) for each in settled.each()]
        return jobs

    def _events(self, jobs: list[_Job], cancel: CancelToken, *, taken: bool) -> Iterator[Event[tuple[Result, ...]]]:
        results: dict[int, Result] = {}
        queue = deque(self._batches(jobs))
        while queue:
            indices = queue.popleft()
            try:
                for event in self._batch([jobs[index] for index in indices], cancel, taken=taken):
                    match event:
                        case Done():
                            results.update(zip(indices, event.result, strict=True))
                        case Preview():
                            yield replace(event, pages=tuple(indices))
                        case _:
                            yield event
            except BatchTooLargeError:
                half = len(indices) // 2
                _log.warning("memory ran out with %d pages at once; making %d at once", len(indices), half)
                queue.extendleft((indices[half:], indices[:half]))
        yield Done(result=tuple(results[index] for index in range(len(jobs))))

    def _batch(
        self, jobs: list[_Job], cancel: CancelToken, *, taken: bool
    ) -> Iterator[Phase | Step | Preview | Warning | Done[tuple[Result, ...]]]:
        """The events of one batch; with `taken` nobody else computes in between."""
        notes: list[str] = []
        worn = jobs[0].worn
        events = run_relieved(self.backbone, [job.request for job in jobs], worn, cancel)
        if taken:
            events = self._in_one_turn(events, worn)
        for event in events:
            match event:
                case Warning():
                    notes.append(event.text)
                    yield event
                case Done():
                    yield Done(result=tuple(replace(result, notes=tuple(notes)) for result in event.result))
                case _:
                    yield event

    def _in_one_turn(self, events: Iterator, worn: Worn | None) -> Iterator:
        with self.backbone.shared.using(self.backbone, worn_by_all(worn)):
            yield from events

    def _batches(self, jobs: list[_Job]) -> Iterator[list[int]]:
        """Indices of jobs of one kind, at most `BATCH_PAGES` together, in order of first appearance."""
        groups: dict[Hashable, list[int]] = {}
        for index, job in enumerate(jobs):
            groups.setdefault(job.kind(self.backbone), []).append(index)
        for group in groups.values():
            for start in range(0, len(group), BATCH_PAGES):
                yield group[start : start + BATCH_PAGES]
