"""Whether a shot shows its character, its place and its framing: found among renderings of the alternatives.

The rule engine draws the same shot with other characters, and the same character in every place and framing; the
picture must be nearest to the right one. Everything is drawn in one go from the page alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab

from triptych.data.places import PLACES
from triptych.data.scenes import Framing, Light, Shot, Side, compose_shot
from triptych.images import opaque
from triptych.page import Page

__all__ = ["ShotJudge", "ShotScore", "figure_of", "shot_of"]

_SIDE = 64
_SEEN = 32
_COVERED = 4.0
"""CIELAB difference from the empty scene that shows a character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotScore:
    """Of one slot: whether the character, the place and the framing were the nearest of their alternatives."""

    character: bool
    place: bool
    framing: bool


@cache
def _shots_by_words() -> dict[str, Shot]:
    shots = [
        Shot(place=place, framing=framing, light=light, side=side)
        for place in PLACES
        for framing in Framing
        for light in Light
        for side in Side
    ]
    return {shot.words: shot for shot in shots}


def shot_of(words: str) -> Shot | None:
    """The shot that `words` describe, or None where they are not a shot of the rule engine's."""
    return _shots_by_words().get(words)


def figure_of(portrait: Image.Image) -> Image.Image:
    """The character cut out of its portrait on white, RGBA; white inside its outline stays."""
    drawn = np.asarray(opaque(portrait)).min(axis=-1) < 246
    inside = ndimage.binary_fill_holes(drawn)
    cut = portrait.convert("RGBA")
    cut.putalpha(Image.fromarray(np.asarray(inside, dtype=np.uint8) * 255))
    box = cut.getchannel("A").getbbox()
    return cut.crop(box) if box else cut


class ShotJudge:
    """Judges of one storyboard page, drawn once and used on every set of pictures for it.

    `others` are portraits of other characters. The page's first condition is the portrait of its own. Slots whose
    words are not a shot are skipped.
    """

    def __init__(self, page: Page, others: Sequence[Image.Image]) -> None:
        portrait = page.conditions[0].image
        assert portrait is not None, "conditions have images"
        hero, cast = figure_of(portrait), [figure_of(other) for other in others]
        shots = [shot_of(slot.instruction) for slot in page.slots]
        self._slots = [None if shot is None else _SlotJudge(shot, hero, cast) for shot in shots]

    def score(self, pictures: Sequence[Image.Image]) -> tuple[ShotScore, ...]:
        """One score for each slot whose words are a shot."""
        return tuple(
            judge.score(picture) for judge, picture in zip(self._slots, pictures, strict=True) if judge is not None
        )


class _SlotJudge:
    def __init__(self, shot: Shot, hero: Image.Image, cast: list[Image.Image]) -> None:
        self._shot = shot
        self._framed = [
            Shot(place=place, framing=framing, light=shot.light, side=shot.side)
            for place in PLACES
            for framing in Framing
        ]
        self._scenes = _seen([_drawn(hero, other) for other in self._framed])
        self._cast = _seen([_drawn(figure, shot) for figure in (hero, *cast)])
        covered = np.abs(self._cast - _empty(shot)).max(axis=-1) > _COVERED
        # Each rival is judged where it or the hero covers the scene: a place drawn a little off would otherwise
        # outweigh a small character in a wide shot.
        self._where = covered | covered[0]

    def score(self, picture: Image.Image) -> ShotScore:
        given = _seen([picture])[0]
        nearest = self._framed[int(np.argmin(np.mean((self._scenes - given) ** 2, axis=(1, 2, 3))))]
        errors = np.mean((self._cast - given) ** 2, axis=-1)
        own = (errors[0] * self._where).sum(axis=(1, 2))[1:]
        rivals = (errors * self._where).sum(axis=(1, 2))[1:]
        return ShotScore(
            character=bool((own < rivals).all()),
            place=nearest.place == self._shot.place,
            framing=nearest.framing is self._shot.framing,
        )


def _drawn(figure: Image.Image, shot: Shot) -> Image.Image:
    return compose_shot(figure, shot, Random(0), _SIDE)


@lru_cache(maxsize=512)
def _empty(shot: Shot) -> np.ndarray:
    return _seen([compose_shot(Image.new("RGBA", (8, 8)), shot, Random(0), _SIDE)])[0]


def _seen(pictures: Sequence[Image.Image]) -> np.ndarray:
    """CIELAB at 32 px: (pictures, rows, columns, 3)."""
    small = [opaque(picture).resize((_SEEN, _SEEN), Image.Resampling.BOX) for picture in pictures]
    return rgb2lab(np.stack([np.asarray(picture, dtype=np.float32) / 255 for picture in small]))
