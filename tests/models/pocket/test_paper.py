"""A colour of its own, over a picture or around it, is told from what a filter makes of the picture."""

from collections.abc import Callable

import pytest
import skimage.data
import torch
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from triptych.models.pocket.changes import by_least_squares, change_between
from triptych.models.pocket.paper import paper_between
from triptych.models.pocket.regression import first_ridges
from triptych.sampling.encode import pixels

PAPER = (180, 60, 90)


def _photograph(array: object) -> Image.Image:
    return Image.fromarray(array).convert("RGB").resize((128, 128), Image.Resampling.LANCZOS)


def _barred(picture: Image.Image) -> Image.Image:
    out = picture.copy()
    out.paste(PAPER, (0, 0, 128, 24))
    out.paste(PAPER, (0, 104, 128, 128))
    return out


def _ruled(picture: Image.Image) -> Image.Image:
    out = picture.copy()
    pen = ImageDraw.Draw(out)
    for at in (22, 58, 103):
        pen.line((at, 0, at, 128), PAPER, 3)
        pen.line((0, at, 128, at), PAPER, 3)
    return out


def _cut_out(picture: Image.Image) -> Image.Image:
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).ellipse((10, 10, 118, 118), fill=255)
    return Image.composite(picture, Image.new("RGB", picture.size, PAPER), mask)


def _laid(picture: Image.Image) -> Image.Image:
    out = Image.new("RGB", picture.size, PAPER)
    out.paste(picture.resize((70, 70), Image.Resampling.BICUBIC), (48, 20))
    return out


def _grey_in_a_frame(picture: Image.Image) -> Image.Image:
    grey = ImageOps.grayscale(picture).convert("RGB").crop((8, 8, 120, 120))
    return ImageOps.expand(grey, 8, PAPER)


@pytest.mark.parametrize("rule", [_barred, _ruled, _cut_out, _laid, _grey_in_a_frame])
def test_paper_of_one_example_is_laid_over_or_around_another_photograph(
    rule: Callable[[Image.Image], Image.Image],
) -> None:
    example, other = _photograph(skimage.data.coffee()), _photograph(skimage.data.astronaut())
    told = by_least_squares(pixels(example), pixels(rule(example)), pixels(other))
    right = pixels(rule(other))
    assert float(-10 * ((told - right).square().mean() / 4).log10()) > 28


def _on_white(picture: Image.Image, fill: tuple[int, int, int]) -> Image.Image:
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).polygon([(30, 20), (100, 40), (80, 110), (24, 96)], fill=255)
    return Image.composite(picture, Image.new("RGB", picture.size, fill), mask)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A silhouette: beside the new colour all is white, so nothing says that it has a place of its own.
        (
            lambda picture: _on_white(picture, (255, 255, 255)),
            lambda picture: _on_white(Image.new("RGB", picture.size, PAPER), (255, 255, 255)),
        ),
        # Another ground: it was white all over, so it is the colour that changed.
        (lambda picture: _on_white(picture, (255, 255, 255)), lambda picture: _on_white(picture, PAPER)),
        # Two colours parted at a grey: each pixel's lightness says which.
        (lambda picture: picture, lambda picture: ImageOps.colorize(_parted(picture), PAPER, (250, 240, 200))),
    ],
    ids=["silhouette", "ground", "threshold"],
)
def test_colour_that_follows_what_is_there_is_no_paper(
    before: Callable[[Image.Image], Image.Image], after: Callable[[Image.Image], Image.Image]
) -> None:
    picture = _photograph(skimage.data.coffee())
    change = change_between(pixels(before(picture)), pixels(after(picture)), first_ridges())
    assert not change.places.over.any()


def _parted(picture: Image.Image) -> Image.Image:
    return ImageOps.grayscale(picture).point([0 if value < 110 else 255 for value in range(256)])


def test_paper_is_found_where_it_is() -> None:
    picture = _photograph(skimage.data.coffee())
    found, known = paper_between(pixels(picture), pixels(_barred(picture)))
    assert found.mask[0, 0, :24].all() and found.mask[0, 0, 104:].all() and not found.mask[0, 0, 26:102].any()
    torch.testing.assert_close(found.colour[0], torch.tensor(PAPER) / 127.5 - 1, atol=0.02, rtol=0)
    assert known > 0.95


def test_picture_that_only_moved_has_no_paper() -> None:
    picture: Tensor = pixels(_photograph(skimage.data.coffee()))
    found, known = paper_between(picture, picture.flip(3))
    assert not found.mask.any() and found.colour.isnan().all()
    assert known > 0.9


def test_part_of_a_picture_has_more_of_its_sky_and_no_paper() -> None:
    picture = pixels(_photograph(skimage.data.rocket()))
    part = torch.nn.functional.interpolate(picture[..., :70, 30:100], (128, 128), mode="bicubic").clamp(-1, 1)
    assert not paper_between(picture, part)[0].mask.any()
