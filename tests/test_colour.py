import io
import logging

import numpy as np
import pytest
from PIL import Image, ImageCms

from tiny_profiles import display_p3, four_inks, grey
from triptych.colour import to_srgb
from triptych.images import png_bytes, read_image


def saved(picture: Image.Image, profile: bytes, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, icc_profile=profile, **options)
    return stream.getvalue()


def colour(picture: Image.Image) -> tuple[int, ...]:
    pixel = picture.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_read_image_in_display_p3_is_converted_to_srgb(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    picture = read_image(saved(Image.new("RGB", (16, 16), (234, 51, 35)), display_p3(), kind, **options))
    assert np.abs(np.subtract(colour(picture), (255, 0, 0))).max() <= 5


def test_read_image_in_display_p3_grey_stays_grey() -> None:
    assert colour(read_image(saved(Image.new("RGB", (4, 4), (120, 120, 120)), display_p3()))) == (120, 120, 120)


def test_read_image_with_alpha_and_profile_converts_the_colours_alone() -> None:
    data = saved(Image.new("RGBA", (4, 4), (234, 51, 35, 128)), display_p3())
    red, green, blue, alpha = colour(read_image(data, keep_alpha=True))
    assert alpha == 128 and red >= 253 and max(green, blue) <= 5
    assert np.abs(np.subtract(colour(read_image(data)), (255, 127, 127))).max() <= 3


def test_read_image_of_a_palette_with_a_profile_is_converted() -> None:
    picture = Image.new("RGB", (4, 4), (234, 51, 35)).quantize(4)
    assert np.abs(np.subtract(colour(read_image(saved(picture, display_p3()))), (255, 0, 0))).max() <= 3


def test_read_image_tagged_srgb_keeps_every_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(np.asarray(read_image(saved(Image.fromarray(pixels), profile))), pixels)


def test_read_image_in_grey_of_a_gamma_is_converted() -> None:
    picture = read_image(saved(Image.new("L", (4, 4), 100), grey(1.0)))
    linear = 100 / 255
    expected = round(255 * (1.055 * linear ** (1 / 2.4) - 0.055))
    assert np.abs(np.subtract(colour(picture), expected)).max() <= 1


def test_read_image_in_cmyk_goes_through_its_inks() -> None:
    profile = four_inks({(0, 0, 0, 0): (255, 128, 128), (1, 0, 0, 0): (140, 98, 80)})
    picture = read_image(saved(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), profile, "TIFF"))
    lab = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    expected = colour(lab.apply(Image.frombytes("LAB", (1, 1), bytes((140, 98 ^ 128, 80 ^ 128)))))
    assert np.abs(np.subtract(colour(picture), expected)).max() <= 4
    assert colour(picture)[1] < 200


@pytest.mark.parametrize("profile", [b"no profile at all", display_p3()[:200], grey(2.2)])
def test_read_image_with_a_profile_of_no_use_says_so(profile: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        picture = read_image(saved(Image.new("RGB", (4, 4), (234, 51, 35)), profile), name="fox.png")
    assert colour(picture) == (234, 51, 35)
    (record,) = caplog.records
    assert record.getMessage().startswith("fox.png: its colour profile is left out")


def test_to_srgb_without_a_profile_keeps_the_picture() -> None:
    picture = Image.new("RGB", (2, 2), (1, 2, 3))
    assert to_srgb(picture, None).tobytes() == picture.tobytes()


def test_png_bytes_is_tagged_srgb_and_read_back_as_it_is() -> None:
    picture = Image.new("RGB", (4, 4), (234, 51, 35))
    data = png_bytes(picture)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.info["srgb"] == 0
    assert data.index(b"sRGB") < data.index(b"IDAT")
    assert read_image(data).tobytes() == picture.tobytes()
