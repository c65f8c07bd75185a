"""`generate` and `iterate`: an engine's work as keyword arguments, for pages and a loaded backbone."""

from collections.abc import Callable, Iterator, Sequence
from typing import overload

from triptych.conditioning import Conditioning
from triptych.errors import BackboneError, PageError
from triptych.events import CancelToken, Done, Event, Preview
from triptych.layouts import Size
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.sampling.engine import Engine
from triptych.sampling.opening import MakesPictures
from triptych.sampling.request import Request
from triptych.sampling.result import Result
from triptych.sampling.skills import SkillLike

__all__ = ["generate", "iterate"]


@overload
def generate(
    backbone: Backbone | MakesPictures,
    page: Page,
    *,
    seed: int | Sequence[int] = 0,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    size_px: Size | int | None = None,
    skill: SkillLike | None = None,
    guidance: float | None = None,
    on_step: Callable[[Preview], None] | None = None,
    cancel: CancelToken | None = None,
) -> Result: ...


@overload
def generate(
    backbone: Backbone | MakesPictures,
    page: Sequence[Page],
    *,
    seed: int | Sequence[int] = 0,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    size_px: Size | int | None = None,
    skill: SkillLike | None = None,
    guidance: float | None = None,
    on_step: Callable[[Preview], None] | None = None,
    cancel: CancelToken | None = None,
) -> tuple[Result, ...]: ...


def generate(
    backbone: Backbone | MakesPictures,
    page: Page | Sequence[Page],
    *,
    seed: int | Sequence[int] = 0,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    size_px: Size | int | None = None,
    skill: SkillLike | None = None,
    guidance: float | None = None,
    on_step: Callable[[Preview], None] | None = None,
    cancel: CancelToken | None = None,
) -> Result | tuple[Result, ...]:
    """Fill the slots of a page, or of several pages, whose layouts may differ.

    `seed` is one number for all pages or one for each; a page's noise depends on its own seed and on nothing else in
    the list. `steps`, `conditioning` and `guidance` are the backbone's own where None. `size_px` is the width and
    height of slots that ask for none, or one number: the side of the square whose area panels are worked at. `skill`
    is a skill, its file, several of these, or skills with weights; the backbone is left as it was. `on_step` is called
    after every solver step; what it raises ends the run. Where memory runs out the page is made again with
    less, and `Result.notes` says how. Raises what `Engine.generate` raises.
    """
    pages = [page] if isinstance(page, Page) else list(page)
    requests = [
        Request(page=each, seed=own, steps=steps, conditioning=conditioning, guidance=guidance, size_px=size_px)
        for each, own in zip(pages, _seeds(seed, len(pages)), strict=True)
    ]

    def hear(event: Event[tuple[Result, ...]]) -> None:
        if on_step is not None and isinstance(event, Preview):
            on_step(event)

    with _engine(backbone) as engine:
        if on_step is not None and not engine.shows_previews:
            raise BackboneError(f"{engine.card.name} cannot show pictures before they are finished. Leave on_step out.")
        results = engine.generate(requests, skill=skill, cancel=cancel, on_event=hear)
    return results[0] if isinstance(page, Page) else results


def iterate(
    backbone: Backbone | MakesPictures,
    page: Page,
    *,
    seed: int = 0,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    size_px: Size | int | None = None,
    skill: SkillLike | None = None,
    guidance: float | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[Preview | Result]:
    """As `generate` for one page, step by step: a preview after every solver step, the result last."""
    request = Request(page=page, seed=seed, steps=steps, conditioning=conditioning, guidance=guidance, size_px=size_px)
    with _engine(backbone) as engine:
        for event in engine.stream(request, skill=skill, cancel=cancel):
            match event:
                case Preview():
                    yield event
                case Done():
                    yield from event.result


def _engine(backbone: Backbone | MakesPictures) -> MakesPictures:
    return backbone if isinstance(backbone, MakesPictures) else Engine(backbone)


def _seeds(seed: int | Sequence[int], pages: int) -> list[int]:
    seeds = [seed] * pages if isinstance(seed, int) else list(seed)
    if len(seeds) != pages:
        raise PageError(f"{len(seeds)} seeds for {pages} pages; give one for each, or one number for all.")
    return seeds
