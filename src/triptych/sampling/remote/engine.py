"""`RemoteEngine`: what `Engine` offers, from a server that is asked request by request."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from PIL import Image

from triptych.addresses import read_address
from triptych.conditioning import Conditioning, Solver
from triptych.errors import BackboneError
from triptych.events import CancelToken, Done, Event, Phase, Step, Warning
from triptych.models.backbone import Card
from triptych.sampling.remote.calls import Call, calls_of, refuse
from triptych.sampling.remote.server import Server
from triptych.sampling.request import Request, SkillUse
from triptych.sampling.result import Result, Timings
from triptych.sampling.skills import SkillLike

__all__ = ["RemoteEngine"]

_NEAR_PX, _NEAR_SHAPE = 32, 0.02
"""A picture this much smaller or larger, or of this much another shape, was rounded by the server; others are wrong."""


class RemoteEngine:
    """Makes pictures with a model that a server runs (`http://host:port/v1#model`), for any number of threads.

    A studio of ours gets the request as it is, and answers with the pictures that it would make here. Other servers get
    a call for each slot, which cannot see the other slots; `Result.notes` says so. What a server has no field for is
    refused before it is asked. Nothing is tried on this machine: no weights, no skills, no previews.
    """

    shows_previews = False

    def __init__(self, name: str, *, key_name: str | None = None, timeout_s: float = 600.0, tries: int = 3) -> None:
        """`key_name` is the variable of the environment that holds the key; by default TRIPTYCH_REMOTE_KEY, or
        OPENAI_API_KEY where nobody on the way can read it. `tries` counts what a busy or failing server is asked."""
        self._server = Server(read_address(name), key_name=key_name, timeout_s=timeout_s, tries=tries)
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> "RemoteEngine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    @property
    def card(self) -> Card:
        return self._server.card

    def release(self) -> None:
        """Nothing is held."""

    def settled(self, request: Request) -> Request:
        """The request as it is recorded; what the server decides and does not say stays None."""
        for use in request.skills:
            _refuse_file(use, str(self._server.address))
        if self._server.is_described:
            return request.settled(self.card)
        refuse(request, self._server.kind, str(self._server.address))
        self.card.check_boxes(request.page, Conditioning.REFERENCE)
        return replace(
            request,
            solver=request.solver or Solver.EULER,
            conditioning=request.conditioning or Conditioning.REFERENCE,
            backbone=str(self._server.address),
        )

    def steps_of(self, request: Request) -> int:
        """How many calls make one result."""
        return len(self._calls(request))

    def generate(
        self,
        requests: Request | Sequence[Request],
        *,
        skill: SkillLike | None = None,
        cancel: CancelToken | None = None,
        on_event: Callable[[Event[tuple[Result, ...]]], None] | None = None,
    ) -> tuple[Result, ...]:
        """As `Engine.generate`. Skills are names of the server's."""
        results: tuple[Result, ...] = ()
        for event in self.stream(requests, skill=skill, cancel=cancel):
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
        """Warnings, a step after every call, and `Done`. Cancelling takes effect between two calls."""
        uses = _uses(skill, str(self._server.address))
        several = [requests] if isinstance(requests, Request) else requests
        asked = [each for one in several for each in replace(one, skills=uses or one.skills).each()]
        # All of it is planned, and what cannot be asked refused, before the first call.
        plans = [(each, self.settled(each), self._calls(each)) for each in asked]
        return self._events(plans, cancel or CancelToken())

    def _calls(self, request: Request) -> tuple[Call, ...]:
        return calls_of(request, self.card, self._server.kind, self._server.model)

    def _events(
        self, plans: list[tuple[Request, Request, tuple[Call, ...]]], cancel: CancelToken
    ) -> Iterator[Event[tuple[Result, ...]]]:
        total, done, began = sum(len(calls) for _, _, calls in plans), 0, time.monotonic()
        for text in self._news(plans):
            yield Warning(text=text)
        yield Phase(name="asking the server", steps=total)
        results = []
        for _, settled, calls in plans:
            images: list[Image.Image] = []
            notes = [] if len(calls) == 1 else [_apart(len(calls))]
            started = time.monotonic()
            for call in calls:
                cancel.check()
                images += self._fitted(call, self._server.make(call), notes)
                done += 1
                left = (time.monotonic() - began) / done * (total - done)
                yield Step(step=done, steps=total, seconds_left=left)
            timings = Timings(text_s=0.0, conditions_s=0.0, steps_s=time.monotonic() - started, decode_s=0.0)
            results.append(
                Result(
                    request=settled,
                    images=tuple(images),
                    timings=timings,
                    weights=self.card.weights,
                    notes=tuple(notes),
                )
            )
        yield Done(result=tuple(results))

    def _news(self, plans: list[tuple[Request, Request, tuple[Call, ...]]]) -> list[str]:
        """What the user should know about the server, each once."""
        address, kind = self._server.address, self._server.kind
        news = []
        if not address.is_here:
            news.append(f"pages and their pictures are sent to {address.host}, which is another machine")
        if not kind.takes_settings:
            news.append(f"{address} takes no seed: the same request makes other pictures each time")
        if any(len(calls) > 1 for _, _, calls in plans):
            news.append("the server makes one picture a call: slots of a page are made without seeing each other")
        with self._lock:
            fresh = [text for text in news if text not in self._told]
            self._told.update(fresh)
        return fresh

    def _fitted(self, call: Call, images: list[Image.Image], notes: list[str]) -> list[Image.Image]:
        """Pictures at the size asked for, where the server only rounded it."""
        if call.wanted_px is None or call.size_px is None:
            return images
        for image in images:
            if image.size == call.size_px:
                continue
            (width, height), (wide, high) = image.size, call.size_px
            is_near = max(abs(width - wide), abs(height - high)) <= _NEAR_PX
            if not is_near and abs(width * high / (height * wide) - 1) > _NEAR_SHAPE:
                raise BackboneError(
                    f"{self._server.address} sent a picture of {width}x{height} px where {wide}x{high} was asked. Ask "
                    "for a size that it makes."
                )
            notes.append(f"the server made {width}x{height} px where {wide}x{high} was asked; it was resampled")
        wanted = call.wanted_px
        return [each if each.size == wanted else each.resize(wanted, Image.Resampling.LANCZOS) for each in images]


def _apart(calls: int) -> str:
    return f"{calls} slots were made by {calls} calls, without seeing each other"


def _uses(skill: SkillLike | None, address: str) -> tuple[SkillUse, ...]:
    """Skills that are given by name. Raises BackboneError for others, which are on this machine only."""
    given = [skill] if isinstance(skill, str) or not isinstance(skill, Sequence) else list(skill)
    uses = tuple(SkillUse(name=each) for each in given if isinstance(each, str))
    if skill is not None and len(uses) != len(given):
        raise BackboneError(f"a skill that is loaded here cannot be put on by {address}. Name one that the server has.")
    return uses


def _refuse_file(use: SkillUse, address: str) -> None:
    if use.name.endswith(".safetensors") or "/" in use.name or "\\" in use.name:
        raise BackboneError(
            f"the skill {use.name!r} is a file on this machine, and {address} cannot read it. Add it to that studio's "
            "shelf, and name it as it is called there."
        )
