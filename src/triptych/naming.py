"""Prompts in the words of a model that has names of its own for the pictures it is shown."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from triptych.boxtable import with_boxes
from triptych.page import Page
from triptych.prompts import Prompt, find_template, write_prompt

__all__ = ["name_picture", "named_prompt"]

_PLAIN = "panels"
"""The template whose tags only say which panel is meant."""


def name_picture(name: str, number: int) -> str:
    """What a picture is called, counted from 1: `{number}` of `name` says so, and `{index}` counts from 0."""
    return name.format(number=number, index=number - 1)


def named_prompt(page: Page, name: str) -> Prompt:
    """The words of a page: the overview, what is said of each picture by its name, what is said of each slot.

    Pictures are counted as they are shown: the page's own, then those of its examples. A page's only slot needs no tag;
    of several, each keeps its own. A template other than `panels` is what an adapter was trained with: its text stays.
    Boxes follow as a table.
    """
    # Also refuses texts that have tags in them, as for any other backbone.
    prompt = write_prompt(page)
    if page.template == _PLAIN:
        prompt = replace(prompt, text="\n".join(filter(None, _lines(page, name))))
    return with_boxes(prompt, page, [name_picture(name, number) for number in range(1, len(page.conditions) + 1)])


def _lines(page: Page, name: str) -> Iterator[str]:
    numbers = count(1)
    yield page.overview
    yield from _said(page, [name_picture(name, next(numbers)) for _ in page.conditions])
    overviews = {page.overview}
    for number, example in enumerate(page.context, 1):
        names = [name_picture(name, next(numbers)) for _ in example.panels]
        given = [each for each, panel in zip(names, example.panels, strict=True) if not panel.is_slot]
        made = [each for each, panel in zip(names, example.panels, strict=True) if panel.is_slot]
        yield f"Example {number}: " + ", ".join(given) + " -> " * bool(given) + ", ".join(made)
        yield example.overview * (example.overview not in overviews)
        overviews.add(example.overview)
        yield from _said(example, names)
    tags = find_template(_PLAIN).tags_for(len(page.panels))
    slots = [(tag, panel.instruction) for tag, panel in zip(tags, page.panels, strict=True) if panel.is_slot]
    for tag, text in slots:
        yield text if len(slots) == 1 or not text else f"{tag} {text}"


def _said(page: Page, names: list[str]) -> Iterator[str]:
    """What is said of each picture that has a name."""
    shown = [panel for panel in page.panels if panel.picture is not None]
    for name, panel in zip(names, shown, strict=True):
        if panel.instruction.strip():
            yield f"{name}: {panel.instruction}"
