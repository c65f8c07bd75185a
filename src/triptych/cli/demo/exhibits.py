"""The pages of the demo, made of pictures that the pocket backbones never saw in training."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random

from PIL import Image

from triptych.cli.demo.finished import change_of, finished
from triptych.cli.demo.photographs import photographs
from triptych.data.drawing import PALE, Look, blank, clear, fitted, place
from triptych.data.scenes import Framing, Light, Shot, Side, compose_shot
from triptych.page import Page, Role, condition, slot

__all__ = ["Exhibit", "exhibits"]

_SIDE_PX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """One thing that the model can do: answered pages, and what to look for."""

    title: str
    lead: str
    pages: tuple[Page, ...]
    backbone: str = "pocket"
    """Which of the package's makes it, unless one is named."""


def exhibits() -> tuple[Exhibit, ...]:
    """The demo, in the order in which it is shown."""
    return (_photographs(), _style(), _rule(), _storyboard(), _per_panel())


@cache
def _sprite(style: str, name: str) -> Image.Image:
    """A picture of the package, RGBA."""
    with (files("triptych.cli.demo") / "assets" / style / f"{name}.webp").open("rb") as file:
        return Image.open(file).convert("RGBA")


def _look(name: str, colour: str, *, style: str = "noto", share: float = 0.72) -> Look:
    look = Look(ground=blank(_SIDE_PX, PALE[colour]), figure=clear(_SIDE_PX))
    place(look.figure, fitted(_sprite(style, name), round(share * _SIDE_PX)), (_SIDE_PX / 2, _SIDE_PX / 2))
    return look


def _photographs() -> Exhibit:
    return Exhibit(
        title="Photographs",
        lead="A filter from one finished example, a mirror image from one example, grain taken away by words. "
        "The model has seen none of these photographs, nor this filter.",
        pages=photographs(),
        backbone="pocket-2",
    )


def _style() -> Exhibit:
    def page(name: str, colour: str) -> Page:
        # The whole drawing, not its drawn part, so that the two styles lie on each other as their authors aligned them.
        pair = []
        for style in ("icon-park", "icon-park-outline"):
            picture = blank(_SIDE_PX, PALE[colour])
            place(
                picture, _sprite(style, name).resize((108, 108), Image.Resampling.BICUBIC), (_SIDE_PX / 2, _SIDE_PX / 2)
            )
            pair.append(picture)
        return finished(*pair)

    examples = (page("beer-mug", "cream"), page("sailboat", "rose"), page("birthday-cake", "mint"))
    asked = (page("avocado", "rose"), page("bus-two", "sky blue"), page("icecream-five", "cream"))
    return Exhibit(
        title="A style, from examples alone",
        lead="Three finished pages show a change of style: from icons in colour to outlines. No word is said. "
        "The model redraws objects it has never seen.",
        pages=tuple(one.with_context(*examples) for one in asked),
    )


def _rule() -> Exhibit:
    def page(rule: str, name: str, colour: str) -> Page:
        look = _look(name, colour)
        return finished(look.render(), change_of(rule, 0).apply(look).render())

    # Of the rules that training saw, two that pocket 2 follows; its card says which it does not.
    framed = page("frame", "moose", "cream").with_context(
        page("frame", "beer-mug", "sky blue"), page("frame", "egg", "mint")
    )
    at_night = page("day-to-night", "otter", "lavender").with_context(
        page("day-to-night", "shopping-cart", "light grey"), page("day-to-night", "swan", "sky blue")
    )
    return Exhibit(
        title="A rule, from examples alone",
        lead="The same again with visual rules: each page shows two examples of one rule, "
        "and the model applies it to a third object.",
        pages=(framed, at_night),
        backbone="pocket-2",
    )


def _storyboard() -> Exhibit:
    shots = (
        Shot(place="forest", framing=Framing.CLOSE, light=Light.NOON, side=Side.CENTRE),
        Shot(place="mountains", framing=Framing.WIDE, light=Light.NOON, side=Side.LEFT),
        Shot(place="beach", framing=Framing.MEDIUM, light=Light.DUSK, side=Side.RIGHT),
    )
    character = _sprite("noto", "dog")
    portrait = _look("dog", "white", share=0.8).render()
    slots = tuple(slot(s.words, answer=compose_shot(character, s, Random(7), _SIDE_PX)) for s in shots)
    return Exhibit(
        title="A storyboard",
        lead="One portrait and one instruction per shot: the same character in three shots that differ in place, "
        "framing and light. All three are made together.",
        pages=(Page(panels=(condition(portrait), *slots), overview="a storyboard of this character"),),
    )


def _per_panel() -> Exhibit:
    look = _look("princess", "cream")
    changes = [change_of(name, seed) for name, seed in (("grayscale", 0), ("background-colour", 2), ("outline", 0))]
    slots = [slot(change.says[0], answer=change.apply(look).render()) for change in changes]
    first = Page(panels=(condition(look.render(), role=Role.EDIT), *slots))
    swapped = Page(panels=(first.panels[0], *reversed(slots)))
    return Exhibit(
        title="An instruction for each panel",
        lead="One picture, three slots, three instructions. In the second row the same instructions stand in another "
        "order, and the pictures follow them.",
        pages=(first, swapped),
    )
