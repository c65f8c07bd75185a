import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from triptych import images
from triptych.errors import ImageError, OutputError
from triptych.images import load_answer, load_image, opaque, png_bytes, read_image, read_png_text, save_png


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def halves(left: str, right: str, mode: str = "RGB", size: tuple[int, int] = (16, 8)) -> Image.Image:
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def png_of_declared_size(width: int, height: int) -> bytes:
    """A well-formed PNG header that declares any size, with a tiny body: a decompression bomb."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", images.FORMATS)
def test_read_image_of_each_allowed_format_gives_its_pixels(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read_image(encoded(halves("red", "blue"), kind, **options))
    assert picture.mode == "RGB" and picture.size == (16, 8)
    tolerance = 12 if kind == "JPEG" else 0
    assert np.abs(np.asarray(picture)[0, 0].astype(int) - (255, 0, 0)).max() <= tolerance
    assert np.abs(np.asarray(picture)[-1, -1].astype(int) - (0, 0, 255)).max() <= tolerance


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "PCX", "EPS", "PDF"])
def test_read_image_of_another_format_is_refused(kind: str) -> None:
    with pytest.raises(ImageError, match="not an image of a known format"):
        read_image(encoded(halves("red", "blue", size=(32, 32)), kind))


@pytest.mark.parametrize(("brand", "name"), [(b"heic", "HEIC"), (b"mif1", "HEIF"), (b"avif", "AVIF")])
def test_photograph_of_a_format_that_is_not_read_is_called_by_its_name(brand, name):
    data = b"\0\0\0\x18ftyp" + brand + b"\0" * 64
    with pytest.raises(ImageError, match=rf"known format .*, but {name}.*Save it as JPEG or PNG\."):
        read_image(data)


def test_load_image_with_a_wrong_name_goes_by_content(tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(encoded(halves("red", "blue"), "GIF"))
    assert load_image(path).getpixel((0, 0)) == (255, 0, 0)


def test_load_image_of_text_named_png_names_file_and_panel(tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    path.write_text("no picture at all")
    with pytest.raises(ImageError, match=r"panel 3: .*fox\.png is not an image"):
        load_image(path, panel=3)


def test_load_image_of_a_missing_empty_or_special_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in (
        ("none.png", "does not exist"),
        ("empty.png", "is empty"),
        (".", "not a file"),
        ("pipe.png", "not a file"),
    ):
        with pytest.raises(ImageError, match=reason):
            load_image(tmp_path / name)
    for name in (".", "pipe.png"):
        with pytest.raises(ImageError, match="not a file"):
            read_png_text(tmp_path / name)
    with pytest.raises(ImageError, match="cannot be read"):
        load_image("nul\0byte.png")


@pytest.mark.parametrize("kind", images.FORMATS)
def test_read_image_cut_short_is_refused(kind: str) -> None:
    noise = Image.effect_noise((64, 64), 80).convert("RGB")
    data = encoded(noise, kind)
    with pytest.raises(ImageError, match=r"damaged or cut short|not an image"):
        read_image(data[: len(data) // 2])


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(images.FORMATS),
    damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=8),
    length=st.integers(0, 400),
)
def test_read_image_of_damaged_data_reads_or_raises_image_error(
    kind: str, damage: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(encoded(halves("red", "blue", size=(20, 20)), kind))
    for position, value in damage:
        data[position % len(data)] = value
    try:
        picture = read_image(bytes(data[: max(length, len(data) - length)]))
    except ImageError:
        return
    assert picture.mode == "RGB"


@pytest.mark.parametrize("size", [(9000, 9000), (60000, 60000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_read_image_of_a_decompression_bomb_is_refused_before_decoding(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"bomb\.png has .* pixels; at most 64 megapixels"):
        read_image(png_of_declared_size(*size), name="bomb.png")


def test_read_image_of_zero_width_is_refused() -> None:
    with pytest.raises(ImageError):
        read_image(png_of_declared_size(0, 5))


def test_load_image_over_the_byte_cap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(ImageError, match=r"large\.bmp has more than 64 MiB"):
        load_image(path)


def test_read_image_with_transparency_is_laid_on_white() -> None:
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    assert read_image(encoded(half, "PNG")).getpixel((0, 0)) == (255, 127, 127)
    grey = Image.new("LA", (4, 4), (0, 0))
    assert read_image(encoded(grey, "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_read_image_of_a_palette_uses_its_colours_and_its_transparency() -> None:
    image = halves("red", "blue").quantize(4)
    opaque = read_image(encoded(image, "PNG"))
    assert (opaque.getpixel((0, 0)), opaque.getpixel((15, 0))) == ((255, 0, 0), (0, 0, 255))
    clear = read_image(encoded(image, "PNG", transparency=image.getpixel((0, 0))))
    assert (clear.getpixel((0, 0)), clear.getpixel((15, 0))) == ((255, 255, 255), (0, 0, 255))


def test_read_image_with_a_transparent_colour_is_laid_on_white() -> None:
    picture = read_image(encoded(halves("red", "blue"), "PNG", transparency=(255, 0, 0)))
    assert (picture.getpixel((0, 0)), picture.getpixel((15, 0))) == ((255, 255, 255), (0, 0, 255))


def test_read_image_of_grey_and_bilevel_keeps_its_levels() -> None:
    assert read_image(encoded(Image.new("L", (4, 4), 77), "PNG")).getpixel((0, 0)) == (77, 77, 77)
    assert read_image(encoded(Image.new("1", (4, 4), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_read_image_of_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    image = Image.fromarray(np.array([[0, 257 * 100], [257 * 200, 65535]], dtype=np.uint16))
    assert np.asarray(read_image(encoded(image, kind)))[..., 0].tolist() == [[0, 100], [200, 255]]


def test_read_image_of_float_grey_is_read_from_0_to_1_and_refused_outside() -> None:
    def tiff(values: list[float]) -> bytes:
        return encoded(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")

    assert np.asarray(read_image(tiff([0.0, 0.4, 1.0])))[0, :, 1].tolist() == [0, 102, 255]
    for values in ([0.0, 7.0], [float("nan"), 0.5]):
        with pytest.raises(ImageError, match="outside 0 to 1"):
            read_image(tiff(values))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_read_image_of_cmyk_gives_rgb(kind: str) -> None:
    picture = read_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), kind))
    assert np.abs(np.asarray(picture)[4, 4].astype(int) - (255, 0, 0)).max() < 5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_read_image_with_exif_orientation_is_upright(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (32, 16), "white")
    upright.paste("red", (0, 0, 16, 8))
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read_image(encoded(stored, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {})))
    assert picture.size == (32, 16)
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(upright).astype(int)).mean() < 6


def test_read_image_with_damaged_exif_is_read_as_it_lies() -> None:
    picture = read_image(encoded(halves("red", "blue"), "JPEG", exif=b"Exif\0\0nonsense"))
    assert picture.size == (16, 8)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_read_image_of_an_animation_takes_the_first_frame(kind: str) -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(first, kind, save_all=True, append_images=[second], **options)
    assert read_image(data).getpixel((4, 4)) == (255, 0, 0)


def test_read_image_leaves_no_metadata_so_that_equal_pixels_are_equal() -> None:
    image = halves("red", "blue")
    assert read_image(png_bytes(image, {"Author": "x"})) == image


@given(
    text=st.dictionaries(
        st.sampled_from(["page", "seed", "Software"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    )
)
@settings(max_examples=60, deadline=None)
def test_read_png_text_of_saved_png_gives_the_text_back(
    tmp_path_factory: pytest.TempPathFactory, text: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("png") / "out.png"
    save_png(halves("red", "blue"), path, text)
    assert read_png_text(path) == text
    assert load_image(path) == halves("red", "blue")


def test_read_png_text_of_megabytes_is_whole(tmp_path: Path) -> None:
    text = {"page": "é" * 3_000_000}
    save_png(halves("red", "blue"), tmp_path / "out.png", text)
    assert read_png_text(tmp_path / "out.png") == text


def test_save_png_with_more_text_than_readers_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="61 MiB of text"):
        save_png(halves("red", "blue"), tmp_path / "out.png", {"page": "x" * (61 * 2**20)})
    assert list(tmp_path.iterdir()) == []


def test_read_png_text_of_what_is_no_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fox.jpg").write_bytes(encoded(halves("red", "blue"), "JPEG"))
    (tmp_path / "cut.png").write_bytes(png_bytes(halves("red", "blue"), {"page": "x" * 999})[:300])
    for name, reason in (("fox.jpg", "is not a PNG"), ("none.png", "does not exist"), ("cut.png", "damaged")):
        with pytest.raises(ImageError, match=reason):
            read_png_text(tmp_path / name)


@pytest.mark.parametrize("size", [(9000, 9000), (60000, 60000)])
def test_read_png_text_of_a_decompression_bomb_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(png_of_declared_size(*size))
    with pytest.raises(ImageError, match=r"bomb\.png has .* pixels; at most 64 megapixels"):
        read_png_text(tmp_path / "bomb.png")


def test_png_bytes_of_the_same_picture_are_the_same() -> None:
    assert png_bytes(halves("red", "blue"), {"a": "b"}) == png_bytes(halves("red", "blue"), {"a": "b"})
    chunk = PngImagePlugin.PngInfo()
    chunk.add(b"sRGB", b"\0")
    chunk.add_text("a", "b")
    assert png_bytes(halves("red", "blue"), {"a": "b"}) == encoded(halves("red", "blue"), "PNG", pnginfo=chunk)


def test_load_answer_keeps_alpha_where_something_is_clear_and_only_there(tmp_path):
    for name, right in (("clear", (255, 0, 0, 0)), ("whole", (255, 0, 0, 255))):
        halves("blue", right, "RGBA").save(tmp_path / f"{name}.png")
    clear, whole = (load_answer(tmp_path / f"{name}.png") for name in ("clear", "whole"))
    assert (clear.mode, whole.mode) == ("RGBA", "RGB")
    assert clear.getpixel((15, 0)) == (255, 0, 0, 0)
    assert opaque(clear).tobytes() == load_image(tmp_path / "clear.png").tobytes() == halves("blue", "white").tobytes()
