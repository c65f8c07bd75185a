"""Pixels and colours stay, everything else goes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from triptych.images import bare_bytes, load_image, original_bytes, png_bytes, read_image
from triptych.metadata import bare_jpeg, bare_png
from triptych.originals import origin


def _jpeg(**more) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    buffer = io.BytesIO()
    picture = Image.effect_noise((90, 70), 80).convert("RGB")
    picture.save(buffer, "JPEG", exif=exif, comment="a secret word", xmp=b"a secret name", **more)
    return buffer.getvalue()


@pytest.mark.parametrize("more", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"icc_profile": b"x" * 9}])
def test_bare_jpeg_keeps_pixels_and_profile_and_nothing_else(more):
    data = _jpeg(**more)
    bare = bare_jpeg(data + b"a video behind the picture, a secret too")

    assert data.count(b"secret") == 3 and b"secret" not in bare
    assert Image.open(io.BytesIO(bare)).tobytes() == Image.open(io.BytesIO(data)).tobytes()
    assert Image.open(io.BytesIO(bare)).info.get("icc_profile") == more.get("icc_profile")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_bare_jpeg_stays_upright(orientation):
    data = _jpeg()
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, "JPEG", exif=exif)

    assert read_image(bare_jpeg(buffer.getvalue(), orientation)).tobytes() == read_image(buffer.getvalue()).tobytes()


def test_bare_png_loses_its_text():
    text = PngImagePlugin.PngInfo()
    text.add_text("triptych", "a secret page")
    buffer = io.BytesIO()
    Image.effect_noise((90, 70), 80).save(buffer, "PNG", pnginfo=text)

    bare = bare_png(buffer.getvalue())

    assert b"secret" not in bare
    assert read_image(bare).tobytes() == read_image(buffer.getvalue()).tobytes()


@given(st.binary(max_size=200))
def test_bare_of_any_bytes_is_a_value_error_at_most(rest):
    for read, head in ((bare_jpeg, b"\xff\xd8"), (bare_png, b"\x89PNG\r\n\x1a\n")):
        try:
            read(head + rest)
        except ValueError:
            continue


def test_original_bytes_are_the_file_until_it_or_the_picture_changes(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(_jpeg())
    image = load_image(path)

    assert original_bytes(image) == path.read_bytes()
    assert origin(image.copy()) is None
    drawn = load_image(path)
    drawn.paste("red", (0, 0, 9, 9))
    assert original_bytes(drawn) == png_bytes(drawn)
    path.write_bytes(b"changed")
    assert original_bytes(image) == png_bytes(image) == bare_bytes(image)
    path.unlink()
    assert original_bytes(image) == png_bytes(image)


def test_origin_of_a_picture_that_is_gone_is_forgotten(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    known = id(load_image(tmp_path / "a.png"))
    images = [Image.new("RGB", (4, 4)) for _ in range(100)]

    assert all(origin(image) is None for image in images), known
