"""What a server's model reads of a page: its words, with pictures called as the model's family calls them."""

from itertools import count

from triptych.errors import PromptError
from triptych.models.catalog import find_family
from triptych.models.family import PICTURE_NAME, Family
from triptych.page import Page
from triptych.prompts import write_prompt

__all__ = ["server_prompt"]

_PLAIN = "panels"
"""The template whose tags only say which panel is meant."""


def server_prompt(page: Page, family: str) -> str:
    """The words of a page of one slot: the overview, what is said of each picture, the slot's instruction.

    Pictures are numbered as they are sent: the page's own, then those of its examples. A template other than `panels`
    is what an adapter was trained with; its text is sent as it stands. Raises PromptError where nothing is said.
    """
    # Also refuses texts that have tags in them, as for any other backbone.
    text = write_prompt(page).text
    if page.template == _PLAIN:
        text = "\n".join(filter(None, _lines(page, find_family(family))))
    if not text.strip():
        raise PromptError("the page has no words, and image servers need some. Give the slot an instruction.")
    return text


def _lines(page: Page, family: Family | None) -> list[str]:
    numbers, name = count(1), family.picture_name if family else PICTURE_NAME
    lines = [page.overview, *_said(page, [name.format(number=next(numbers)) for _ in page.conditions])]
    for number, example in enumerate(page.context, 1):
        names = [name.format(number=next(numbers)) for _ in example.panels]
        given = [each for each, panel in zip(names, example.panels, strict=True) if not panel.is_slot]
        made = [each for each, panel in zip(names, example.panels, strict=True) if panel.is_slot]
        lines.append(f"Example {number}: " + ", ".join(given) + " -> " * bool(given) + ", ".join(made))
        lines += [example.overview * (example.overview not in lines), *_said(example, names)]
    return [*lines, *(panel.instruction for panel in page.slots)]


def _said(page: Page, names: list[str]) -> list[str]:
    """What is said of each picture that has a name."""
    shown = [panel for panel in page.panels if panel.picture is not None]
    return [
        f"{name}: {panel.instruction}" for name, panel in zip(names, shown, strict=True) if panel.instruction.strip()
    ]
