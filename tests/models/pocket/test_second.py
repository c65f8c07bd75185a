"""What the released second pocket does with photographs that no training saw: scikit-image's own."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from triptych.models.pocket import PocketBackbone, load_pocket
from triptych.models.pocket.files import shipped_pocket
from triptych.page import Page, condition, slot
from triptych.sampling import generate

PHOTOGRAPHS: dict[str, Callable[[], np.ndarray]] = {
    "cat": data.chelsea, "cup": data.coffee, "astronaut": data.astronaut
}  # fmt: skip


@pytest.fixture(scope="module")
def second() -> PocketBackbone:
    return load_pocket(shipped_pocket("pocket-2"))


def _photograph(name: str, side_px: int) -> Image.Image:
    return ImageOps.fit(Image.fromarray(PHOTOGRAPHS[name]()), (side_px, side_px), Image.Resampling.LANCZOS)


def _made(backbone: PocketBackbone, page: Page, size_px: int) -> Image.Image:
    return generate(backbone, page, seed=0, size_px=size_px).images[0]


def _decibels(picture: Image.Image, right: Image.Image) -> float:
    return peak_signal_noise_ratio(np.asarray(right), np.asarray(picture))


@pytest.mark.parametrize("side_px", [128, 256])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_second_pocket_copies_a_photograph(second: PocketBackbone, name: str, side_px: int) -> None:
    photograph = _photograph(name, side_px)
    made = _made(second, Page(panels=(condition(photograph), slot("the same picture"))), side_px)
    assert _decibels(made, photograph) > 28.5


def test_second_pocket_keeps_more_of_a_photograph_than_the_first(second: PocketBackbone) -> None:
    page = Page(panels=(condition(_photograph("cat", 128)), slot("the same picture")))
    made, before = (_made(backbone, page, 128) for backbone in (second, load_pocket()))
    photograph = _photograph("cat", 128)
    assert _decibels(made, photograph) > _decibels(before, photograph) + 4


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_second_pocket_takes_colour_away_by_one_example(second: PocketBackbone, name: str) -> None:
    def grey(picture: Image.Image) -> Image.Image:
        return ImageOps.grayscale(picture).convert("RGB")

    photograph, other = _photograph(name, 128), _photograph("cup" if name == "cat" else "cat", 128)
    example = Page(panels=(condition(other), slot(answer=grey(other))))
    made = _made(second, Page(panels=(condition(photograph), slot()), context=(example,)), 128)
    assert _decibels(made, grey(photograph)) > max(20, _decibels(photograph, grey(photograph)) + 3)


@pytest.mark.parametrize(("side_px", "least"), [(128, 23), (256, 15)])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_second_pocket_mirrors_a_photograph(second: PocketBackbone, name: str, side_px: int, least: float) -> None:
    photograph = _photograph(name, side_px)
    made = _made(second, Page(panels=(condition(photograph), slot("flip it left to right"))), side_px)
    mirrored = ImageOps.mirror(photograph)
    assert _decibels(made, mirrored) > max(least, _decibels(photograph, mirrored) + 5)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_second_pocket_mirrors_by_one_example(second: PocketBackbone, name: str) -> None:
    photograph, other = _photograph(name, 128), _photograph("cup" if name == "cat" else "cat", 128)
    example = Page(panels=(condition(other), slot(answer=ImageOps.mirror(other))))
    made = _made(second, Page(panels=(condition(photograph), slot()), context=(example,)), 128)
    mirrored = ImageOps.mirror(photograph)
    assert _decibels(made, mirrored) > _decibels(photograph, mirrored) + 7
