"""Batches of answered pages drawn from rules by weight; each batch is a function of (seed, index) alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from triptych.data.rules import HELD_OUT_CHAINS, HELD_OUT_FAMILY_CHAINS
from triptych.data.rules.base import Rule, Task, chain, few_shot
from triptych.data.sources import Source
from triptych.errors import SourceError
from triptych.page import Page, Panel

__all__ = ["Entry", "Mixture", "Words", "corpus", "shape_of", "with_words"]

_TRIES = 40


class Words(StrEnum):
    """Which panels of a page keep their instructions."""

    NONE = "none"
    """No text at all: only the examples tell the task."""
    ALL = "all"
    """The page's own panels keep theirs; examples are shown without words."""
    OVERVIEW = "overview"
    """The only slot's instruction stands in the overview instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One kind of page in a mixture: which rules, how many examples, whether words are there."""

    name: str
    rules: tuple[Rule, ...]
    shots: tuple[int, ...] = (0,)
    words: Words = Words.ALL
    weight: float = 1.0
    chained: float = 0.0
    """Share of pages made by two rules in a row."""
    slots: tuple[int, ...] = ()
    """Numbers of slots that are wanted; empty takes what the rule gives."""
    first_batch: int = 0
    """The entry is drawn from this batch on: a curriculum."""
    large: float = 0.0
    """Share of batches whose pictures are twice the mixture's size on a side, with a quarter of the pages."""
    source: Source | None = None
    """What this entry's rules draw from; None: the mixture's own."""
    open_share: float | None = None
    """Share of training draws below pure noise, where noise decides between many right answers; None: the recipe's."""


def with_words(page: Page, words: Words) -> Page:
    """The page with the instructions that `words` keeps."""

    def silent(panels: tuple[Panel, ...]) -> tuple[Panel, ...]:
        return tuple(replace(panel, instruction="") for panel in panels)

    context = tuple(replace(example, panels=silent(example.panels), overview="") for example in page.context)
    match words:
        case Words.ALL:
            return replace(page, context=context)
        case Words.NONE:
            return replace(page, panels=silent(page.panels), overview="", context=context)
        case Words.OVERVIEW:
            instructions = [panel.instruction for panel in page.slots]
            if len(instructions) > 1:
                return replace(page, context=context)
            text = " ".join(filter(None, (page.overview, *instructions)))
            return replace(page, panels=silent(page.panels), overview=text, context=context)


def shape_of(page: Page) -> tuple[int, int]:
    """(pictures given, slots): pages of one shape share a batch."""
    return len(page.all_panels) - len(page.slots), len(page.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Entries by weight over one source. `load` is the number of pictures a batch may hold."""

    entries: tuple[Entry, ...]
    source: Source
    seed: int = 0
    load: int = 56
    max_given: int = 7
    size_px: int = 128

    def batch(self, index: int) -> list[Page]:
        """Answered pages of one shape; the same `index` gives the same pages."""
        entry, rng = self._entry(index)
        scale = 2 if entry.large and rng.random() < entry.large else 1
        size_px = scale * self.size_px
        first = self._page(entry, rng, size_px)
        given, slots = shape_of(first)
        wanted = max(2, min(24, round(self.load / (given + slots) / scale**2)))
        pages = [first]
        for _ in range(_TRIES * wanted):
            if len(pages) == wanted:
                break
            page = self._page(entry, rng, size_px)
            if shape_of(page) == (given, slots):
                pages.append(page)
        return pages

    def open_share(self, index: int) -> float | None:
        """`Entry.open_share` of the entry that a batch is drawn from."""
        return self._entry(index)[0].open_share

    def _entry(self, index: int) -> tuple[Entry, Random]:
        """The entry of a batch, and the generator that its pages are drawn from."""
        rng = Random(f"{self.seed}:{index}")
        begun = [entry for entry in self.entries if index >= entry.first_batch]
        return rng.choices(begun, [entry.weight for entry in begun])[0], rng

    def _page(self, entry: Entry, rng: Random, size_px: int) -> Page:
        for _ in range(_TRIES):
            try:
                page = few_shot(self._task(entry, rng), rng.choice(entry.shots), rng, size_px)
            except SourceError:  # a chain may undo itself, as zoom-out and zoom-in do: another task is drawn
                continue
            while shape_of(page)[0] > self.max_given and page.context:
                page = replace(page, context=page.context[:-1])
            if shape_of(page)[0] <= self.max_given and (not entry.slots or len(page.slots) in entry.slots):
                return with_words(page, entry.words)
        raise SourceError(f"entry {entry.name!r} makes no page of at most {self.max_given} given pictures.")

    def _task(self, entry: Entry, rng: Random) -> Task:
        rule = rng.choice(entry.rules)
        if rule.is_map and rng.random() < entry.chained:
            others = [
                other
                for other in entry.rules
                if other.is_map
                and other.name != rule.name
                and (rule.name, other.name) not in HELD_OUT_CHAINS + HELD_OUT_FAMILY_CHAINS
            ]
            rule = chain(rule, rng.choice(others))
        return rule.draw(rng, entry.source or self.source)


def corpus(mixture: Mixture, names: Mapping[str, Sequence[str]], *, pages: int) -> list[str]:
    """Texts that a vocabulary is learned from: instructions of `pages` batches, and the names of all objects."""
    texts = [name.replace("-", " ") for table in names.values() for name in table]
    rng = Random(f"{mixture.seed}:corpus")
    for number in range(pages):
        entry = mixture.entries[number % len(mixture.entries)]
        page = mixture._task(entry, rng).page(rng, mixture.size_px)
        texts.extend(panel.instruction for panel in page.panels if panel.instruction)
        texts.append(page.overview)
    return texts
