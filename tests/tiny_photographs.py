"""A small set of photographs made by program, for rules that take whole pictures."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["write_photographs"]

_SIZES = {"photos": (256, 256), "photos-wide": (384, 256), "photos-tall": (256, 384)}


def _picture(size: tuple[int, int], seed: int) -> np.ndarray:
    """Coloured noise of two scales with some hard-edged shapes."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 255, (n, n, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
        )
        for n in (4, 16)
    ]
    picture = Image.fromarray((0.6 * layers[0] + 0.4 * layers[1]).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y, wide, high = (int(v) for v in rng.integers((0, 0, 20, 20), (size[0], size[1], 120, 120)))
        pen.ellipse((x, y, x + wide, y + high), fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    return np.asarray(picture)


def write_photographs(folder: Path, count: int = 12) -> Path:
    """Arrays as `triptych pocket pictures` writes them, one crop a picture."""
    for kind, size in _SIZES.items():
        np.save(folder / f"{kind}.npy", np.stack([_picture(size, seed) for seed in range(count)]))
        (folder / f"{kind}.json").write_text(json.dumps([{"picture": f"picture-{n}"} for n in range(count)]))
    return folder
