"""Pictures from outside, read safely, and written as PNG."""

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from triptych.colour import to_srgb
from triptych.errors import ImageError, OutputError
from triptych.files import is_lfs_pointer, read_bytes, write_atomic
from triptych.metadata import bare_jpeg, bare_png
from triptych.originals import origin, remember

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_TEXT_BYTES",
    "bare_bytes",
    "load_answer",
    "load_image",
    "may_be_clear",
    "opaque",
    "original_bytes",
    "picture_format",
    "png_bytes",
    "read_answer",
    "read_image",
    "read_png_text",
    "save_png",
]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")
"""Formats that are read, by content; no other decoder ever sees a file."""
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64 * 2**20
MAX_TEXT_BYTES = 60 * 2**20
"""Most text that a PNG may carry: Pillow and what is built on it refuse to open one with more than 64 MiB."""

# Photographs that people have on their telephones and on the web: the box that their files begin with.
_OTHERS = {
    b"ftypheic": "HEIC, as iPhones take photographs",
    b"ftypheix": "HEIC, as iPhones take photographs",
    b"ftypmif1": "HEIF",
    b"ftypavif": "AVIF",
}

# What Pillow's decoders are known to raise on damaged data.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)

_AS_THEY_ARE = ("L", "RGB", "CMYK", "LAB")
"""Modes that colour profiles are for."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(
    path: str | Path, *, panel: int | str | None = None, keep_alpha: bool = False, least_px: int | None = None
) -> Image.Image:
    """The picture in a file as upright RGB in sRGB; `panel` is named in errors. See `read_image`."""
    where = _where(str(path), panel)
    data = read_bytes(path, max_bytes=MAX_BYTES, where=where, error=ImageError, smaller="Save it smaller.")
    image = read_image(data, name=str(path), panel=panel, keep_alpha=keep_alpha, least_px=least_px)
    return remember(image, Path(path).absolute())


def load_answer(path: str | Path, *, panel: int | str | None = None) -> Image.Image:
    """As `load_image`, but RGBA where parts of the picture are transparent, as layers are."""
    image = load_image(path, panel=panel, keep_alpha=may_be_clear(path))
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        return load_image(path, panel=panel)
    return image


def read_answer(data: bytes, *, name: str = "image", panel: int | str | None = None) -> Image.Image:
    """As `read_image`, but RGBA where parts of the picture are transparent, as layers are."""
    image = read_image(data, name=name, panel=panel, keep_alpha=True)
    return image.convert("RGB") if image.getchannel("A").getextrema() == (255, 255) else image


def read_image(
    data: bytes,
    *,
    name: str = "image",
    panel: int | str | None = None,
    keep_alpha: bool = False,
    least_px: int | None = None,
) -> Image.Image:
    """The picture in `data` as upright RGB in sRGB with no metadata left.

    The format is decided by the content, never by the name. Colours are converted through an embedded profile; EXIF
    orientation is applied; transparency is laid on white, or with `keep_alpha` kept as RGBA; 16-bit and float grey are
    scaled to 8 bits; of an animation the first frame is taken. `least_px` allows a JPEG to be decoded smaller, with
    both sides at least that long. Raises ImageError naming `name` and `panel` for anything over `MAX_BYTES` or
    `MAX_PIXELS`, damaged, or of another format.
    """
    where = _where(name, panel)
    if not data:
        raise ImageError(f"{where} is empty (0 bytes).")
    if is_lfs_pointer(data):
        raise ImageError(f"{where} is a Git LFS pointer, not the picture. Run `git lfs pull` where it was cloned.")
    if len(data) > MAX_BYTES:
        raise ImageError(f"{where} has more than {MAX_BYTES // 2**20} MiB. Save it smaller.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_many_pixels(where, f"{image.width}x{image.height}")
            if least_px is not None:
                image.draft(None, (least_px, least_px))
            image.load()
            return _upright(_to_rgb(image, where, keep_alpha=keep_alpha), image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(where, "far too many") from None
    except Image.UnidentifiedImageError:
        other = _OTHERS.get(data[4:12])
        raise ImageError(
            f"{where} is not an image of a known format ({', '.join(FORMATS)})"
            f"{f', but {other}' if other else ''}. Save it as JPEG or PNG."
        ) from None
    except _DAMAGED as error:
        raise ImageError(f"{where} is damaged or cut short: {error}. Save it again.") from error


def may_be_clear(path: str | Path) -> bool:
    """Whether the header of a picture file says that parts of it may be transparent; its pixels are not read."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.has_transparency_data
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, *_DAMAGED):
        return False


def opaque(image: Image.Image) -> Image.Image:
    """As RGB, with what is transparent laid on white."""
    if image.mode != "RGBA":
        return image if image.mode == "RGB" else image.convert("RGB")
    return Image.composite(image.convert("RGB"), Image.new("RGB", image.size, "white"), image.getchannel("A"))


