"""Photometric rules: light and colour change, nothing moves."""

from random import Random

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from triptych.data.drawing import COLOURS, PALE, Look, blank, toned
from triptych.data.rules.base import Change, picture_rule, with_article
from triptych.data.rules.verifiers import alike, all_of, ground_colour, near

__all__ = ["RULES"]

_HUE = all_of(near(share=0.1), alike())
"""Where only the hue tells two answers apart, the error must be smaller."""
_STRONG = tuple(name for name in COLOURS if name not in ("white", "black", "grey"))


@picture_rule("day-to-night", "photometric", "the scene at night: dark and blue")
def day_to_night(rng: Random) -> Change:  # noqa: ARG001
    def night(picture: Image.Image) -> Image.Image:
        pixels = np.asarray(picture, dtype=np.float32)
        grey = pixels.mean(axis=2, keepdims=True)
        cool = (0.55 * pixels + 0.45 * grey) * np.array([0.28, 0.36, 0.62], dtype=np.float32) + (4, 6, 22)
        return Image.fromarray(cool.clip(0, 255).astype(np.uint8))

    return Change(
        says=("turn day into night", "the same picture at night", "make it night"), apply=lambda look: look.each(night)
    )


@picture_rule("negative", "photometric", "every colour becomes its opposite")
def negative(rng: Random) -> Change:  # noqa: ARG001
    return Change(
        says=("invert the colours", "make a negative", "the photographic negative of the picture"),
        apply=lambda look: look.each(ImageOps.invert),
    )


@picture_rule("grayscale", "photometric", "colours become shades of grey")
def grayscale(rng: Random) -> Change:  # noqa: ARG001
    return Change(
        says=("make it black and white", "remove the colours", "turn it into shades of grey"),
        apply=lambda look: look.each(lambda picture: picture.convert("L").convert("RGB")),
    )


@picture_rule("tint", "photometric", "the whole picture in shades of one colour", check=_HUE)
def tint(rng: Random) -> Change:
    name = rng.choice(_STRONG)
    dark = tuple(int(c * 0.35) for c in COLOURS[name])
    return Change(
        says=(f"tint it {name}", f"in shades of {name}", f"{with_article(name)} monochrome version"),
        apply=lambda look: look.each(
            lambda picture: ImageOps.colorize(picture.convert("L"), black=dark, mid=COLOURS[name], white="white")
        ),
    )


@picture_rule("posterise", "photometric", "few flat levels of each colour")
def posterise(rng: Random) -> Change:
    levels = rng.choice((2, 3))
    table = [round(round(v / 255 * (levels - 1)) * 255 / (levels - 1)) for v in range(256)] * 3
    word = {2: "two", 3: "three"}[levels]
    return Change(
        says=(f"posterise to {word} levels", f"only {word} levels of each colour"),
        apply=lambda look: look.each(lambda picture: picture.point(table)),
    )


@picture_rule("duotone", "photometric", "dark parts in one named colour, light parts in another")
def duotone(rng: Random) -> Change:
    dark, light = rng.choice((("blue", "yellow"), ("purple", "orange"), ("teal", "pink"), ("red", "mint")))
    ends = {**PALE, **COLOURS}

    def two(picture: Image.Image) -> Image.Image:
        return ImageOps.colorize(ImageOps.autocontrast(picture.convert("L")), black=ends[dark], white=ends[light])

    return Change(
        says=(f"{dark} for the dark parts, {light} for the light", f"a duotone of {dark} and {light}"),
        apply=lambda look: Look.flat(two(look.render()), look.mask),
    )


@picture_rule("fog", "photometric", "the picture fades into fog, thicker towards the bottom or the top", check=_HUE)
def fog(rng: Random) -> Change:
    upward = rng.random() < 0.5

    def misty(look: Look) -> Look:
        size = look.size_px
        ramp = Image.linear_gradient("L").resize((size, size))
        thick = toned(ImageOps.flip(ramp) if upward else ramp, lambda v: 30 + v * 0.65)
        return Look.flat(Image.composite(blank(size, (236, 238, 242)), look.render(), thick), look.mask)

    where = "top" if upward else "bottom"
    return Change(says=(f"add fog, thick at the {where}", f"mist that thickens towards the {where}"), apply=misty)


@picture_rule("glow", "photometric", "light of a named colour around the object", figure=True, check=_HUE)
def glow(rng: Random) -> Change:
    name = rng.choice(_STRONG)

    def shine(look: Look) -> Look:
        size = look.size_px
        halo = toned(look.mask.filter(ImageFilter.GaussianBlur(size / 16)), lambda v: v * 2.2)
        lit = look.ground.copy()
        lit.paste(COLOURS[name], (0, 0, size, size), halo)
        return Look(ground=lit, figure=look.figure)

    return Change(says=(f"{with_article(name)} glow around the object", f"make the object glow {name}"), apply=shine)


@picture_rule(
    "background-colour",
    "photometric",
    "the ground takes the colour that is named",
    figure=True,
    check=all_of(alike(), ground_colour()),
)
def background_colour(rng: Random) -> Change:
    name, colour = rng.choice(list({**PALE, **COLOURS}.items()))
    return Change(
        says=(
            f"on {with_article(name)} background",
            f"set the background to {name}",
            f"change the background to {name}",
        ),
        apply=lambda look: Look(ground=blank(look.size_px, colour), figure=look.figure),
    )


RULES = (day_to_night, negative, grayscale, tint, duotone, posterise, fog, glow, background_colour)
