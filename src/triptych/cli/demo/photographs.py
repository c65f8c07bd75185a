"""The demo's pages of photographs that no training saw: a filter and a mirror by example, a repair by words."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random

from PIL import Image

from triptych.cli.demo.finished import change_of, finished
from triptych.data.drawing import Look
from triptych.data.rules import find_rule
from triptych.data.sources import ShapeSource
from triptych.page import Page

__all__ = ["photographs"]


@cache
def _photograph(name: str, side_px: int) -> Image.Image:
    with (files("triptych.cli.demo") / "assets" / "photographs" / f"{name}.webp").open("rb") as file:
        return Image.open(file).convert("RGB").resize((side_px, side_px), Image.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True)
class _One(ShapeSource):
    """A source whose only picture is this."""

    picture: Image.Image

    def look(self, rng: Random, size_px: int, *, figure: bool = True) -> Look:  # noqa: ARG002
        return Look.flat(self.picture)


def _changed(rule: str, seed: int) -> Callable[[str, int], Page]:
    """Finished pages of a photograph and what the rule makes of it."""
    change = change_of(rule, seed)

    def page(name: str, side_px: int) -> Page:
        picture = _photograph(name, side_px)
        return finished(picture, change.apply(Look.flat(picture)).render())

    return page


def _harmed(rule: str, seed: int, name: str, side_px: int) -> Page:
    source = _One(_photograph(name, side_px))
    draft = find_rule(rule).make(Random(seed), source)
    return draft.compose(Random(seed), side_px, draft.says[0])


def photographs() -> tuple[Page, ...]:
    """Finished pages, whose answers have the size to ask for."""
    toned, mirrored = _changed("split-tone", 1), _changed("mirror", 0)
    return (
        *(toned(name, 256).with_context(toned("cup", 256)) for name in ("cat", "rocket")),
        *(mirrored(name, 128).with_context(mirrored("cup", 128)) for name in ("cat", "rocket")),
        *(_harmed("clean-grain", seed, name, 256) for seed, name in ((5, "cat"), (3, "cup"))),
    )
