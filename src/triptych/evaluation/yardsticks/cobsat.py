"""CoBSAT: what the examples share is to be found out, and words name the rest.

Zeng et al. 2024, arXiv:2402.01293. Its pictures have a licence of their own and are never part of this package.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image

from triptych.errors import SourceError
from triptych.evaluation.judge import Judge
from triptych.evaluation.statistics import Estimate, bootstrap
from triptych.events import Event, Step
from triptych.images import load_image
from triptych.page import Page, slot

__all__ = ["COBSAT_TASKS", "CobsatCase", "cobsat_cases", "cobsat_pictures", "score_cobsat"]

_THINGS: Mapping[str, tuple[str, ...]] = {
    "color": ("yellow", "white", "red", "purple", "pink", "orange", "green", "brown", "blue", "black"),
    "object": ("leaf", "hat", "cup", "chair", "car", "box", "book", "ball", "bag", "apple"),
    "animal": ("zebra", "tiger", "sheep", "pig", "monkey", "lion", "dog", "cow", "cat", "bird"),
    "style": ("watercolor", "sketch", "pixel", "origami", "lego", "icon", "graffiti", "futuristic", "3d", "old"),
    "action": ("swim", "sleep", "sing", "run", "read", "fly", "eat", "drink", "cry", "angry"),
    "background": ("beach", "desert", "glacier", "volcano", "park", "gym", "waterfall", "space", "cave", "seafloor"),
    "texture": ("wood", "wicker", "sequined", "plastic", "paper", "metal", "leather", "lace", "denim", "ceramic"),
}

COBSAT_TASKS: tuple[tuple[str, str], ...] = tuple(
    pair
    for detail, thing in (
        ("color", "object"), ("background", "animal"), ("style", "object"), ("action", "animal"), ("texture", "object")
    )
    for pair in ((detail, thing), (thing, detail))
)  # fmt: skip
"""(what the words name, what only the examples tell) of the ten tasks, in their published order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CobsatCase:
    """One prompt: the examples share what is to be found out, the words name the rest."""

    task: int
    """1..10, as published."""
    page: Page
    named: str
    hidden: str


def cobsat_cases(folder: Path, *, shots: int = 2, count: int = 100, seed: int = 123) -> tuple[CobsatCase, ...]:
    """`count` prompts of each task from CoBSAT's folder `datasets`, whose files are DETAIL_THING/detail_thing.jpg.

    Prompts are drawn here and not read from the authors' list, so that figures are near theirs and not the same.
    """
    cases = []
    for number, (words, secret) in enumerate(COBSAT_TASKS, 1):
        for index in range(count):
            rng = Random(f"{seed}:{number}:{index}")
            hidden, names = rng.choice(_THINGS[secret]), rng.sample(_THINGS[words], shots + 1)
            examples = [
                Page(panels=(slot(name, answer=_cobsat_picture(folder, number, name, hidden)),)) for name in names[:-1]
            ]
            page = Page(panels=(slot(names[-1]),), page_id=f"{number}-{index}", rule=f"{words}-{secret}")
            cases.append(CobsatCase(task=number, page=page.with_context(*examples), named=names[-1], hidden=hidden))
    return tuple(cases)


def _cobsat_picture(folder: Path, task: int, named: str, hidden: str) -> Image.Image:
    words, secret = COBSAT_TASKS[task - 1]
    by_kind = {words: named, secret: hidden}
    detail_kind, thing_kind = (words, secret) if task % 2 else (secret, words)
    detail, thing = by_kind[detail_kind], by_kind[thing_kind]
    path = folder / f"{detail_kind}_{thing}" / f"{detail}_{thing}.jpg"
    if not path.is_file():
        raise SourceError(f"there is no {path}; give CoBSAT's folder `datasets`.")
    return load_image(path)


def cobsat_pictures(case: CobsatCase, folder: Path) -> Mapping[str, Image.Image]:
    """What a case's picture stands beside: the benchmark's own picture (the judge's ceiling) and the last example."""
    shown = case.page.context[-1].slots[0].answer if case.page.context else None
    own = _cobsat_picture(folder, case.task, case.named, case.hidden)
    return {"right picture": own} | ({"copy of an example": shown} if shown else {})


def score_cobsat(
    cases: Sequence[CobsatCase],
    pictures: Sequence[Image.Image],
    judge: Judge,
    *,
    on_event: Callable[[Event], None] = lambda _: None,
) -> Mapping[int, Estimate]:
    """For each task the share of pictures that show both the named and the hidden thing (the strict score).

    As published, the judge chooses each from the ten options by number.
    """
    right: dict[int, list[float]] = {}
    for done, (case, picture) in enumerate(zip(cases, pictures, strict=True), 1):
        kinds = COBSAT_TASKS[case.task - 1]
        shows = [_chosen(judge, picture, kind) for kind in kinds]
        right.setdefault(case.task, []).append(float(shows == [case.named, case.hidden]))
        on_event(Step(step=done, steps=len(cases)))
    return {task: bootstrap(values) for task, values in right.items()}


def _chosen(judge: Judge, picture: Image.Image, kind: str) -> str | None:
    options = _THINGS[kind]
    listed = " ".join(f"({number}){option}" for number, option in enumerate(options, 1))
    answer = judge.ask(f"What is the {kind} in this image? Answer from the following options: {listed}", [picture])
    number = re.search(r"\d+", answer)
    return options[int(number.group()) - 1] if number and 1 <= int(number.group()) <= len(options) else None
