"""What rules draw from: rendered sprites, the user's own folder, or shapes that need no files at all."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image, ImageOps

from triptych.data.drawing import COLOURS, Colour, Look, blank, clear, contrast, filled, fitted, ground, place
from triptych.data.folders import find_pictures
from triptych.data.shapes import SHAPE_STYLES, SHAPES, draw_shape
from triptych.data.sprites import EVALUATION_STYLES, STYLES, SpriteSource
from triptych.errors import SourceError
from triptych.images import load_image, may_be_clear

__all__ = ["FolderSource", "ShapeSource", "Source", "Sprite", "SpriteScenes", "actor", "actors", "simple_look"]

_SMOOTH = Image.Resampling.LANCZOS

_LOOSE_SHARE = 0.1
"""Of style pairs by two hands: no rule leads from one to the other, but an object's name and kind do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """One object: its name, its style, and its RGBA picture. `ink` pictures are black and may be recoloured."""

    name: str
    style: str
    picture: Image.Image
    words: tuple[str, ...]
    ink: bool = False

    @property
    def label(self) -> str:
        """The name as it is said in an instruction."""
        return self.name.replace("-", " ")

    def tinted(self, colour: Colour) -> "Sprite":
        """The drawing in `colour`; for ink only."""
        return Sprite(name=self.name, style=self.style, picture=filled(self.picture, colour), words=self.words)


