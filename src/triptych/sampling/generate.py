"""Pages to pictures: the one entry to sampling, whatever the backbone and the way conditions enter."""

import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import nullcontext
from typing import overload

from triptych.errors import PageError
from triptych.models.backbone import Adapter, Backbone, Conditioning
from triptych.page import Page
from triptych.sampling.finite import naming_skill
from triptych.sampling.relief import BatchTooLargeError, run_relieved
from triptych.sampling.result import Preview, Result
from triptych.sampling.run import Finished, Step
from triptych.sampling.settings import Settings, Size, settle
from triptych.sampling.working import layout_key, working_page

__all__ = ["BATCH_PAGES", "generate", "iterate"]

_log = logging.getLogger(__name__)

BATCH_PAGES = 8
"""Most pages of one layout that are denoised in one batch."""


@overload
def generate(
    backbone: Backbone,
    page: Page,
    *,
    seed: int | Sequence[int] = 0,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    size_px: Size | int | None = None,
    skill: Adapter | None = None,
    guidance: float | None = None,
    cached: bool = True,
    on_step: Callable[[Preview], None] | None = None,
) -> Result: ...


@overload
def generate(
    backbone: Backbone,
    page: Sequence[Page],
    *,
    seed: int | Sequence[int] = 0,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    size_px: Size | int | None = None,
    skill: Adapter | None = None,
    guidance: float | None = None,
    cached: bool = True,
    on_step: Callable[[Preview], None] | None = None,
) -> tuple[Result, ...]: ...


def generate(
    backbone: Backbone,
    page: Page | Sequence[Page],
    *,
    seed: int | Sequence[int] = 0,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    size_px: Size | int | None = None,
    skill: Adapter | None = None,
    guidance: float | None = None,
    cached: bool = True,
    on_step: Callable[[Preview], None] | None = None,
) -> Result | tuple[Result, ...]:
    """Fill the slots of a page, or of several pages, whose layouts may differ.

    `seed` is one number for all pages or one for each; a page's noise depends on its own seed and on nothing else in
    the list. `steps`, `conditioning` and `guidance` are the backbone's own where None. `size_px` is the width and
    height of slots that ask for none, or one number: the side of the square whose area panels are worked at.
    `cached` computes the conditions' keys and values once, where the backbone can. `on_step` is called after every
    solver step; what it raises ends the run. Where memory runs out the backbone makes itself smaller and the page is
    begun anew; `Result.notes` tells. Raises BackboneError, PageError, LayoutError or PromptError.
    """
    pages = [page] if isinstance(page, Page) else list(page)
    settings = settle(
        backbone.card, steps=steps, conditioning=conditioning, guidance=guidance, size_px=size_px, cached=cached
    )
    seeds = _seeds(seed, len(pages))
    results: dict[int, Result] = {}
    with naming_skill(skill), nullcontext() if skill is None else skill.applied(backbone):
        queue = deque(_batches(backbone, pages, settings))
        while queue:
            indices = queue.popleft()
            batch = [(pages[index], seeds[index]) for index in indices]
            try:
                for event in _events(backbone, batch, settings, skill):
                    if isinstance(event, Step):
                        if on_step is not None:
                            on_step(_preview(event, settings, tuple(indices)))
                    else:
                        results.update(zip(indices, event, strict=True))
            except BatchTooLargeError:
                half = len(indices) // 2
                _log.warning("memory ran out with %d pages at once; they are made %d at once", len(indices), half)
                queue.extendleft((indices[half:], indices[:half]))
    return results[0] if isinstance(page, Page) else tuple(results[index] for index in range(len(pages)))


def iterate(
    backbone: Backbone,
    page: Page,
    *,
    seed: int = 0,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    size_px: Size | int | None = None,
    skill: Adapter | None = None,
    guidance: float | None = None,
    cached: bool = True,
) -> Iterator[Preview | Result]:
    """As `generate` for one page, step by step: a preview after every solver step, the result last.

    Where memory runs out the page is begun anew in a smaller way, and its previews with it.
    """
    settings = settle(
        backbone.card, steps=steps, conditioning=conditioning, guidance=guidance, size_px=size_px, cached=cached
    )
    with naming_skill(skill), nullcontext() if skill is None else skill.applied(backbone):
        for event in _events(backbone, [(page, seed)], settings, skill):
            if isinstance(event, Step):
                yield _preview(event, settings, (0,))
            else:
                yield from event


def _seeds(seed: int | Sequence[int], pages: int) -> list[int]:
    seeds = [seed] * pages if isinstance(seed, int) else list(seed)
    if len(seeds) != pages:
        raise PageError(f"{len(seeds)} seeds for {pages} pages; give one for each, or one number for all.")
    return seeds


def _batches(backbone: Backbone, pages: list[Page], settings: Settings) -> Iterator[list[int]]:
    """Indices of pages of one layout, at most `BATCH_PAGES` together, in order of first appearance."""
    groups: dict[Hashable, list[int]] = {}
    for index, page in enumerate(pages):
        key = layout_key(working_page(page, backbone.card, settings.size_px))
        groups.setdefault(key, []).append(index)
    for group in groups.values():
        for start in range(0, len(group), BATCH_PAGES):
            yield group[start : start + BATCH_PAGES]


def _preview(step: Step, settings: Settings, pages: tuple[int, ...]) -> Preview:
    return Preview(step=step.step, steps=settings.steps, t=step.t, pages=pages, decode=step.decode)


def _events(
    backbone: Backbone, batch: list[tuple[Page, int]], settings: Settings, skill: Adapter | None
) -> Iterator[Step | tuple[Result, ...]]:
    """The steps of a batch, then its results."""
    notes: list[str] = []
    for event in run_relieved(backbone, [page for page, _ in batch], [seed for _, seed in batch], settings):
        match event:
            case Step():
                yield event
            case str():
                notes.append(event)
            case Finished():
                yield tuple(
                    Result(
                        images=images,
                        page=page,
                        seed=seed,
                        steps=settings.steps,
                        conditioning=settings.conditioning,
                        backbone=backbone.card.name,
                        guidance=settings.guidance,
                        size_px=settings.size_px,
                        skill=skill.name if skill else None,
                        timings=event.timings,
                        notes=tuple(notes),
                    )
                    for images, (page, seed) in zip(event.pictures, batch, strict=True)
                )
