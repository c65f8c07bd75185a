"""Every distance on pictures whose difference is known by construction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from triptych.evaluation.metrics import compare_pictures, gradient_deviation, psnr, seam_excess


@pytest.fixture
def scene() -> Image.Image:
    picture = Image.new("RGB", (128, 128), (200, 212, 224))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((30, 34, 92, 96), fill=(200, 60, 40))
    pen.rectangle((60, 20, 80, 60), fill=(40, 90, 200))
    return picture


def test_compare_pictures_equal_is_perfect(scene: Image.Image) -> None:
    found = compare_pictures(scene, scene)
    assert (found.psnr, found.ssim, found.gmsd, found.colour, found.shift_px) == (60.0, 1.0, 0.0, 0.0, 0.0)
    assert (found.seams, found.noise) == (0.0, 0.0)
    assert found.sharpness == pytest.approx(1.0)


@settings(deadline=None)
@given(st.integers(1, 80))
def test_psnr_of_known_error_is_exact(levels: int) -> None:
    right = np.full((8, 8, 3), 100 / 255)
    assert psnr(right + levels / 255, right) == pytest.approx(20 * np.log10(255 / levels))


@pytest.mark.parametrize("size", [(1, 64), (64, 1), (1, 1), (5, 6)])
def test_compare_pictures_that_are_tiny_are_compared(size: tuple[int, int]) -> None:
    white, grey = Image.new("RGB", size, "white"), Image.new("RGB", size, "grey")
    assert compare_pictures(white, white).ssim == pytest.approx(1)
    found = compare_pictures(grey, white).values()
    assert np.isfinite(list(found.values())).all()
    assert found["psnr"] == pytest.approx(psnr(np.full((1, 1), 128 / 255), np.ones((1, 1))), abs=0.01)


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (-4, 3), (0, -6)])
def test_shift_of_moved_picture_is_its_length(scene: Image.Image, dx: int, dy: int) -> None:
    assert compare_pictures(ImageChops.offset(scene, dx, dy), scene).shift_px == pytest.approx(
        np.hypot(dx, dy), abs=0.3
    )


def test_colour_shift_sees_hue_and_not_fine_texture(scene: Image.Image) -> None:
    tinted = Image.blend(scene, Image.new("RGB", scene.size, (255, 200, 0)), 0.2)
    pixels = np.asarray(scene, dtype=int).copy()
    pixels[::2] += 6
    pixels[1::2] -= 6
    textured = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    assert compare_pictures(tinted, scene).colour > 5 > 1 > compare_pictures(textured, scene).colour


def test_sharpness_of_blurred_picture_is_lower(scene: Image.Image) -> None:
    soft = scene.filter(ImageFilter.GaussianBlur(3))
    assert compare_pictures(soft, scene).sharpness < 0.6
    assert compare_pictures(ImageChops.offset(scene, 2, 0), scene).sharpness > 0.9


def test_seams_of_patches_are_seen_and_of_stripes_elsewhere_are_not() -> None:
    error = np.zeros((64, 64, 3))
    patches = (np.indices((64, 64)) // 16).sum(axis=0) % 2
    error[patches == 1] = 10 / 255
    assert seam_excess(error, patch_px=16) > 2
    assert seam_excess(np.roll(error, (5, 5), (0, 1)), patch_px=16) < 0


def test_noise_counts_colour_in_flat_parts_only(scene: Image.Image) -> None:
    rng = np.random.default_rng(0)
    pixels = np.asarray(scene, dtype=float)
    coloured = pixels + rng.normal(0, 8, pixels.shape)
    grey = pixels + rng.normal(0, 8, pixels.shape[:2])[..., None]
    loud, quiet = (Image.fromarray(array.clip(0, 255).astype(np.uint8)) for array in (coloured, grey))
    assert compare_pictures(loud, scene).noise > 3 > 1.5 > compare_pictures(quiet, scene).noise


def test_gradient_deviation_prefers_blur_to_another_picture(scene: Image.Image) -> None:
    right, soft, other = (
        np.asarray(picture.convert("L"), dtype=np.float32) / 255
        for picture in (scene, scene.filter(ImageFilter.GaussianBlur(1)), ImageChops.offset(scene, 40, 30))
    )
    assert 0 < gradient_deviation(soft, right) < gradient_deviation(other, right)


def test_compare_pictures_of_other_size_is_resampled(scene: Image.Image) -> None:
    assert compare_pictures(scene.resize((256, 256), Image.Resampling.BICUBIC), scene).psnr > 28
