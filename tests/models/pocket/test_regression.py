"""Least squares tells a filter from one photograph, does it to another, and knows what it has not seen."""

from collections.abc import Callable

import pytest
import skimage.data
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

from triptych.models.pocket import changes
from triptych.models.pocket.changes import by_least_squares, change_between
from triptych.models.pocket.features import EVERY, SLICES, STEPS, pixel_features, told_by_steps
from triptych.models.pocket.registration import register
from triptych.models.pocket.regression import first_ridges, moments
from triptych.sampling.encode import pixels


def _photograph(array: object) -> Image.Image:
    return Image.fromarray(array).convert("RGB").resize((128, 128), Image.Resampling.LANCZOS)


def _decibels(a: Tensor, b: Tensor) -> float:
    return float(-10 * ((a - b).square().mean() / 4).log10())


_RELIEF = ImageFilter.Kernel((3, 3), (-0.3, -0.3, -0.3, -0.3, 2.4, -0.3, -0.3, -0.3, 0.3), scale=1)


def _warm(picture: Image.Image) -> Image.Image:
    red, green, blue = picture.split()
    return Image.merge("RGB", (red.point(lambda v: min(255, v * 1.2)), green, blue.point(lambda v: v * 0.7)))


@pytest.mark.parametrize(
    "rule",
    [
        _warm,
        ImageOps.invert,
        lambda picture: ImageOps.grayscale(picture).convert("RGB"),
        lambda picture: ImageEnhance.Color(picture).enhance(0.3),
        lambda picture: picture.point(lambda v: 255 * (v / 255) ** 1.8),
        lambda picture: Image.merge("RGB", picture.split()[::-1]),
        ImageOps.mirror,
        lambda picture: ImageOps.posterize(picture, 2),
        lambda picture: picture.filter(ImageFilter.GaussianBlur(2)),
        lambda picture: picture.filter(_RELIEF),
        lambda picture: picture,
    ],
    ids=[
        *("warm", "negative", "grey", "pale", "gamma", "channels swapped", "mirrored"),
        *("four levels", "blurred", "relief", "the same"),
    ],
)
def test_filter_of_one_photograph_is_done_to_another(rule: Callable[[Image.Image], Image.Image]) -> None:
    example, other = _photograph(skimage.data.coffee()), _photograph(skimage.data.astronaut())
    told = by_least_squares(pixels(example), pixels(rule(example)), pixels(other))
    right = pixels(rule(other))
    assert _decibels(told, right) > 26
    assert torch.equal(pixels(other), right) or _decibels(told, right) > _decibels(pixels(other), right) + 6


def test_features_of_a_group_are_its_part_of_all_and_of_every_fourth_pixel() -> None:
    picture = pixels(_photograph(skimage.data.coffee()))[..., :96]
    every = pixel_features(picture)
    assert every.shape[1] == len(first_ridges())
    for group in EVERY:
        alone = pixel_features(picture, (group,))
        torch.testing.assert_close(alone, every[:, SLICES[group]])
        thin = alone.unflatten(2, (128, 96))[..., 2::4, 2::4].flatten(2)
        torch.testing.assert_close(pixel_features(picture, (group,), stride=4), thin)


def test_steps_are_told_without_their_features() -> None:
    picture = pixels(_photograph(skimage.data.coffee()))
    weights = torch.randn(1, SLICES[STEPS].stop - SLICES[STEPS].start, 3, generator=torch.Generator().manual_seed(0))
    by_features = weights.transpose(1, 2) @ pixel_features(picture, (STEPS,))
    torch.testing.assert_close(told_by_steps(picture, weights), by_features, atol=1e-4, rtol=1e-4)


def test_colours_that_stay_are_left_exactly_as_they_are() -> None:
    example = pixels(_photograph(skimage.data.coffee()))
    smaller = torch.nn.functional.interpolate(example, (96, 96), mode="bicubic", antialias=True)
    after = torch.full_like(example, 0.5)
    after[..., 16:112, 16:112] = smaller
    change = change_between(example, after, first_ridges())
    assert change.colours.solve(first_ridges()).groups == ()
    torch.testing.assert_close(change.places.paper, torch.full((1, 3), 0.5), atol=1e-3, rtol=0)


