"""Registration finds what a photograph was turned, cropped or shrunk by, and `warp` does the same to another."""

import math
from collections.abc import Callable

import pytest
import skimage.data
import torch
from PIL import Image

from triptych.models.pocket.registration import register, warp
from triptych.sampling.encode import pixels


def _photograph(array: object, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(array).convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _turned(picture: Image.Image) -> Image.Image:
    return picture.rotate(37, Image.Resampling.BICUBIC, fillcolor="white")


def _cropped(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    box = (0.3 * width, 0.15 * height, 0.85 * width, 0.7 * height)
    return picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)


def _smaller(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    page = Image.new("RGB", picture.size, (40, 90, 60))
    page.paste(picture.resize((width // 2, height // 2), Image.Resampling.LANCZOS), (width // 10, height // 3))
    return page


def _sheared(picture: Image.Image) -> Image.Image:
    sheared = (1, 0.3, -0.15 * picture.height, 0, 1, 0)
    return picture.transform(picture.size, Image.Transform.AFFINE, sheared, Image.Resampling.BICUBIC)


def _mirrored(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


@pytest.mark.parametrize("size", [(128, 128), (192, 128)], ids=["square", "3:2"])
@pytest.mark.parametrize("change", [_turned, _cropped, _smaller, _sheared, _mirrored])
def test_what_was_done_to_one_photograph_is_done_to_another(
    change: Callable[[Image.Image], Image.Image], size: tuple[int, int]
) -> None:
    example, other = (_photograph(array, size) for array in (skimage.data.chelsea(), skimage.data.coffee()))
    maps = register(pixels(example), pixels(change(example)))
    moved, inside = warp(pixels(other), maps)
    answer = pixels(change(other))
    error = (inside * (moved - answer).square()).sum() / (3 * inside.sum())
    assert 0.2 < float(inside.mean()) <= 1
    assert float(error) < 4 * 10**-2.6, "26 dB"
    unmoved = (inside * (pixels(other) - answer).square()).sum() / (3 * inside.sum())
    assert float(unmoved) > 10 * float(error)


def test_each_of_a_batch_has_its_own_map() -> None:
    picture = pixels(_photograph(skimage.data.chelsea(), (128, 128)))
    both = register(torch.cat((picture, picture)), torch.cat((picture.flip(3), picture.rot90(1, (2, 3)))))
    torch.testing.assert_close(both[0, :, :2], torch.tensor([[-1.0, 0.0], [0.0, 1.0]]), atol=1e-3, rtol=0)
    torch.testing.assert_close(both[1, :, :2], torch.tensor([[0.0, -1.0], [1.0, 0.0]]), atol=1e-3, rtol=0)


def test_a_map_of_a_square_turns_a_wide_picture_by_the_same_angle() -> None:
    turn = math.radians(30)
    maps = torch.tensor([[[math.cos(turn), -math.sin(turn), 0.0], [math.sin(turn), math.cos(turn), 0.0]]])
    wide = _photograph(skimage.data.chelsea(), (256, 128))
    moved, inside = warp(pixels(wide), maps)
    right = pixels(wide.rotate(30, Image.Resampling.BICUBIC))
    assert float((inside * (moved - right).square()).sum() / (3 * inside.sum())) < 4 * 10**-3.0
