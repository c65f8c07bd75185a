"""Pictures for the codec's training: crops of photographs, clip art and icons on grounds of all kinds, as arrays.

A picture is a function of the seed and its index alone. Held-out names and evaluation styles are never drawn.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from triptych.data.sprites import EVALUATION_STYLES, STYLES, is_held_out
from triptych.errors import SourceError

__all__ = ["PictureSource", "picture_batches"]

_Table = tuple[np.ndarray, np.ndarray]
"""Pictures, and the numbers of those that may be drawn."""
_SHARES = {"photos": 0.45, "clipart": 0.25, "icons": 0.3}
_PALETTE_SHARE = 0.15
"""Of pictures whose channels are exchanged or inverted: colours that no training set has."""


@dataclass(frozen=True)
class PictureSource:
    """The arrays that `triptych pocket sprites` and `triptych pocket pictures` wrote into `folder`."""

    folder: Path
    held_out: bool = False
    """The held-out tenth instead of the rest."""

    def _table(self, name: str, key: str | None) -> _Table | None:
        """An array and the rows of this source's part; None where there is none."""
        path = self.folder / f"{name}.npy"
        if not path.is_file():
            return None
        rows = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        held = [is_held_out(row if key is None else row[key]) == self.held_out for row in rows]
        return (np.load(path, mmap_mode="r"), np.flatnonzero(held)) if any(held) else None

    @cached_property
    def _tables(self) -> dict[str, list[_Table]]:
        named = {
            "photos": [("photos", "picture"), ("photos-wide", "picture"), ("photos-tall", "picture")],
            "clipart": [("clipart", "group")],
            "icons": [(style, None) for style in STYLES if style not in EVALUATION_STYLES],
        }
        found = {kind: [t for entry in entries if (t := self._table(*entry))] for kind, entries in named.items()}
        if not any(found.values()):
            raise SourceError(
                f"no pictures in {self.folder}; run `triptych pocket sprites` and `triptych pocket pictures` first."
            )
        return found

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which of photos, clipart and icons are there."""
        return tuple(kind for kind, tables in self._tables.items() if tables)

    def photo(self, rng: np.random.Generator) -> Image.Image:
        """A photograph's crop, RGB, as it is stored."""
        tables = self._tables["photos"]
        if not tables:
            raise SourceError(f"no photographs in {self.folder}; run `triptych pocket pictures` first.")
        array, rows = tables[rng.choice(len(tables), p=_by_size(tables))]
        return Image.fromarray(np.asarray(array[rng.choice(rows)]))

    def drawing(self, rng: np.random.Generator, kind: str) -> Image.Image:
        """A clip art or an icon on a ground, RGB; ink is black, white or coloured."""
        tables = self._tables[kind]
        which = int(rng.integers(len(tables)))
        array, rows = tables[which]
        figure = Image.fromarray(np.asarray(array[rng.choice(rows)]), "RGBA")
        ground = self._ground(rng, figure.size)
        if kind == "icons" and rng.random() < 0.3:
            ink = Image.new("RGB", figure.size, _colour(rng))
            figure = Image.merge("RGBA", (*ink.split(), figure.getchannel("A")))
        ground.paste(figure, (0, 0), figure)
        return ground

    def _ground(self, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
        kind = rng.random()
        if kind < 0.4:
            return Image.new("RGB", size, (255, 255, 255))
        if kind < 0.85 or "photos" not in self.kinds:
            return Image.new("RGB", size, _colour(rng))
        return self.photo(rng).resize(size, Image.Resampling.BILINEAR)

    def crop(self, rng: np.random.Generator, side_px: int) -> UInt8[np.ndarray, "side side 3"]:
        """A square cut of one picture at a random scale; its corner lies anywhere."""
        shares = np.array([_SHARES[kind] for kind in self.kinds])
        kind = str(rng.choice(self.kinds, p=shares / shares.sum()))
        picture = self.photo(rng) if kind == "photos" else self.drawing(rng, kind)
        shorter = min(picture.size)
        wanted = max(side_px, round(shorter * rng.uniform(0.45, 1.0)))
        if wanted != shorter:
            scale = wanted / shorter
            size = (max(side_px, round(picture.width * scale)), max(side_px, round(picture.height * scale)))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        left = int(rng.integers(picture.width - side_px + 1))
        top = int(rng.integers(picture.height - side_px + 1))
        pixels = np.asarray(picture.crop((left, top, left + side_px, top + side_px)))
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        if rng.random() < _PALETTE_SHARE:
            pixels = pixels[:, :, rng.permutation(3)] if rng.random() < 0.5 else 255 - pixels
        return pixels


def _by_size(tables: list[_Table]) -> np.ndarray:
    sizes = np.array([len(rows) for _, rows in tables], dtype=float)
    return sizes / sizes.sum()


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


@dataclass(frozen=True)
class _Batches(Dataset):
    source: PictureSource
    seed: int
    first: int
    count: int
    pictures: int
    side_px: int
    stride: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> Tensor:
        rng = np.random.default_rng((self.seed, self.first + position * self.stride))
        crops = [self.source.crop(rng, self.side_px) for _ in range(self.pictures)]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def picture_batches(
    source: PictureSource,
    *,
    seed: int,
    first: int,
    count: int,
    pictures: int,
    side_px: int,
    workers: int = 1,
    stride: int = 1,
) -> Iterator[UInt8[Tensor, "pictures 3 side side"]]:
    """Batches `first`, `first` + `stride`, ... in order, made ahead by `workers` processes."""
    dataset = _Batches(source, seed, first, count, pictures, side_px, stride)
    return iter(DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None))
