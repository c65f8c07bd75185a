"""Clip art, prepared once: drawings of Debian packages to one array of 256x256 RGBA sprites."""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from triptych.data.arrays import RowWriter
from triptych.data.debian import DEBIAN_PACKAGES, LicensedFile, pictures_in
from triptych.errors import SourceError
from triptych.events import Event, Step
from triptych.images import write_atomic

__all__ = ["CLIP_ART_PX", "render_clip_art"]

CLIP_ART_PX = 256
LEAST_COVER = 0.08
"""Of the square's area: thinner drawings are single strokes, or lettering whose font is not there."""
_MOST_BYTES = 2_000_000
_TITLE = re.compile(rb"<dc:title>([^<]{1,200})</dc:title>")
_LICENCE = re.compile(rb"<(?:cc:)?license\s+rdf:resource=\"([^\"]*)\"")


def _svg(path: Path, *, width: int | None = None, height: int | None = None) -> Image.Image:
    import resvg_py

    blob = resvg_py.svg_to_bytes(svg_path=str(path), width=width, height=height, dpi=96, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(blob))).convert("RGBA")


def _drawn(path: Path) -> Image.Image | None:
    """The drawn part of a picture, of an SVG at the size of a sprite or more; None if nothing is drawn."""
    if path.suffix.lower() != ".svg":
        with Image.open(path) as opened:
            picture = opened.convert("RGBA")
        box = picture.getchannel("A").getbbox()
        return picture.crop(box) if box and max(picture.size) >= CLIP_ART_PX else None
    side = 2 * CLIP_ART_PX
    picture = _svg(path, width=side)
    if picture.height > side:
        picture = _svg(path, height=side)
    box = picture.getchannel("A").getbbox()
    if box is None:
        return None
    longer = max(box[2] - box[0], box[3] - box[1])
    if longer < CLIP_ART_PX:
        zoom = min(8.0, 1.2 * CLIP_ART_PX / longer)
        picture = _svg(path, width=round(picture.width * zoom))
        box = picture.getchannel("A").getbbox() or (0, 0, *picture.size)
    return picture.crop(box)


def _sprite(path: Path) -> bytes | None:
    """256x256 RGBA as bytes, or None for drawings that are too thin, too large as files, or that resvg refuses."""
    if path.stat().st_size > _MOST_BYTES:
        return None
    try:
        drawn = _drawn(path)
    except (ValueError, OSError):  # resvg and PIL say what is wrong with a file; such drawings are left out
        return None
    if drawn is None:
        return None
    scale = CLIP_ART_PX / max(drawn.size)
    size = (max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale)))
    drawn = drawn.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    sprite = Image.new("RGBA", (CLIP_ART_PX, CLIP_ART_PX), (0, 0, 0, 0))
    sprite.paste(drawn, ((CLIP_ART_PX - size[0]) // 2, (CLIP_ART_PX - size[1]) // 2))
    pixels = np.asarray(sprite)
    return pixels.tobytes() if pixels[..., 3].mean() / 255 >= LEAST_COVER else None


def _words(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text.lower()).split()[:6])


def _about(file: LicensedFile) -> tuple[str, bool]:
    """What the drawing calls itself, and whether it says that it is in the public domain, or nothing."""
    if file.path.suffix.lower() != ".svg":
        return _words(file.name), True
    head = file.path.read_bytes()[:_MOST_BYTES]
    title, licence = _TITLE.search(head), _LICENCE.search(head)
    named = _words(title[1].decode("utf8", "replace")) if title else ""
    stated = licence[1].decode("ascii", "replace").replace(" ", "").lower() if licence else ""
    return named or _words(Path(file.name).name), not stated or "publicdomain" in stated


def _group(name: str) -> str:
    """The name by which a drawing is held out: drawings of one series (_01, _02) stay together."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"[_-]*\d+$", "", Path(name).name.lower())).strip("-")


def _rendered(files: list[LicensedFile], workers: int) -> Iterator[tuple[LicensedFile, bytes | None]]:
    paths = [file.path for file in files]
    if workers == 1:
        yield from zip(files, map(_sprite, paths), strict=True)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from zip(files, pool.map(_sprite, paths, chunksize=16), strict=True)


def render_clip_art(
    packages: Path,
    out: Path,
    *,
    workers: int = 1,
    on_event: Callable[[Event], None] = lambda _: None,
) -> int:
    """Render the drawings of `packages` into `out/clipart.npy` and `.json` unless they are there; returns how many.

    Left out: SVG drawings that say they are not in the public domain, those that cover less than 8% of their square,
    and copies of a drawing that already exists.
    """
    names_path = out / "clipart.json"
    if names_path.exists():
        return len(json.loads(names_path.read_text(encoding="utf-8")))
    out.mkdir(parents=True, exist_ok=True)
    files = [file for package in DEBIAN_PACKAGES if package.drawings for file in pictures_in(packages, package)]
    rows = []
    with RowWriter(out / "clipart.npy", (CLIP_ART_PX, CLIP_ART_PX, 4)) as writer:
        for row, pixels in _kept(_rendered(files, workers), len(files), on_event):
            rows.append(row)
            writer.append(pixels)
        if not rows:
            raise SourceError(f"no drawing in {packages} could be rendered; is openclipart-svg unpacked there?")
    write_atomic(names_path, json.dumps(rows).encode())
    return len(rows)


def _kept(
    rendered: Iterable[tuple[LicensedFile, bytes | None]], total: int, on_event: Callable[[Event], None]
) -> Iterator[tuple[dict[str, object], np.ndarray]]:
    seen: set[bytes] = set()
    for done, (file, blob) in enumerate(rendered, 1):
        on_event(Step(step=done, steps=total))
        title, free = _about(file)
        if blob is None or not free:
            continue
        pixels = np.frombuffer(blob, dtype=np.uint8).reshape(CLIP_ART_PX, CLIP_ART_PX, 4)
        small = np.asarray(Image.fromarray(pixels, "RGBA").reduce(16)) // 24
        mark = hashlib.sha256(small.tobytes()).digest()
        if mark in seen:
            continue
        seen.add(mark)
        cover = round(float(pixels[..., 3].mean()) / 255, 3)
        yield {"name": file.name, "title": title, "group": _group(file.name), "cover": cover}, pixels
