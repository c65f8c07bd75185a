"""Pictures that need no model to be made: what every row of scores stands beside."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
import torch
from PIL import Image

from triptych.evaluation.cases import Case
from triptych.evaluation.metrics import psnr
from triptych.models.backbone import Backbone
from triptych.models.pocket.changes import by_least_squares
from triptych.page import Page
from triptych.sampling.encode import grid_of, picture_of, pixels

__all__ = ["Baseline", "baselines", "through_codec"]

_CODEC_BATCH = 16


class Baseline(StrEnum):
    """Each is scored as if a model had painted it."""

    COPY = "copy"
    """The page's own condition that is nearest to the answer."""
    WHITE = "white"
    OTHER_OBJECT = "other object"
    """The right rule on the wrong object."""
    NEAREST = "nearest training answer"
    """Of the same task on training objects, the answer nearest to the right one: what remembering could give."""
    CEILING = "ceiling"
    """The right answer through the backbone's codec: the best that the backbone could paint."""
    LINEAR = "linear transform"
    """The right answer through a linear transform (KLT) with as many values a token: what a codec must beat."""
    LEAST_SQUARES = "least squares"
    """What the first example did to places and colours, fitted with no network: what learning in context must beat."""


def baselines(case: Case) -> Mapping[Baseline, tuple[Image.Image, ...]]:
    """The pictures of each baseline for the slots of a case; those that the case has none of are left out."""
    answers = _answers(case.page)
    found = {Baseline.WHITE: tuple(Image.new("RGB", answer.size, (255, 255, 255)) for answer in answers)}
    shown = [panel.image for panel in case.page.conditions if panel.image is not None]
    if shown:
        found[Baseline.COPY] = tuple(_nearest(answer, shown) for answer in answers)
    if case.stranger is not None:
        found[Baseline.OTHER_OBJECT] = _answers(case.stranger)
    if case.trained and case.trained_features is not None:
        own = case.candidates[case.right]
        best = int(np.argmax(np.einsum("nsf,sf->n", case.trained_features, own)))
        found[Baseline.NEAREST] = case.trained[best]
    if (fitted := _fitted(case)) is not None:
        found[Baseline.LEAST_SQUARES] = fitted
    return found


@torch.inference_mode()
def _fitted(case: Case) -> tuple[Image.Image, ...] | None:
    """For pages of one condition and one slot whose example is alike; None for others."""
    pages = (*case.examples[:1], case.page)
    if len(pages) == 1 or any((len(page.conditions), len(page.slots)) != (1, 1) for page in pages):
        return None
    (answer,), example = _answers(case.page), pages[0]
    pictures = (example.conditions[0].image, example.slots[0].answer, case.page.conditions[0].image)
    sized = [picture.convert("RGB").resize(answer.size) for picture in pictures if picture is not None]
    if len(sized) < len(pictures):
        return None
    before, after, condition = (pixels(picture) for picture in sized)
    return (picture_of(by_least_squares(before, after, condition)),)


def _answers(page: Page) -> tuple[Image.Image, ...]:
    return tuple(panel.answer for panel in page.slots if panel.answer is not None)


def _nearest(answer: Image.Image, shown: Sequence[Image.Image]) -> Image.Image:
    right = np.asarray(answer, dtype=np.float32) / 255
    fitted = [picture if picture.size == answer.size else picture.resize(answer.size) for picture in shown]
    return max(fitted, key=lambda picture: psnr(np.asarray(picture, dtype=np.float32) / 255, right))


@torch.inference_mode()
def through_codec(backbone: Backbone, pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Each picture encoded and decoded by the backbone, at its own size where that fits the codec's factor."""
    made: list[Image.Image | None] = [None] * len(pictures)
    alike: dict[tuple[int, int], list[int]] = {}
    for index, picture in enumerate(pictures):
        alike.setdefault(picture.size, []).append(index)
    factor = backbone.card.factor
    for size, indices in alike.items():
        width, height = (max(factor, round(side / factor) * factor) for side in size)
        grid = grid_of((width, height), 0, factor)
        for start in range(0, len(indices), _CODEC_BATCH):
            part = indices[start : start + _CODEC_BATCH]
            batch = torch.cat([pixels(pictures[index].resize((width, height))) for index in part])
            decoded = backbone.decode_images(backbone.encode_images(batch.to(backbone.device, backbone.dtype)), grid)
            for index, values in zip(part, decoded, strict=True):
                made[index] = picture_of(values[None]).resize(size)
    return [picture for picture in made if picture is not None]
