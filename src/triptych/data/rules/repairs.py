"""Families of repair, where the answer is the picture as it was; and the rule that changes nothing at all."""

from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from triptych.data.rules.base import Change, Draft, Rule, page_rule, picture_rule
from triptych.data.rules.tones import any_colour
from triptych.data.rules.verifiers import near, within
from triptych.data.sources import Source
from triptych.page import Page, Role, condition, slot

__all__ = ["RULES"]

_FAMILY = "repair"
_HARM = Callable[[Image.Image, Random], Image.Image]
_MENDED = near(share=0.5, side_px=128)


def _mending(says: tuple[str, ...], source: Source, harm: _HARM) -> Draft:
    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        picture = source.look(rng, size_px, figure=False).render()
        given = harm(picture, rng)
        return Page(panels=(condition(given, role=Role.EDIT), slot(instruction, answer=picture)))

    return Draft(says=says, compose=compose)


@picture_rule("same", _FAMILY, "the same picture, unchanged", check=within(error=1e-3), changes=False)
def same(rng: Random) -> Change:  # noqa: ARG001
    return Change(says=("the same picture", "leave it as it is", "copy the picture"), apply=lambda look: look)


def _grain(picture: Image.Image, rng: Random, deviation: float, *, coloured: bool) -> np.ndarray:
    noise = np.random.default_rng(rng.getrandbits(32))
    shape = (picture.height, picture.width, 3 if coloured else 1)
    return noise.standard_normal(shape, dtype=np.float32) * deviation


@page_rule("clean-grain", _FAMILY, "grain is taken away", check=_MENDED, changes=False)
def clean_grain(rng: Random, source: Source) -> Draft:
    deviation, coloured = rng.uniform(18, 60), rng.random() < 0.5

    def noisy(picture: Image.Image, rng: Random) -> Image.Image:
        pixels = np.asarray(picture, dtype=np.float32) + _grain(picture, rng, deviation, coloured=coloured)
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

    return _mending(("remove the grain", "clean the noise"), source, noisy)


@page_rule("clean-specks", _FAMILY, "specks and dust are taken away", check=_MENDED)
def clean_specks(rng: Random, source: Source) -> Draft:
    share = rng.uniform(0.03, 0.15)

    def speckled(picture: Image.Image, rng: Random) -> Image.Image:
        noise = np.random.default_rng(rng.getrandbits(32))
        pixels = np.array(picture)
        hit = noise.random(pixels.shape[:2], dtype=np.float32)
        pixels[hit < share / 2] = 255
        pixels[hit > 1 - share / 2] = 0
        return Image.fromarray(pixels)

    return _mending(("remove the specks", "take the dust away"), source, speckled)


@page_rule("mend-scratches", _FAMILY, "scratches of one colour are taken away", check=_MENDED)
def mend_scratches(rng: Random, source: Source) -> Draft:
    _, colour = any_colour(rng)
    count, width = rng.randrange(3, 9), rng.uniform(0.01, 0.03)

    def scratched(picture: Image.Image, rng: Random) -> Image.Image:
        out, (w, h) = picture.copy(), picture.size
        pen = ImageDraw.Draw(out)
        for _ in range(count):
            ends = [(rng.uniform(-0.1, 1.1) * w, rng.uniform(-0.1, 1.1) * h) for _ in range(2)]
            pen.line(ends, fill=colour, width=max(1, round(width * w)))
        return out

    return _mending(("remove the scratches", "mend the scratches"), source, scratched)


@page_rule("fill-holes", _FAMILY, "holes of one colour are filled", check=_MENDED)
def fill_holes(rng: Random, source: Source) -> Draft:
    _, colour = any_colour(rng)
    count, kind = rng.choice((1, 1, 2, 3)), rng.choice(("box", "disc", "mixed"))

    def holed(picture: Image.Image, rng: Random) -> Image.Image:
        out, (w, h) = picture.copy(), picture.size
        pen = ImageDraw.Draw(out)
        for _ in range(count):
            wide, high = (rng.uniform(0.15, 0.45) * edge / count**0.5 for edge in (w, h))
            x, y = rng.uniform(0, w - wide), rng.uniform(0, h - high)
            shape = pen.ellipse if kind == "disc" or (kind == "mixed" and rng.random() < 0.5) else pen.rectangle
            shape((x, y, x + wide, y + high), fill=colour)
        return out

    return _mending(("fill the holes", "fill what is missing"), source, holed)


@page_rule(
    "enlarge-detail", _FAMILY, "a coarse picture becomes fine", check=near(share=0.7, side_px=128), changes=False
)
def enlarge_detail(rng: Random, source: Source) -> Draft:
    factor = rng.choice((2, 2, 3, 4))
    nearest = rng.random() < 0.4

    def coarse(picture: Image.Image, rng: Random) -> Image.Image:  # noqa: ARG001
        small = picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.BOX)
        return small.resize(picture.size, Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC)

    return _mending((f"{factor} times finer", f"sharp at {factor} times the detail"), source, coarse)


@page_rule("refocus", _FAMILY, "blur of any radius is taken away", check=near(share=0.7, side_px=128), changes=False)
def refocus(rng: Random, source: Source) -> Draft:
    radius = rng.uniform(0.006, 0.02)

    def blurred(picture: Image.Image, rng: Random) -> Image.Image:  # noqa: ARG001
        return picture.filter(ImageFilter.GaussianBlur(radius * max(picture.size)))

    return _mending(("bring it into focus", "remove the blur"), source, blurred)


@page_rule("clear-haze", _FAMILY, "haze of one colour is taken away", check=_MENDED)
def clear_haze(rng: Random, source: Source) -> Draft:
    _, colour = any_colour(rng)
    share = rng.uniform(0.35, 0.65)

    def hazy(picture: Image.Image, rng: Random) -> Image.Image:  # noqa: ARG001
        return Image.blend(picture, Image.new("RGB", picture.size, colour), share)

    return _mending(("clear the haze", "take the veil away"), source, hazy)


@page_rule("restore-colour", _FAMILY, "a pale picture gets its colours back", check=near(share=0.7))
def restore_colour(rng: Random, source: Source) -> Draft:
    left = rng.uniform(0.1, 0.4)

    def pale(picture: Image.Image, rng: Random) -> Image.Image:  # noqa: ARG001
        return ImageEnhance.Color(picture).enhance(left)

    return _mending(("bring the colours back", "restore faded colours"), source, pale)


RULES: tuple[Rule, ...] = (
    same,
    clean_grain,
    clean_specks,
    mend_scratches,
    fill_holes,
    enlarge_detail,
    refocus,
    clear_haze,
    restore_colour,
)
