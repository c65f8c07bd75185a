"""What a page may hold that a format cannot: counted as pages go by, so that an export says what it leaves out."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from triptych.page import Layout, Page, Role

__all__ = ["Holding", "holdings", "noting_losses"]

_log = logging.getLogger(__name__)


class Holding(StrEnum):
    """What some formats hold besides the pictures of a page, its overview and the words of its slots."""

    BOXES = "boxes"
    ROLES = "roles of conditions"
    CONDITION_WORDS = "instructions of conditions"
    SLOT_WORDS = "instructions of slots one by one"
    SLOTS = "slots of one page together"
    ALPHA = "transparency of answers"
    REJECTED = "rejected pictures"
    SIZES = "sizes asked of slots"
    LAYOUT = "layouts"
    GUTTER = "gutters"
    TEMPLATE = "prompt templates"
    RULE = "names of rules"


def holdings(page: Page) -> Counter[Holding]:
    """How much of each the page has; what says no more than its absence would (the role `edit`) does not count."""
    several = len(page.slots) > 1
    return Counter(
        {
            Holding.BOXES: sum(len(panel.boxes) for panel in page.panels),
            Holding.ROLES: sum(panel.role is not Role.EDIT for panel in page.conditions),
            Holding.CONDITION_WORDS: sum(bool(panel.instruction) for panel in page.conditions),
            Holding.SLOT_WORDS: sum(bool(panel.instruction) for panel in page.slots) if several else 0,
            Holding.SLOTS: len(page.slots) if several else 0,
            Holding.ALPHA: sum(panel.answer is not None and panel.answer.mode == "RGBA" for panel in page.slots),
            Holding.REJECTED: sum(len(panel.rejected) for panel in page.slots),
            Holding.SIZES: sum(
                panel.size_px is not None and panel.answer is not None and panel.size_px != panel.answer.size
                for panel in page.slots
            ),
            Holding.LAYOUT: int(page.layout is not Layout.AUTO),
            Holding.GUTTER: int(page.gutter_px > 0),
            Holding.TEMPLATE: int(page.template != "panels"),
            Holding.RULE: int(page.rule is not None),
        }
    )


def noting_losses(pages: Iterable[Page], keeps: frozenset[Holding], folder: Path, name: str) -> Iterator[Page]:
    """The pages as they are; after the last, what they hold and the format `name` does not keep is said once."""
    left: Counter[Holding] = Counter()
    for page in pages:
        left.update(holdings(page))
        yield page
    if lost := [f"{what} ({left[what]})" for what in Holding if left[what] and what not in keeps]:
        _log.warning("%s: left out, for the format %s cannot hold them: %s.", folder, name, ", ".join(lost))
