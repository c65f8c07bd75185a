"""One page's pictures to numbers, whoever made them: a model, a baseline, or the rule engine itself."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from triptych.evaluation.cases import Case
from triptych.evaluation.legibility import legibility
from triptych.evaluation.metrics import compare_pictures, psnr
from triptych.evaluation.retrieval import embed, rank_of
from triptych.evaluation.storyboards import ShotJudge
from triptych.images import opaque
from triptych.page import Page

__all__ = ["confusion", "confusion_key", "score_pictures", "score_samples"]

_SEEN_PX = 64
_COPY_DB = 20.0
_COPY_LEAD_DB = 3.0


def score_pictures(
    case: Case,
    asked: Page,
    pictures: Sequence[Image.Image],
    *,
    patch_px: int = 16,
    judge: ShotJudge | None = None,
) -> Mapping[str, float]:
    """All figures of a page, each the mean over its slots.

    `asked` holds the answers that count: those of the case, or moved on where the instructions were. `judge` is
    there for storyboards.
    """
    answers = [panel.answer for panel in asked.slots if panel.answer is not None]
    details = [
        compare_pictures(picture, answer, patch_px=patch_px).values()
        for picture, answer in zip(pictures, answers, strict=True)
    ]
    values = {name: float(np.mean([detail[name] for detail in details])) for name in details[0]}
    if case.rule is not None:
        verdict = case.rule.verify(asked, tuple(pictures))
        values |= {"obeyed": float(verdict.ok), "nearness": verdict.score}
    legible = legibility(asked, pictures, case.rule, _other_answers(case))
    if legible is not None:
        values["legible"] = legible
    if len(case.candidates) > 1 and _answers_as(asked, case.page):
        values["top1"] = _top1(case, pictures)
    if len(answers) > 1:
        places = confusion(pictures, answers)
        values["own_panel"] = float(np.mean([slot in nearest for slot, nearest in enumerate(places)]))
        values["all_panels"] = float(values["own_panel"] == 1.0)
        for slot, nearest in enumerate(places, 1):
            values |= {
                confusion_key(slot, answer): float(answer - 1 in nearest) / len(nearest)
                for answer in range(1, len(answers) + 1)
            }
    values |= _copies(asked, pictures, answers)
    if judge is not None:
        values |= _shots(judge, pictures)
    return values


def score_samples(
    case: Case,
    asked: Page,
    samples: Sequence[Sequence[Image.Image]],
    *,
    patch_px: int = 16,
    judge: ShotJudge | None = None,
) -> Mapping[str, float]:
    """Means of `score_pictures` over what was made of a page, and of two or more how far they differ: `spread`."""
    scored = [score_pictures(case, asked, pictures, patch_px=patch_px, judge=judge) for pictures in samples]
    values = {name: float(np.mean([one[name] for one in scored])) for name in scored[0]}
    if len(samples) > 1:
        seen = np.stack([[_seen(picture) for picture in pictures] for pictures in samples])
        values["spread"] = 255 * float(np.sqrt(seen.var(axis=0, ddof=1).mean()))
    return values


def _other_answers(case: Case) -> list[tuple[Image.Image, ...]]:
    pages = (*case.examples, case.stranger) if case.stranger else case.examples
    return [tuple(panel.answer for panel in page.slots if panel.answer is not None) for page in pages]


def _answers_as(asked: Page, page: Page) -> bool:
    """Whether every slot still has the answer that stands among the candidates: not so where they were moved on."""
    return all(here.answer is there.answer for here, there in zip(asked.slots, page.slots, strict=True))


def _top1(case: Case, pictures: Sequence[Image.Image]) -> float:
    """The page's own conditions stand among the candidates, so that a copied input is never called right."""
    inputs = embed([panel.image for panel in case.page.conditions if panel.image is not None])
    ranks = [
        rank_of(row, np.concatenate((case.candidates[:, slot], inputs)), case.right)
        for slot, row in enumerate(embed(pictures))
    ]
    return float(np.mean([rank == 0 for rank in ranks]))


def confusion_key(panel: int, instruction: int) -> str:
    """Name of the figure that says how often the panel's picture is nearest to the instruction's answer."""
    return f"panel {panel} as {instruction}"


def confusion(pictures: Sequence[Image.Image], answers: Sequence[Image.Image]) -> list[tuple[int, ...]]:
    """For each slot the places of the answers that its picture is nearest to; several only where answers are equal."""
    right = np.stack([_seen(answer) for answer in answers])
    nearest = []
    for picture in pictures:
        errors = np.mean((right - _seen(picture)) ** 2, axis=(1, 2, 3))
        nearest.append(tuple(int(place) for place in np.flatnonzero(errors <= errors.min() + 1e-9)))
    return nearest


def _seen(picture: Image.Image) -> np.ndarray:
    small = opaque(picture).resize((_SEEN_PX, _SEEN_PX), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255


def _copies(asked: Page, pictures: Sequence[Image.Image], answers: Sequence[Image.Image]) -> Mapping[str, float]:
    """Shares of slots that are a copy: 20 dB or more to a picture on the page, 3 dB nearer to it than to the answer."""
    inputs = [_seen(panel.image) for panel in asked.conditions if panel.image is not None]
    shown = [_seen(panel.picture) for example in asked.context for panel in example.panels if panel.picture is not None]
    copied = {"copied_input": inputs, "copied_example": shown}
    rates = {}
    for name, sources in copied.items():
        hits = []
        for picture, answer in zip(pictures, answers, strict=True):
            given = _seen(picture)
            limit = max(_COPY_DB, psnr(given, _seen(answer)) + _COPY_LEAD_DB)
            hits.append(any(psnr(given, source) >= limit for source in sources))
        if sources:
            rates[name] = float(np.mean(hits))
    return rates


def _shots(judge: ShotJudge, pictures: Sequence[Image.Image]) -> Mapping[str, float]:
    scores = judge.score(pictures)
    if not scores:
        return {}
    return {
        "top1": float(np.mean([score.character for score in scores])),
        "place": float(np.mean([score.place for score in scores])),
        "framing": float(np.mean([score.framing for score in scores])),
    }
