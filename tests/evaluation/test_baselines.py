"""Least squares as a baseline: a filter from one example, on pages that have one condition, one slot and an example."""

import numpy as np
import skimage.data
from PIL import Image, ImageOps

from triptych.evaluation.baselines import Baseline, baselines
from triptych.evaluation.cases import cases_of_pages
from triptych.evaluation.metrics import psnr
from triptych.page import Page, condition, slot

PHOTOGRAPHS = [
    Image.fromarray(array).convert("RGB").resize((96, 64))
    for array in (skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut())
]


def _score(picture: Image.Image, right: Image.Image) -> float:
    return psnr(*(np.asarray(each, dtype=np.float32) / 255 for each in (picture, right)))


def test_least_squares_follow_one_example_of_a_filter() -> None:
    pages = [Page(panels=(condition(each), slot("", answer=ImageOps.invert(each)))) for each in PHOTOGRAPHS]
    for case, photograph in zip(cases_of_pages(pages, shots=1), PHOTOGRAPHS, strict=True):
        found, right = baselines(case), ImageOps.invert(photograph)
        (picture,) = found[Baseline.LEAST_SQUARES]
        assert picture.size == right.size
        assert _score(picture, right) > 30
        assert _score(picture, right) > _score(found[Baseline.COPY][0], right) + 10


def test_pages_without_an_example_or_of_several_conditions_have_no_least_squares() -> None:
    one = [Page(panels=(condition(each), slot("invert it", answer=ImageOps.invert(each)))) for each in PHOTOGRAPHS]
    two = [Page(panels=(condition(each), *page.panels)) for each, page in zip(PHOTOGRAPHS, one, strict=True)]
    for cases in (cases_of_pages(one, shots=0), cases_of_pages(two, shots=1)):
        assert all(Baseline.LEAST_SQUARES not in baselines(case) for case in cases)
