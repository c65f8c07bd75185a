"""Pages to pictures: the one entry to sampling, whatever the backbone and the way conditions enter."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import nullcontext
from typing import overload

from triptych.errors import BackboneError, PageError
from triptych.models.backbone import Adapter, Backbone, Conditioning
from triptych.page import Page
from triptych.sampling.result import Preview, Result
from triptych.sampling.run import Finished, Settings, Step, run
from triptych.sampling.working import layout_key, working_page

__all__ = ["BATCH_PAGES", "generate", "iterate"]

BATCH_PAGES = 8
"""Most pages of one layout that are denoised in one batch."""

Size = tuple[int, int]


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
    solver step; what it raises ends the run. Raises BackboneError, PageError, LayoutError or PromptError.
    """
    pages = [page] if isinstance(page, Page) else list(page)
    settings = _settled(backbone, steps, conditioning, guidance, size_px, cached)
    seeds = _seeds(seed, len(pages))
    results: dict[int, Result] = {}
    with nullcontext() if skill is None else skill.applied(backbone):
        for indices in _batches(backbone, pages, settings):
            own_seeds = [seeds[index] for index in indices]
            for event in run(backbone, [pages[index] for index in indices], own_seeds, settings):
                if isinstance(event, Finished):
                    made = _results(backbone, [pages[index] for index in indices], own_seeds, settings, skill, event)
                    results.update(zip(indices, made, strict=True))
                elif on_step is not None:
                    on_step(_preview(event, settings, tuple(indices)))
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
    """As `generate` for one page, step by step: a preview after every solver step, the result last."""
    settings = _settled(backbone, steps, conditioning, guidance, size_px, cached)
    with nullcontext() if skill is None else skill.applied(backbone):
        for event in run(backbone, [page], [seed], settings):
            if isinstance(event, Finished):
                yield from _results(backbone, [page], [seed], settings, skill, event)
            else:
                yield _preview(event, settings, (0,))


def _settled(
    backbone: Backbone,
    steps: int | None,
    conditioning: Conditioning | None,
    guidance: float | None,
    size_px: Size | int | None,
    cached: bool,
) -> Settings:
    card = backbone.card
    if steps is not None and steps < 1:
        raise BackboneError(f"steps is {steps}; at least 1 is needed. {card.name} works best with {card.steps}.")
    if guidance is not None and card.guidance is None:
        raise BackboneError(f"guidance is {guidance}, but {card.name} takes none. Leave it out.")
    return Settings(
        steps=steps or card.steps,
        conditioning=conditioning or card.conditionings[0],
        guidance=card.guidance if guidance is None else guidance,
        size_px=size_px,
        cached=cached,
    )


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


def _results(
    backbone: Backbone,
    pages: list[Page],
    seeds: list[int],
    settings: Settings,
    skill: Adapter | None,
    finished: Finished,
) -> tuple[Result, ...]:
    return tuple(
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
            timings=finished.timings,
        )
        for images, page, seed in zip(finished.pictures, pages, seeds, strict=True)
    )