def png_bytes(image: Image.Image, text: Mapping[str, str] | None = None) -> bytes:
    """`image` as a PNG file tagged sRGB, with one text chunk for each key (1 to 79 Latin characters) of `text`."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"sRGB", b"\0")
    size = 0
    for key, value in (text or {}).items():
        chunks.add_text(key, value)
        size += len(value.encode())
    if size > MAX_TEXT_BYTES:
        raise OutputError(
            f"{size / 2**20:.0f} MiB of text do not fit in a PNG; at most {MAX_TEXT_BYTES // 2**20} MiB. "
            "Use smaller condition images."
        )
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def original_bytes(image: Image.Image) -> bytes:
    """The file that `image` was read from, byte for byte, or a PNG where there is none or it shows something else."""
    source = origin(image)
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
        if data is not None and _shows(data, image):
            return data
    except (OSError, ImageError):
        pass
    return png_bytes(image)


def bare_bytes(image: Image.Image) -> bytes:
    """As `original_bytes`, but without what cameras and programs write beside pixels, such as the place."""
    data = original_bytes(image)
    try:
        match picture_format(data):
            case "PNG":
                bare = bare_png(data)
            case "JPEG":
                with Image.open(io.BytesIO(data), formats=("JPEG",)) as opened:
                    bare = bare_jpeg(data, opened.getexif().get(_ORIENTATION_TAG, 1))
            case _:
                return png_bytes(image)
        return bare if _shows(bare, image) else png_bytes(image)
    except (ImageError, *_DAMAGED):
        return png_bytes(image)


def picture_format(data: bytes) -> str:
    """Which of `FORMATS` the bytes of a picture are in. Raises ImageError for none of them."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            # Phones write JPEGs with a second picture behind the first, which Pillow calls MPO.
            return "JPEG" if image.format in (None, "MPO") else image.format
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, *_DAMAGED):
        raise ImageError(f"the picture is of none of the formats {', '.join(FORMATS)}.") from None


def _shows(data: bytes, image: Image.Image) -> bool:
    read = read_image(data, keep_alpha=image.mode == "RGBA")
    return read.size == image.size and read.mode == image.mode and read.tobytes() == image.tobytes()


def save_png(image: Image.Image, path: str | Path, text: Mapping[str, str] | None = None) -> None:
    """Write `image` and its text chunks to `path`, whole or not at all. Raises OutputError."""
    write_atomic(path, png_bytes(image, text))


def read_png_text(path: str | Path) -> dict[str, str]:
    """The text chunks of a PNG file; empty where it has none. Raises ImageError."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ImageError(f"{path} is not a file. Name PNG files, such as FOLDER/*.png.")
    try:
        with Image.open(path, formats=("PNG",)) as image:
            assert isinstance(image, PngImagePlugin.PngImageFile)
            # Text may stand behind the pixels, so they are decoded too.
            if image.width * image.height > MAX_PIXELS:
                raise _too_many_pixels(str(path), f"{image.width}x{image.height}")
            return {key: str(value) for key, value in image.text.items()}
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist. Check the path.") from None
    except Image.UnidentifiedImageError:
        raise ImageError(f"{path} is not a PNG file; only PNG files written by triptych carry their page.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(str(path), "far too many") from None
    except _DAMAGED as error:
        raise ImageError(f"{path} is damaged or cut short: {error}.") from error


def _where(name: str, panel: int | str | None) -> str:
    match panel:
        case None:
            return name
        case int():
            return f"panel {panel}: {name}"
        case _:
            return f"{panel}: {name}"


def _too_many_pixels(where: str, size: str) -> ImageError:
    return ImageError(f"{where} has {size} pixels; at most {MAX_PIXELS // 2**20} megapixels are read. Make it smaller.")


def _to_rgb(image: Image.Image, where: str, *, keep_alpha: bool) -> Image.Image:
    profile = image.info.get("icc_profile")
    alpha = None
    if image.mode.startswith("I") or image.mode == "F":
        pixels = _grey(image)
    elif image.has_transparency_data:
        layered = image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
        alpha = layered.getchannel("A")
        pixels = layered.convert(layered.mode[:-1])
    else:
        pixels = image.convert({"1": "L"}.get(image.mode, image.mode if image.mode in _AS_THEY_ARE else "RGB"))
    picture = to_srgb(pixels, profile, where)
    if keep_alpha:
        picture.putalpha(255 if alpha is None else alpha)
    elif alpha is not None:
        picture.putalpha(alpha)
        picture = opaque(picture)
    return picture


def _grey(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits: integers from 0 to 65535, floats from 0 to 1."""
    values = np.asarray(image, dtype=np.float64)
    top = 1.0 if image.mode == "F" else 65535.0
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= top:
        raise ValueError(f"grey values from {low:g} to {high:g}, outside 0 to {top:g}")
    return Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8))


def _upright(picture: Image.Image, source: Image.Image) -> Image.Image:
    try:
        orientation = source.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGED:
        # Damaged EXIF is not a reason to refuse a picture whose pixels are whole.
        orientation = 1
    turned = picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture
    turned.info = {}
    return turned
