"""From a case and an arm to the page that is asked, with the answers it is scored against."""

import hashlib
from dataclasses import replace

from PIL import Image

from triptych.data.mixture import Words, with_words
from triptych.evaluation.cases import Case
from triptych.evaluation.suites import Arm, Control
from triptych.page import Page, Panel

__all__ = ["asked_page", "noise_seed"]


def asked_page(case: Case, arm: Arm) -> Page | None:
    """The answered page as `arm` asks it; None where the case does not allow it (too few examples, one slot)."""
    page = case.page
    examples = case.wrong if arm.control is Control.OTHER_RULE else case.examples
    if len(examples) < arm.shots:
        return None
    examples = examples[: arm.shots]
    match arm.control:
        case Control.OTHER_WORDS:
            other = case.wrong[0] if case.wrong else case.stranger
            if other is None or len(other.slots) != len(page.slots):
                return None
            page = _with_words_of(page, other)
        case Control.SWAPPED:
            if len(page.slots) < 2:
                return None
            page = _moved_on(page)
        case Control.SHUFFLED:
            if case.stranger is None:
                return None
            examples = _shuffled(examples, case.stranger)
        case Control.COPIED:
            examples = tuple(_copied(example) for example in examples)
        case _:
            pass
    words = Words.NONE if arm.control is Control.NO_TEXT else case.words
    return with_words(page.with_context(*examples), words)


def noise_seed(case: Case, seed: int) -> int:
    """The same noise for every arm of a page, so that arms differ by what they are asked alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{case.key}".encode()).digest()[:4])


def _answers(page: Page) -> tuple[Image.Image, ...]:
    return tuple(panel.answer for panel in page.slots if panel.answer is not None)


def _shuffled(examples: tuple[Page, ...], stranger: Page) -> tuple[Page, ...]:
    """Each example with the answers of the one before it; the first takes the stranger's."""
    given = (stranger, *examples[:-1])
    return tuple(example.with_answers(_answers(other)) for example, other in zip(examples, given, strict=True))


def _copied(example: Page) -> Page:
    shown = [panel.image for panel in example.conditions if panel.image is not None]
    return example.with_answers([shown[0]] * len(example.slots)) if shown else example


def _with_words_of(page: Page, other: Page) -> Page:
    words = iter([panel.instruction for panel in other.slots])
    panels = tuple(replace(panel, instruction=next(words)) if panel.is_slot else panel for panel in page.panels)
    return replace(page, panels=panels, overview=other.overview)


def _moved_on(page: Page) -> Page:
    """Every slot with the next slot's instruction and answer; the last takes the first's."""
    slots = page.slots
    moved = iter((*slots[1:], slots[0]))

    def panel(old: Panel) -> Panel:
        return next(moved) if old.is_slot else old

    return replace(page, panels=tuple(panel(old) for old in page.panels))
