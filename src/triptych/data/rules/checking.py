"""Proof that a rule's verifier tells right from wrong: on its own answers, on wrong ones, and on copied inputs."""

from dataclasses import dataclass
from random import Random

from PIL.Image import Image

from triptych.data.rules.base import Rule
from triptych.data.rules.verifiers import distance
from triptych.data.sources import Source
from triptych.page import Page

__all__ = ["CheckReport", "check"]

_SAME = 1.5e-3
"""Mean squared error (28 dB) below which two pictures are the same for every rule's tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Shares of pictures a rule's verifier accepted, 0..1; `skipped` wrong answers were in truth right ones."""

    rule: str
    pages: int
    own: float
    wrong: float
    copied: float
    skipped: int

    @property
    def ok(self) -> bool:
        """All own answers accepted, and nothing else."""
        return self.own == 1.0 and self.wrong == 0.0 and self.copied == 0.0


def _answers(page: Page) -> tuple[Image, ...]:
    return tuple(panel.answer for panel in page.slots if panel.answer is not None)


def _differ(first: tuple[Image, ...], second: tuple[Image, ...]) -> bool:
    return any(distance(a, b) > _SAME for a, b in zip(first, second, strict=True))


def _differ_at_all(picture: Image, answers: tuple[Image, ...]) -> bool:
    return any(picture.tobytes() != answer.tobytes() for answer in answers)


def check(rule: Rule, source: Source, count: int = 20, seed: int = 0) -> CheckReport:
    """Verify `count` pages of `rule`: own answers, other pages' answers, another task's answers, copied conditions.

    A wrong answer that happens to equal the right one (five dots are five dots) is skipped and counted.
    """
    own = wrong = wrong_tried = copied = copied_tried = skipped = 0
    for index in range(count):
        task = rule.draw(Random(f"{seed}:{index}:task"), source)
        page = task.page(Random(f"{seed}:{index}:page"))
        right = _answers(page)
        own += rule.verify(page, right).ok
        # The same task on other objects, and another task on the same objects where the page's shape allows.
        other_objects = task.page(Random(f"{seed}:{index}:other"))
        other_task = rule.draw(Random(f"{seed}:{index}:task2"), source).page(Random(f"{seed}:{index}:page"))
        for other in (other_objects, other_task):
            answers = _answers(other)
            if len(answers) != len(right) or not _differ(answers, right):
                skipped += 1
                continue
            wrong_tried += 1
            wrong += rule.verify(page, answers).ok
        for panel in page.conditions:
            if panel.image is not None and _differ_at_all(panel.image, right):
                copied_tried += 1
                copied += rule.verify(page, (panel.image,) * len(right)).ok
    return CheckReport(
        rule=rule.name,
        pages=count,
        own=own / count,
        wrong=wrong / max(1, wrong_tried),
        copied=copied / max(1, copied_tried),
        skipped=skipped,
    )
