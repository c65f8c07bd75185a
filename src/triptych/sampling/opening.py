"""`open_engine`: from a name to what makes pictures, here or at a server.

Two things make pictures from requests: `Engine`, which owns a loaded `Backbone` and computes velocities, and
`RemoteEngine`, which asks a server. Both are `MakesPictures`, which is all that commands, the studio and evaluation
use. Training, and whatever else looks into a network, takes a `Backbone`, from `load`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Protocol, runtime_checkable

from triptych.addresses import is_address
from triptych.errors import BackboneError
from triptych.events import CancelToken, Event
from triptych.models.backbone import Card
from triptych.models.loading import load
from triptych.models.options import LoadOptions
from triptych.sampling.engine import Engine
from triptych.sampling.remote.engine import RemoteEngine
from triptych.sampling.request import Request
from triptych.sampling.result import Result
from triptych.sampling.skills import FindSkill, SkillLike

__all__ = ["MakesPictures", "open_engine"]


@runtime_checkable
class MakesPictures(Protocol):
    """What makes pictures from requests; `Engine` says what each method promises."""

    @property
    def card(self) -> Card: ...

    @property
    def shows_previews(self) -> bool:
        """Whether pictures can be seen before they are done."""
        ...

    def settled(self, request: Request) -> Request: ...

    def steps_of(self, request: Request) -> int: ...

    def generate(
        self,
        requests: Request | Sequence[Request],
        *,
        skill: SkillLike | None = None,
        cancel: CancelToken | None = None,
        on_event: Callable[[Event[tuple[Result, ...]]], None] | None = None,
    ) -> tuple[Result, ...]: ...

    def stream(
        self,
        requests: Request | Sequence[Request],
        *,
        skill: SkillLike | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[Event[tuple[Result, ...]]]: ...

    def release(self) -> None: ...

    def __enter__(self) -> "MakesPictures": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


def open_engine(
    source: str | Path = "pocket", options: LoadOptions | None = None, *, find_skill: FindSkill | None = None
) -> MakesPictures:
    """An engine of a backbone, by any name that `load` takes, or of a server, `http://host:port/v1#model`.

    Raises BackboneError for what cannot be loaded or reached.
    """
    if isinstance(source, Path) or not is_address(source):
        return Engine(load(source, options), find_skill=find_skill)
    given = [each.name for each in fields(LoadOptions) if getattr(options or LoadOptions(), each.name) != each.default]
    if given:
        raise BackboneError(f"{given[0]} says how to load a backbone here; a server has loaded its own. Leave it out.")
    return RemoteEngine(source)