@runtime_checkable
class Source(Protocol):
    """What a rule draws from. All randomness comes from the generator that is passed in."""

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles objects can be drawn in."""
        ...

    def sprite(self, rng: Random, *, style: str | None = None, ink: bool = False) -> Sprite:
        """A random object; `style` fixes how it is drawn, `ink` asks for a single-colour drawing."""
        ...

    def twins(self, rng: Random, styles: tuple[str, ...]) -> tuple[Sprite, ...]:
        """One random object in each of `styles`."""
        ...

    def style_pair(self, rng: Random) -> tuple[str, str]:
        """Two different styles that share objects."""
        ...

    def look(self, rng: Random, size_px: int, *, figure: bool = True) -> Look:
        """A simple picture: an object on a ground. `figure` False allows pictures whose objects are not known."""
        ...


def actor(source: Source, rng: Random, *, style: str | None = None) -> Sprite:
    """An object with colours of its own; a single-colour drawing is tinted."""
    found = source.sprite(rng, style=style)
    for _ in range(12):
        if not found.ink:
            return found
        found = source.sprite(rng, style=style)
    return found.tinted(rng.choice([colour for name, colour in COLOURS.items() if name not in ("white", "yellow")]))


def actors(source: Source, rng: Random, count: int) -> list[Sprite]:
    """`count` objects with different names, all in one style."""
    found = [actor(source, rng)]
    for _ in range(60 * count):
        if len(found) == count:
            break
        other = actor(source, rng, style=found[0].style)
        if other.name not in {sprite.name for sprite in found}:
            found.append(other)
    if len(found) < count:
        raise SourceError(f"the source has fewer than {count} objects in style {found[0].style!r}; add pictures.")
    return found


def _mean_colour(picture: Image.Image) -> Colour:
    """Of the opaque part of an RGBA picture."""
    small = np.asarray(picture.reduce(8), dtype=np.float32).reshape(-1, 4)
    weight = small[:, 3:].sum() + 1e-6
    red, green, blue = (small[:, :3] * small[:, 3:]).sum(axis=0) / weight
    return int(red), int(green), int(blue)


def simple_look(sprite: Sprite, rng: Random, size_px: int) -> Look:
    """The object somewhere near the middle at 50-85% of the picture; ink in a colour that stands off the ground."""
    backdrop = ground(rng, size_px)
    red, green, blue = (int(v) for v in np.asarray(backdrop)[size_px // 2, size_px // 2])
    if sprite.ink:
        sprite = sprite.tinted(rng.choice([c for c in COLOURS.values() if contrast(c, (red, green, blue)) > 0.4]))
    elif contrast(_mean_colour(sprite.picture), (red, green, blue)) < 0.15:
        # An object that cannot be told from its ground teaches nothing.
        backdrop = blank(size_px, (255, 255, 255) if red + green + blue < 600 else COLOURS["blue"])
    side = rng.uniform(0.5, 0.85) * size_px
    slack = (size_px - side) / 2
    figure = clear(size_px)
    centre = (size_px / 2 + rng.uniform(-slack, slack) * 0.8, size_px / 2 + rng.uniform(-slack, slack) * 0.8)
    place(figure, fitted(sprite.picture, round(side)), centre)
    return Look(ground=backdrop, figure=figure)


class SpriteScenes:
    """Objects from rendered sprites.

    `names` keeps an object by its name; `styles` None takes all training styles; `style_pairs` are the only changes of
    style that are made, empty: all between styles that share objects.
    """

    def __init__(
        self,
        sprites: SpriteSource,
        *,
        names: Callable[[str], bool] | None = None,
        styles: tuple[str, ...] | None = None,
        style_pairs: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.sprites = sprites
        self._keep = names
        self._wanted = styles
        self._directed = style_pairs

    @cached_property
    def _names(self) -> dict[str, tuple[str, ...]]:
        keep = self._keep or (lambda _: True)
        wanted = self._wanted or tuple(style for style in self.sprites.names if style not in EVALUATION_STYLES)
        missing = [style for style in wanted if style not in self.sprites.names]
        if missing:
            raise SourceError(f"no sprites of style {missing[0]!r} in {self.sprites.folder}; render that style first.")
        found = {style: tuple(name for name in self.sprites.names[style] if keep(name)) for style in wanted}
        if not any(found.values()):
            raise SourceError(f"the name filter leaves no object in {', '.join(wanted)}; choose a wider filter.")
        return {style: names for style, names in found.items() if names}

    @property
    def styles(self) -> tuple[str, ...]:
        return tuple(self._names)

    @cached_property
    def _ink(self) -> tuple[str, ...]:
        return tuple(style for style in self.styles if STYLES[style].ink)

    @cached_property
    def _colour(self) -> tuple[str, ...]:
        return tuple(style for style in self.styles if not STYLES[style].ink)

    @cached_property
    def _pairs(self) -> dict[tuple[str, str], tuple[str, ...]]:
        sets = {style: frozenset(names) for style, names in self._names.items()}
        shared = {
            (a, b): tuple(sorted(sets[a] & sets[b]))
            for a in self.styles
            for b in self.styles
            if a != b and STYLES[a].family == STYLES[b].family
        }
        return {pair: names for pair, names in shared.items() if len(names) >= 20}

    @cached_property
    def _pairs_by_hand(self) -> tuple[list[list[tuple[str, str]]], list[tuple[str, str]]]:
        """The pairs of each hand, and those of two hands."""
        aligned: dict[str, list[tuple[str, str]]] = {}
        loose = []
        for pair in self._pairs:
            first, second = (STYLES[style].hand for style in pair)
            (aligned.setdefault(first, []) if first == second else loose).append(pair)
        return list(aligned.values()), loose

    def _sprite(self, style: str, name: str) -> Sprite:
        found = STYLES[style]
        return Sprite(
            name=name, style=style, picture=self.sprites.sprite(style, name), words=found.words, ink=found.ink
        )

    def sprite(self, rng: Random, *, style: str | None = None, ink: bool = False) -> Sprite:
        if style is None:
            # Coloured sets carry most of what is to be learnt; line drawings are a fifth.
            drawn, coloured = self._ink, self._colour
            table = drawn if drawn and (ink or not coloured or rng.random() < 0.2) else coloured
            style = rng.choice(table or self.styles)
        if style not in self._names:
            raise SourceError(f"style {style!r} is not in this source; it has {', '.join(self.styles)}.")
        return self._sprite(style, rng.choice(self._names[style]))

    def twins(self, rng: Random, styles: tuple[str, ...]) -> tuple[Sprite, ...]:
        if len(styles) == 2 and styles in self._pairs:
            shared: tuple[str, ...] = self._pairs[styles[0], styles[1]]
        else:
            shared = tuple(sorted(frozenset.intersection(*(frozenset(self._names[style]) for style in styles))))
        if not shared:
            raise SourceError(f"no object is drawn in all of {', '.join(styles)}; choose styles of one family.")
        name = rng.choice(shared)
        return tuple(self._sprite(style, name) for style in styles)

    def style_pair(self, rng: Random) -> tuple[str, str]:
        if self._directed:
            return rng.choice(self._directed)
        if not self._pairs:
            raise SourceError(
                f"no two of the styles {', '.join(self.styles)} share objects; add a style of the family."
            )
        aligned, loose = self._pairs_by_hand
        if not aligned or (loose and rng.random() < _LOOSE_SHARE):
            return rng.choice(loose)
        # A hand with many styles gets no more pages than one with few.
        return rng.choice(rng.choice(aligned))

    def look(self, rng: Random, size_px: int, *, figure: bool = True) -> Look:  # noqa: ARG002
        return simple_look(self.sprite(rng), rng, size_px)


@dataclass(frozen=True, kw_only=True)
class ShapeSource:
    """Drawn shapes in known colours: everything runs with nothing downloaded."""

    names: Callable[[str], bool] | None = None

    @cached_property
    def _shapes(self) -> tuple[str, ...]:
        found = tuple(name for name in SHAPES if self.names is None or self.names(name))
        if not found:
            raise SourceError(f"the name filter leaves none of the shapes {', '.join(SHAPES)}; choose a wider filter.")
        return found

    @property
    def styles(self) -> tuple[str, ...]:
        return tuple(SHAPE_STYLES)

    def _sprite(self, name: str, style: str, hue: str) -> Sprite:
        picture = draw_shape(name, style, COLOURS[hue])
        return Sprite(name=f"{hue}-{name}", style=style, picture=picture, words=(SHAPE_STYLES[style],))

    def sprite(self, rng: Random, *, style: str | None = None, ink: bool = False) -> Sprite:
        name = rng.choice(self._shapes)
        if style is None:
            style = "shape-line" if ink else rng.choice(self.styles)
        if style not in SHAPE_STYLES:
            raise SourceError(f"style {style!r} is not in this source; it has {', '.join(self.styles)}.")
        if ink:
            picture = draw_shape(name, style, (0, 0, 0))
            return Sprite(name=name, style=style, picture=picture, words=(SHAPE_STYLES[style],), ink=True)
        return self._sprite(name, style, rng.choice([hue for hue in COLOURS if hue not in ("white", "black", "grey")]))

    def twins(self, rng: Random, styles: tuple[str, ...]) -> tuple[Sprite, ...]:
        name, hue = rng.choice(self._shapes), rng.choice([hue for hue in COLOURS if hue not in ("white", "black")])
        return tuple(self._sprite(name, style, hue) for style in styles)

    def style_pair(self, rng: Random) -> tuple[str, str]:
        first, second = rng.sample(self.styles, 2)
        return first, second

    def look(self, rng: Random, size_px: int, *, figure: bool = True) -> Look:  # noqa: ARG002
        return simple_look(self.sprite(rng), rng, size_px)


_ENOUGH_OBJECTS = 4
"""Most objects that a rule puts on one page."""
_SIDE_PX = 512
"""Of the user's own objects: rules draw them up to this size."""


