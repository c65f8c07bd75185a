"""What rules draw from besides icons: whole photographs of any shape, clip art, and all of them mixed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from triptych.data.drawing import Look
from triptych.data.sources import Source, Sprite, SpriteScenes, simple_look
from triptych.data.sprites import SpriteSource
from triptych.errors import SourceError

__all__ = ["PHOTOGRAPHS", "AllPictures", "ClipArt", "Photographs", "PictureKind", "picture_source"]


class PictureKind(StrEnum):
    """Which pictures pages are made of."""

    SPRITES = "sprites"
    CLIP_ART = "clip-art"
    PHOTOS = "photos"
    PHOTOS_3_2 = "photos-3:2"
    PHOTOS_2_3 = "photos-2:3"
    PHOTOS_4_3 = "photos-4:3"
    ALL = "all"
    """Sprites, clip art and square photographs."""


_ASPECTS = {
    PictureKind.PHOTOS: (1, 1),
    PictureKind.PHOTOS_3_2: (3, 2),
    PictureKind.PHOTOS_2_3: (2, 3),
    PictureKind.PHOTOS_4_3: (4, 3),
}
PHOTOGRAPHS = frozenset(_ASPECTS)
"""The kinds that have no objects apart from their ground."""
_MULTIPLE_PX = 16
_Names = Callable[[str], bool]


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    path = folder / f"{name}.json"
    if not path.is_file():
        raise SourceError(f"no {path}; run `triptych pocket pictures --out {folder}` first.")
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Photographs:
    """Crops of photographs and wallpapers, whole; `names` keeps a picture by its name, `aspect` is width to height."""

    folder: Path
    names: _Names | None = None
    aspect: tuple[int, int] = (1, 1)

    @cached_property
    def _kind(self) -> str:
        wide, high = self.aspect
        return "photos" if wide == high else "photos-wide" if wide > high else "photos-tall"

    @cached_property
    def _by_picture(self) -> list[list[int]]:
        """Rows of each picture, so that one cut into many crops is not seen more often than another."""
        found: dict[str, list[int]] = {}
        for index, row in enumerate(_rows(self.folder, self._kind)):
            if self.names is None or self.names(row["picture"]):
                found.setdefault(row["picture"], []).append(index)
        if not found:
            raise SourceError(f"the name filter leaves no photograph in {self.folder}; choose a wider filter.")
        return list(found.values())

    @cached_property
    def _array(self) -> np.ndarray:
        return np.load(self.folder / f"{self._kind}.npy", mmap_mode="r")

    def size(self, size_px: int) -> tuple[int, int]:
        """Width and height of about `size_px` squared pixels at this aspect, in multiples of 16."""
        ratio = (self.aspect[0] / self.aspect[1]) ** 0.5
        if ratio == 1:
            return size_px, size_px
        wide, high = (_MULTIPLE_PX * max(1, round(size_px * r / _MULTIPLE_PX)) for r in (ratio, 1 / ratio))
        return wide, high

    def photograph(self, rng: Random, size: tuple[int, int]) -> Image.Image:
        """A part of a crop, RGB, that fills `size`; one picture in two is mirrored."""
        rows = rng.choice(self._by_picture)
        crop = Image.fromarray(np.asarray(self._array[rng.choice(rows)]))
        unit = min(have / want for have, want in zip(crop.size, size, strict=True)) * rng.choice(
            (1.0, rng.uniform(0.8, 1))
        )
        wide, high = size[0] * unit, size[1] * unit
        left, top = rng.uniform(0, crop.width - wide), rng.uniform(0, crop.height - high)
        box = (left, top, left + wide, top + high)
        picture = crop.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else picture

    @property
    def styles(self) -> tuple[str, ...]:
        return ("photograph",)

    def sprite(self, rng: Random, *, style: str | None = None, ink: bool = False) -> Sprite:  # noqa: ARG002
        raise SourceError("photographs have no objects apart from their ground; use sprites or clip art for this rule.")

    def twins(self, rng: Random, styles: tuple[str, ...]) -> tuple[Sprite, ...]:  # noqa: ARG002
        raise SourceError("photographs have no objects in two styles; use sprites for this rule.")

    def style_pair(self, rng: Random) -> tuple[str, str]:  # noqa: ARG002
        raise SourceError("photographs have one style only; use sprites for this rule.")

    def look(self, rng: Random, size_px: int, *, figure: bool = True) -> Look:
        if figure:
            raise SourceError("photographs do not tell where an object is; use sprites or clip art for this rule.")
        return Look.flat(self.photograph(rng, self.size(size_px)))


@dataclass(frozen=True)
class ClipArt:
    """Drawings of every kind, 256x256 RGBA; `names` keeps a drawing by the name of its series."""

    folder: Path
    names: _Names | None = None

    @cached_property
    def _kept(self) -> list[tuple[int, str]]:
        rows = enumerate(_rows(self.folder, "clipart"))
        found = [(n, row["title"]) for n, row in rows if self.names is None or self.names(row["group"])]
        if not found:
            raise SourceError(f"the name filter leaves no clip art in {self.folder}; choose a wider filter.")
        return found

    @cached_property
    def _array(self) -> np.ndarray:
        return np.load(self.folder / "clipart.npy", mmap_mode="r")

    @property
    def styles(self) -> tuple[str, ...]:
        return ("clip-art",)

    def sprite(self, rng: Random, *, style: str | None = None, ink: bool = False) -> Sprite:  # noqa: ARG002
        index, title = rng.choice(self._kept)
        picture = Image.fromarray(np.asarray(self._array[index]))
        return Sprite(name=title.replace(" ", "-"), style="clip-art", picture=picture, words=("clip art style",))

    def twins(self, rng: Random, styles: tuple[str, ...]) -> tuple[Sprite, ...]:  # noqa: ARG002
        raise SourceError("clip art has no objects in two styles; use sprites for this rule.")

    def style_pair(self, rng: Random) -> tuple[str, str]:  # noqa: ARG002
        raise SourceError("clip art has one style only; use sprites for this rule.")

    def look(self, rng: Random, size_px: int, *, figure: bool = True) -> Look:  # noqa: ARG002
        return simple_look(self.sprite(rng), rng, size_px)


@dataclass(frozen=True)
class AllPictures:
    """Sprites, clip art and photographs; objects in two styles are sprites, whole pictures mostly photographs."""

    sprites: Source
    clip_art: ClipArt
    photographs: Photographs

    @property
    def styles(self) -> tuple[str, ...]:
        return (*self.sprites.styles, *self.clip_art.styles)

    def sprite(self, rng: Random, *, style: str | None = None, ink: bool = False) -> Sprite:
        drawn = style == "clip-art" or (style is None and not ink and rng.random() < 0.4)
        return self.clip_art.sprite(rng) if drawn else self.sprites.sprite(rng, style=style, ink=ink)

    def twins(self, rng: Random, styles: tuple[str, ...]) -> tuple[Sprite, ...]:
        return self.sprites.twins(rng, styles)

    def style_pair(self, rng: Random) -> tuple[str, str]:
        return self.sprites.style_pair(rng)

    def look(self, rng: Random, size_px: int, *, figure: bool = True) -> Look:
        shares = (0.5, 0.5, 0.0) if figure else (0.25, 0.3, 0.45)
        chosen = rng.choices((self.sprites, self.clip_art, self.photographs), shares)[0]
        return chosen.look(rng, size_px, figure=figure)


def picture_source(kind: PictureKind, sprites: SpriteSource, *, names: _Names | None = None) -> Source:
    """The source of one kind beside rendered sprites; `names` keeps objects and pictures by their names."""
    match kind:
        case PictureKind.SPRITES:
            return SpriteScenes(sprites, names=names)
        case PictureKind.CLIP_ART:
            return ClipArt(sprites.folder, names)
        case PictureKind.ALL:
            return AllPictures(
                SpriteScenes(sprites, names=names), ClipArt(sprites.folder, names), Photographs(sprites.folder, names)
            )
        case _:
            return Photographs(sprites.folder, names, _ASPECTS[kind])
