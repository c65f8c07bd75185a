"""Shots of a storyboard: a character in a place, in one of four lights, three framings, on one of three sides."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from random import Random

from PIL import Image

from triptych.data.drawing import fitted, place
from triptych.data.places import PLACES

__all__ = ["Framing", "Light", "Shot", "Side", "compose_shot", "graded", "paint"]


class Framing(StrEnum):
    """How much of the picture the character fills."""

    WIDE = "wide shot"
    MEDIUM = "medium shot"
    CLOSE = "close-up"


class Light(StrEnum):
    """Time of day."""

    MORNING = "in the morning"
    NOON = "at noon"
    DUSK = "at dusk"
    NIGHT = "at night"


class Side(StrEnum):
    """Where the character stands."""

    LEFT = "on the left"
    CENTRE = "in the centre"
    RIGHT = "on the right"


_GRADES: dict[Light, tuple[tuple[float, float], ...]] = {
    Light.MORNING: ((0.9, 25), (0.86, 12), (0.78, 14)),
    Light.NOON: ((1, 0), (1, 0), (1, 0)),
    Light.DUSK: ((0.88, 18), (0.6, 6), (0.5, 30)),
    Light.NIGHT: ((0.26, 4), (0.34, 8), (0.52, 28)),
}
"""Slope and lift of red, green and blue for each light."""


@lru_cache(maxsize=16)
def _table(light: Light, strength: float) -> tuple[int, ...]:
    mixed = [(1 + (slope - 1) * strength, lift * strength) for slope, lift in _GRADES[light]]
    return tuple(min(255, round(slope * v + lift)) for slope, lift in mixed for v in range(256))


def graded(picture: Image.Image, light: Light, strength: float = 1.0) -> Image.Image:
    """An RGB picture in another light; `strength` 0 leaves it alone."""
    return picture if light is Light.NOON else picture.point(list(_table(light, strength)))


def paint(name: str, rng: Random, size_px: int, light: Light = Light.NOON) -> Image.Image:
    """The empty place, RGB."""
    return graded(PLACES[name].draw(size_px, rng), light)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture of a storyboard in words: framing, place, light and side."""

    place: str
    framing: Framing = Framing.MEDIUM
    light: Light = Light.NOON
    side: Side = Side.CENTRE

    @property
    def words(self) -> str:
        """ "wide shot, on a beach at dusk, on the left"; the centre and noon go without saying."""
        light = "" if self.light is Light.NOON else f" {self.light.value}"
        side = "" if self.side is Side.CENTRE else f", {self.side.value}"
        return f"{self.framing.value}, {PLACES[self.place].words}{light}{side}"


_HEIGHTS = {Framing.WIDE: 0.3, Framing.MEDIUM: 0.56, Framing.CLOSE: 1.05}
_ACROSS = {Side.LEFT: -1, Side.CENTRE: 0, Side.RIGHT: 1}


def compose_shot(figure: Image.Image, shot: Shot, rng: Random, size_px: int) -> Image.Image:
    """The character (RGBA) in the shot's place; its own colours are kept at dusk and night by half the grade."""
    scene = paint(shot.place, rng, size_px, shot.light)
    if shot.framing is Framing.CLOSE:
        # The place comes nearer too, so that a close-up reads as one even where the character is cut off.
        box = (size_px * 0.2, size_px * 0.3, size_px * 0.8, size_px * 0.9)
        scene = scene.resize((size_px, size_px), Image.Resampling.BICUBIC, box=box)
    side_px = round(_HEIGHTS[shot.framing] * size_px)
    actor = fitted(figure, side_px)
    lit = graded(actor.convert("RGB"), shot.light, 0.55)
    lit.putalpha(actor.getchannel("A"))
    reach = {Framing.WIDE: 0.3, Framing.MEDIUM: 0.2, Framing.CLOSE: 0.16}[shot.framing]
    x = size_px * (0.5 + reach * _ACROSS[shot.side])
    close = shot.framing is Framing.CLOSE
    y = size_px * 0.66 if close else size_px * PLACES[shot.place].floor - actor.height / 2
    place(scene, lit, (x, y))
    return scene