def test_paper_is_told_only_where_it_is_of_one_colour() -> None:
    example, other = (pixels(_photograph(array)) for array in (skimage.data.coffee(), skimage.data.astronaut()))
    after = example.roll(40, 3)
    after[..., :40] = other[..., :40]
    places = change_between(example, after, first_ridges()).places
    assert not places.wraps[0]
    assert places.paper.isnan().all()


def test_error_is_expected_where_the_example_showed_no_such_colour() -> None:
    blue = torch.zeros(1, 3, 64, 64)
    blue[:, 2] = torch.linspace(-1, 1, 64)
    fitted = moments(blue, -blue).solve(first_ridges())
    both = torch.cat((blue[..., :32], pixels(_photograph(skimage.data.coffee()))[:, :, :64, 64:96]), dim=3)
    expected = fitted.expected_error(both, torch.tensor(2e-6), side=16).view(4, 4)
    assert expected[:, 2:].min() > 10 * expected[:, :2].max()


def test_pixels_that_do_not_count_say_nothing() -> None:
    before, after = (pixels(_photograph(array)) for array in (skimage.data.coffee(), skimage.data.astronaut()))
    counts = torch.zeros(1, 1, 128, 128)
    counts[..., :64] = 1
    spoilt = torch.where(counts > 0, after, torch.randn(1, 3, 128, 128))
    for one, other in zip(
        (moments(before, after, counts)).solve(first_ridges()).weights,
        (moments(before, spoilt, counts)).solve(first_ridges()).weights,
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_what_colours_tell_is_not_taken_for_a_move() -> None:
    before = pixels(_photograph(skimage.data.chelsea()))
    change = change_between(before, -before, first_ridges())
    torch.testing.assert_close(change.places.maps, torch.eye(2, 3)[None])
    assert float(change.error[0]) < 1e-4


def test_pictures_that_share_no_colours_are_not_looked_at_for_a_move(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [pixels(_photograph(array)) for array in (skimage.data.coffee(), skimage.data.chelsea())]
    looked: list[int] = []
    monkeypatch.setattr(changes, "register", lambda *seen: looked.append(len(seen[0])) or register(*seen))
    unrelated = change_between(*pictures, first_ridges())
    torch.testing.assert_close(unrelated.places.maps, torch.eye(2, 3)[None])
    assert not looked
    change_between(pictures[0], pictures[0].flip(3), first_ridges())
    assert looked == [1]


def test_what_no_move_explains_is_not_taken_for_one() -> None:
    before = pixels(_photograph(skimage.data.coffee()))
    blocks = before.unfold(2, 16, 16).unfold(3, 16, 16).flatten(2, 3)
    shuffled = blocks[:, :, torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    after = shuffled.unflatten(2, (8, 8)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    torch.testing.assert_close(change_between(before, after, first_ridges()).places.maps, torch.eye(2, 3)[None])


@pytest.mark.parametrize("far", [(64, 64), (0, 50), (90, 20)])
def test_picture_that_comes_back_at_the_other_side_is_followed_however_far(far: tuple[int, int]) -> None:
    example, other = (pixels(_photograph(array)) for array in (skimage.data.coffee(), skimage.data.astronaut()))
    told = by_least_squares(example, example.roll(far, (2, 3)), other)
    assert _decibels(told, other.roll(far, (2, 3))) > 40


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_leaves_at_one_side_comes_back_only_where_the_example_shows_it(comes_back: bool) -> None:
    example, other = (pixels(_photograph(array)) for array in (skimage.data.coffee(), skimage.data.astronaut()))

    def shifted(picture: Tensor) -> Tensor:
        moved = picture.roll(40, 3)
        if not comes_back:
            moved[..., :40] = 0.9
        return moved

    assert bool(change_between(example, shifted(example), first_ridges()).places.wraps[0]) is comes_back
    assert _decibels(by_least_squares(example, shifted(example), other), shifted(other)) > 26
