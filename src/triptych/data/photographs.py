"""Photographs and wallpapers, prepared once: crops of every size from each picture, square, wide and tall."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from triptych.data.arrays import RowWriter
from triptych.data.debian import DEBIAN_PACKAGES, LicensedFile, pictures_in
from triptych.errors import SourceError
from triptych.events import Event, Step
from triptych.images import write_atomic

__all__ = ["PHOTO_SHAPES", "cut_photographs"]

PHOTO_SHAPES: dict[str, tuple[int, int]] = {"photos": (256, 256), "photos-wide": (384, 256), "photos-tall": (256, 384)}
"""Width and height in px of the crops in each array."""
_CROPS = {"photos": 30, "photos-wide": 14, "photos-tall": 8}
"""Of a picture of the largest size; of smaller ones in proportion, and four at least."""
_SHORT_PX = 1440
"""Of a picture before it is cut: wallpapers of 5120 px hold no more than that."""
_LEAST_PX, _MOST_PX = 200, 1400
"""Shorter side of a crop."""
_LEAST_PICTURE_PX = 240
_FLAT = 7.0
"""Standard deviation of grey values below which most crops are left out: sky and plain paper teach little."""
_FLAT_SHARE = 0.25


def _picture_name(file: LicensedFile) -> str:
    """`altai` for wallpapers/Altai/contents/images/5120x2880.png: one name for a wallpaper at every size."""
    name = file.name.split("/contents/")[0]
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _area(path: Path) -> int:
    """In px; 0 for pictures that are too small to be cut, and for those with holes in them."""
    with Image.open(path) as picture:
        if min(picture.size) < _LEAST_PICTURE_PX:
            return 0
        if picture.mode == "RGBA" and picture.getchannel("A").reduce(8).getextrema()[0] < 250:  # pyright: ignore[reportOperatorIssue]
            return 0
        return picture.width * picture.height


def _largest(files: Iterator[LicensedFile]) -> dict[tuple[str, str], LicensedFile]:
    """Of each picture, and of its dark version, the one with most pixels."""
    best: dict[tuple[str, str], tuple[int, LicensedFile]] = {}
    for file in files:
        key = (_picture_name(file), "dark" if "images_dark" in file.name else "")
        if "/contents/" in file.name and "/images" not in file.name:
            continue  # previews of the wallpaper
        area = _area(file.path)
        if area == 0:
            continue
        if key not in best or area > best[key][0]:
            best[key] = (area, file)
    return {key: file for key, (_, file) in best.items()}


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.draft("RGB", (2 * _SHORT_PX, 2 * _SHORT_PX))
        whole = picture.convert("RGB")
    scale = _SHORT_PX / min(whole.size)
    if scale >= 1:
        return whole
    return whole.resize((round(whole.width * scale), round(whole.height * scale)), Image.Resampling.LANCZOS)


def _box(rng: Random, picture: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """A crop of the shape's aspect whose shorter side is drawn evenly on a log scale."""
    unit = min(shape)
    most = min(_MOST_PX * 1.0, *(have / want * unit for have, want in zip(picture, shape, strict=True)))
    side = min(most, _LEAST_PX * (most / _LEAST_PX) ** rng.random())
    width, height = (round(side * edge / unit) for edge in shape)
    left, top = rng.randint(0, max(0, picture[0] - width)), rng.randint(0, max(0, picture[1] - height))
    return left, top, left + width, top + height


def _crops(
    picture: Image.Image, rng: Random, shape: tuple[int, int], count: int
) -> Iterator[tuple[tuple[int, int, int, int], np.ndarray]]:
    for _ in range(max(4, round(count * min(picture.size) / _SHORT_PX))):
        box = _box(rng, picture.size, shape)
        crop = picture.resize(shape, Image.Resampling.LANCZOS, box=box)
        if np.asarray(crop.convert("L").reduce(4)).std() >= _FLAT or rng.random() < _FLAT_SHARE:
            yield box, np.asarray(crop)


def cut_photographs(packages: Path, out: Path, *, on_event: Callable[[Event], None] = lambda _: None) -> dict[str, int]:
    """Cut the pictures of `packages` into `out/photos*.npy` and `.json`, unless they are there: crops in each array.

    Each row of the JSON names its picture, package, licence and box. The same packages give the same crops.
    """
    paths = {kind: out / f"{kind}.json" for kind in PHOTO_SHAPES}
    if all(path.exists() for path in paths.values()):
        return {kind: len(json.loads(path.read_text(encoding="utf-8"))) for kind, path in paths.items()}
    out.mkdir(parents=True, exist_ok=True)
    files = (f for package in DEBIAN_PACKAGES if not package.drawings for f in pictures_in(packages, package))
    found = _largest(file for file in files if file.path.suffix.lower() != ".svg")
    if not found:
        raise SourceError(f"no photograph in {packages}; are the wallpaper packages unpacked there?")
    counts = {}
    for number, (kind, shape) in enumerate(PHOTO_SHAPES.items()):
        rows = []
        with RowWriter(out / f"{kind}.npy", (shape[1], shape[0], 3)) as writer:
            for done, ((name, dark), file) in enumerate(sorted(found.items()), 1):
                rng = Random(f"{kind}:{file.package}:{name}:{dark}")
                for box, pixels in _crops(_opened(file.path), rng, shape, _CROPS[kind]):
                    writer.append(pixels)
                    rows.append({"picture": name, "package": file.package, "licence": file.licence, "box": box})
                on_event(Step(step=number * len(found) + done, steps=len(PHOTO_SHAPES) * len(found)))
        write_atomic(paths[kind], json.dumps(rows).encode())
        counts[kind] = len(rows)
    return counts