@dataclass(frozen=True)
class FolderSource:
    """The user's own pictures, of every format that `load_image` reads, in folders below `folder` too.

    A picture with transparent parts is an object, any other a photograph. Photographs are drawn as they are: they
    fill the picture where a rule takes whole pictures, and where the folder has fewer than four objects they stand in
    for them with their own edges.
    """

    folder: Path

    @cached_property
    def _paths(self) -> tuple[Path, ...]:
        return find_pictures(self.folder, below=True)

    @cached_property
    def _objects(self) -> tuple[Path, ...]:
        """Pictures that, by their headers, may have transparent parts."""
        return tuple(path for path in self._paths if may_be_clear(path))

    @property
    def styles(self) -> tuple[str, ...]:
        return ("folder",)

    @cached_property
    def _open(self) -> Callable[[Path, int], Image.Image]:
        """A picture as RGBA with sides of at least so many pixels, if it has them; the last few are kept."""

        def opened(path: Path, side_px: int) -> Image.Image:
            picture = load_image(path, keep_alpha=True, least_px=side_px)
            scale = side_px / min(picture.size)
            if scale >= 0.5:
                return picture
            return picture.resize((round(picture.width * scale), round(picture.height * scale)), _SMOOTH)

        return lru_cache(maxsize=64)(opened)

    def _sprite(self, path: Path) -> Sprite:
        picture = ImageOps.pad(self._open(path, _SIDE_PX), (_SIDE_PX, _SIDE_PX), _SMOOTH, color=(0, 0, 0, 0))
        return Sprite(name=path.stem.replace("_", "-"), style="folder", picture=picture, words=("the same style",))

    def sprite(self, rng: Random, *, style: str | None = None, ink: bool = False) -> Sprite:  # noqa: ARG002
        has_enough = len(self._objects) >= _ENOUGH_OBJECTS
        return self._sprite(rng.choice(self._objects if has_enough else self._paths))

    def twins(self, rng: Random, styles: tuple[str, ...]) -> tuple[Sprite, ...]:  # noqa: ARG002
        raise SourceError("a folder of pictures has no objects in two styles; use sprites or shapes for this rule.")

    def style_pair(self, rng: Random) -> tuple[str, str]:  # noqa: ARG002
        raise SourceError("a folder of pictures has one style only; use sprites or shapes for this rule.")

    def look(self, rng: Random, size_px: int, *, figure: bool = True) -> Look:
        if figure and not self._objects:
            raise SourceError(
                f"this rule must know where the object is, and {self.folder} has photographs alone; "
                "add cut-outs (PNG or WebP with transparent parts), or take sprites or shapes."
            )
        path = rng.choice(self._objects if figure else self._paths)
        if figure or path in self._objects:
            return simple_look(self._sprite(path), rng, size_px)
        picture = ImageOps.fit(self._open(path, size_px), (size_px, size_px), _SMOOTH)
        return Look.flat(picture.convert("RGB"))
