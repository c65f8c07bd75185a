"""`build`: page sets from rules, page by page from (seed, index), so that order and number of workers do not matter."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

from triptych.data.datacard import DataCard, PageCount, provenance
from triptych.data.pagesets import save_pageset
from triptych.data.rules.base import Rule
from triptych.data.sources import Source
from triptych.errors import SourceError
from triptych.events import CancelToken, Done, Event, Step
from triptych.page import Page
from triptych.version import __version__

__all__ = ["build", "built_card", "built_page", "built_pages"]

_job: tuple[Rule, Source, int, int, bool] | None = None
"""What a worker process makes pages of; inherited when it is forked, since rules hold functions."""


def built_page(
    rule: Rule, source: Source, seed: int, index: int, *, size_px: int = 128, one_task: bool = False
) -> Page:
    """Page `index` of the set that `seed` names; `one_task` fixes the parameters, such as a colour, for all pages."""
    task_key = f"{rule.name}:{seed}" if one_task else f"{rule.name}:{seed}:{index}"
    task = rule.draw(Random(f"{task_key}:task"), source)
    page = task.page(Random(f"{rule.name}:{seed}:{index}:page"), size_px)
    return replace(page, page_id=f"{rule.name}-{seed}-{index:05d}")


def _start(rule: Rule, source: Source, seed: int, size_px: int, one_task: bool) -> None:
    global _job
    _job = (rule, source, seed, size_px, one_task)


def _work(index: int) -> Page:
    assert _job is not None
    rule, source, seed, size_px, one_task = _job
    return built_page(rule, source, seed, index, size_px=size_px, one_task=one_task)


def built_pages(
    rule: Rule,
    source: Source,
    count: int,
    seed: int = 0,
    *,
    workers: int = 1,
    size_px: int = 128,
    one_task: bool = False,
) -> Iterator[Page]:
    """Answered pages 0 to `count` - 1 in order. More than one worker needs an operating system that can fork."""
    if count < 1:
        raise SourceError(f"count is {count}; a page set has at least 1 page.")
    if workers < 2 or "fork" not in multiprocessing.get_all_start_methods():
        for index in range(count):
            yield built_page(rule, source, seed, index, size_px=size_px, one_task=one_task)
        return
    context = multiprocessing.get_context("fork")
    job = (rule, source, seed, size_px, one_task)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=job) as pool:
        yield from pool.map(_work, range(count), chunksize=8)


def built_card(rule: Rule, source: Source, seed: int, *, command: str | None = None) -> DataCard:
    """What is known of pages that a rule makes; `command` makes them again."""
    sources = provenance(source)
    return DataCard(
        title=f"Pages of the rule {rule.name}",
        license="apache-2.0" if set(sources.values()) == {"Apache-2.0"} else "other",
        rule=rule.description,
        seed=seed,
        sources=sources,
        versions={"triptych": __version__},
        command=command,
    )


def build(
    rule: Rule,
    source: Source,
    count: int,
    seed: int,
    out: Path,
    *,
    workers: int = 1,
    size_px: int = 128,
    one_task: bool = False,
    card: DataCard | None = None,
    on_page: Callable[[Page], None] = lambda _: None,
    on_event: Callable[[Event[Path]], None] = lambda _: None,
    cancel: CancelToken | None = None,
    overwrite: bool = False,
) -> None:
    """Write a page set of `count` pages and its data card to the folder `out`; the same arguments write the same bytes.

    `card` replaces what is said of rule, seed and source. `on_page` is called with each page as it is written, in
    order; `on_event` hears each as a step. `cancel` raises Cancelled after the page at hand, and nothing is left.
    `overwrite` replaces an existing page set.
    """
    token = cancel or CancelToken()
    counted = PageCount()
    told = card or built_card(rule, source, seed)

    def watched() -> Iterator[Page]:
        pages = built_pages(rule, source, count, seed, workers=workers, size_px=size_px, one_task=one_task)
        for step, page in enumerate(pages, 1):
            counted.add(page)
            on_page(page)
            yield page
            on_event(Step(step=step, steps=count))
            token.check()

    save_pageset(watched(), out, card=lambda: told.text(counted), overwrite=overwrite)
    on_event(Done(result=out))
