"""Families of light and colour: curves, matrices, hues, tints and light, whose parameters one example tells."""

import colorsys
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
from PIL import Image, ImageEnhance

from triptych.data.drawing import COLOURS, PALE, Colour, Look
from triptych.data.rules.base import Change, picture_rule
from triptych.data.rules.verifiers import all_of, near, within

__all__ = ["BY_DEGREES", "RULES", "any_colour", "whole"]

BY_DEGREES = all_of(near(), within())
"""For families: better than any trivial picture, and nearer than another member of the family would be."""

_FAMILY = "light and colour"


def whole(change: Callable[[Image.Image], Image.Image]) -> Callable[[Look], Look]:
    """`change` on the finished picture; where its objects are stays known."""
    return lambda look: Look.flat(change(look.render()), look.mask)


def any_colour(rng: Random) -> tuple[str, Colour]:
    """A colour and how it is said: named ones four times in ten, else any."""
    if rng.random() < 0.4:
        return rng.choice(list({**COLOURS, **PALE}.items()))
    hue, light, full = rng.random(), rng.uniform(0.15, 0.85), rng.uniform(0.25, 1)
    red, green, blue = (round(v * 51) * 5 for v in colorsys.hls_to_rgb(hue, light, full))
    return f"rgb {red} {green} {blue}", (red, green, blue)


def _curve(points: Sequence[float]) -> list[int]:
    """A table of 256 values through `points` (0..1), evenly spaced from dark to light, smoothly."""
    x = np.linspace(0, 1, len(points))
    fine = np.interp(np.linspace(0, 1, 256), x, points)
    soft = np.convolve(np.pad(fine, 24, mode="edge"), np.hanning(49) / np.hanning(49).sum(), mode="valid")
    return [int(v) for v in (soft * 255 + 0.5).clip(0, 255)]


def _rising(rng: Random) -> list[float]:
    """Five values from dark to light that never fall, far enough from the straight line to be seen."""
    while True:
        steps = [rng.gammavariate(1.2, 1) for _ in range(4)]
        low, high = rng.choice((0, 0, rng.uniform(0, 0.3))), rng.choice((1, 1, rng.uniform(0.65, 1)))
        points = [round(low + (high - low) * sum(steps[:n]) / sum(steps), 2) for n in range(5)]
        if max(abs(p - n / 4) for n, p in enumerate(points)) > 0.12:
            return points


def _percent(points: Sequence[float]) -> str:
    return " ".join(str(round(100 * p)) for p in points)


@picture_rule("tone-curve", _FAMILY, "dark, middle and light tones through one curve", check=BY_DEGREES)
def tone_curve(rng: Random) -> Change:
    points = _rising(rng)
    table = _curve(points) * 3
    return Change(
        says=(f"tone curve {_percent(points)}", f"tones through the curve {_percent(points)}"),
        apply=whole(lambda picture: picture.point(table)),
    )


@picture_rule(
    "channel-curves", _FAMILY, "a curve for each of red, green and blue, as on cross-processed film", check=BY_DEGREES
)
def channel_curves(rng: Random) -> Change:
    points = [_rising(rng) for _ in range(3)]
    table = [value for channel in points for value in _curve(channel)]
    said = ", ".join(f"{name} {_percent(p)}" for name, p in zip(("red", "green", "blue"), points, strict=True))
    return Change(says=(f"curves {said}",), apply=whole(lambda picture: picture.point(table)))


@picture_rule("exposure", _FAMILY, "brighter or darker by so many stops", check=BY_DEGREES)
def exposure(rng: Random) -> Change:
    stops = round(rng.choice((-1, 1)) * rng.uniform(0.4, 2), 1)
    table = [round(255 * min(1.0, (v / 255) ** 2.2 * 2**stops) ** (1 / 2.2)) for v in range(256)] * 3
    word = "brighter" if stops > 0 else "darker"
    return Change(
        says=(f"{abs(stops)} stops {word}", f"{word} by {abs(stops)} stops"),
        apply=whole(lambda picture: picture.point(table)),
    )


def _mixed(picture: Image.Image, matrix: np.ndarray, offset: np.ndarray | float = 0.0) -> Image.Image:
    pixels = np.asarray(picture, dtype=np.float32) @ matrix.T.astype(np.float32) + offset
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@picture_rule("channel-mix", _FAMILY, "each channel becomes a mixture of all three", check=BY_DEGREES)
def channel_mix(rng: Random) -> Change:
    matrix = np.eye(3) * rng.uniform(0.2, 0.9)
    matrix = matrix + np.array([[rng.uniform(-0.4, 0.8) for _ in range(3)] for _ in range(3)])
    matrix = (matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 0.35)).round(2)
    rows = "; ".join(" ".join(str(round(100 * v)) for v in row) for row in matrix)
    return Change(says=(f"mix the channels {rows}",), apply=whole(lambda picture: _mixed(picture, matrix)))


@picture_rule("hue-turn", _FAMILY, "all hues turned by one angle", check=BY_DEGREES)
def hue_turn(rng: Random) -> Change:
    degrees = rng.randrange(30, 331, 10)

    def turned(picture: Image.Image) -> Image.Image:
        hue, full, value = picture.convert("HSV").split()
        shift = round(degrees * 256 / 360)
        hue = hue.point([(v + shift) % 256 for v in range(256)])
        return Image.merge("HSV", (hue, full, value)).convert("RGB")

    return Change(says=(f"turn the hues by {degrees} degrees", f"hue shift {degrees} degrees"), apply=whole(turned))


@picture_rule("saturation", _FAMILY, "paler or stronger colours", check=BY_DEGREES)
def saturation(rng: Random) -> Change:
    factor = round(rng.choice((rng.uniform(0, 0.6), rng.uniform(1.6, 3.0))), 1)
    word = f"colours at {round(factor * 100)} percent"
    return Change(
        says=(word, f"saturation {round(factor * 100)} percent"),
        apply=whole(lambda picture: ImageEnhance.Color(picture).enhance(factor)),
    )


@picture_rule("white-balance", _FAMILY, "warmer or colder light, greener or pinker", check=BY_DEGREES)
def white_balance(rng: Random) -> Change:
    while True:
        warm, green = rng.uniform(-0.4, 0.4), rng.uniform(-0.25, 0.25)
        if abs(warm) + abs(green) > 0.2:
            break
    gains = np.diag([1 + warm, 1 + green, 1 - warm])
    gains = gains / (np.diag(gains) @ [0.3, 0.59, 0.11])
    said = f"{'warmer' if warm > 0 else 'colder'} by {abs(round(warm * 100))}, "
    said += f"{'greener' if green > 0 else 'pinker'} by {abs(round(green * 100))}"
    return Change(says=(said, f"white balance: {said}"), apply=whole(lambda picture: _mixed(picture, gains)))


def _by_grey(picture: Image.Image, stops: list[Colour]) -> Image.Image:
    """Grey values through evenly spaced colours, dark to light."""
    at = np.linspace(0, 255, len(stops))
    bands = [[round(float(v)) for v in np.interp(range(256), at, [c[n] for c in stops])] for n in range(3)]
    grey = picture.convert("L")
    return Image.merge("RGB", [grey.point(band) for band in bands])


@picture_rule("colourise", _FAMILY, "shades of one colour, any colour", check=BY_DEGREES)
def colourise(rng: Random) -> Change:
    said, colour = any_colour(rng)
    own_dark = (colour[0] // 3, colour[1] // 3, colour[2] // 3)
    low, high = rng.choice(((0, 0, 0), own_dark)), (255, 255, 255)
    dark = "black" if low == (0, 0, 0) else "its own dark"
    return Change(
        says=(f"shades of {said} from {dark} to white", f"monochrome in {said}, shadows {dark}"),
        apply=whole(lambda picture: _by_grey(picture, [low, colour, high])),
    )


@picture_rule("gradient-map", _FAMILY, "dark, middle and light parts each in a colour of their own", check=BY_DEGREES)
def gradient_map(rng: Random) -> Change:
    colours = [any_colour(rng) for _ in range(rng.choice((3, 3, 4)))]
    if rng.random() < 0.7:
        colours.sort(key=lambda pair: sum(pair[1]))
    said = ", ".join(word for word, _ in colours)
    return Change(
        says=(f"colours from dark to light: {said}", f"gradient map {said}"),
        apply=whole(lambda picture: _by_grey(picture, [colour for _, colour in colours])),
    )


@picture_rule("wash", _FAMILY, "a veil of one colour over everything", check=BY_DEGREES)
def wash(rng: Random) -> Change:
    said, colour = any_colour(rng)
    share = rng.choice((25, 35, 45, 55, 65))
    return Change(
        says=(f"{share} percent {said} over it", f"a veil of {said} at {share} percent"),
        apply=whole(lambda picture: Image.blend(picture, Image.new("RGB", picture.size, colour), share / 100)),
    )


@picture_rule("multiply", _FAMILY, "the picture through glass of one colour", check=BY_DEGREES)
def multiply(rng: Random) -> Change:
    said, colour = any_colour(rng)
    while min(colour) > 190:
        said, colour = any_colour(rng)
    gains = np.diag([c / 255 for c in colour])
    return Change(
        says=(f"through {said} glass", f"multiply by {said}"), apply=whole(lambda picture: _mixed(picture, gains))
    )


def _plane(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel in -1..1."""
    x, y = np.linspace(-1, 1, size[0], dtype=np.float32), np.linspace(-1, 1, size[1], dtype=np.float32)
    return x[None, :], y[:, None]


def _veiled(picture: Image.Image, colour: Colour, alpha: np.ndarray) -> Image.Image:
    veil = Image.fromarray((alpha.clip(0, 1) * 255).astype(np.uint8))
    return Image.composite(Image.new("RGB", picture.size, colour), picture, veil)


@picture_rule("vignette", _FAMILY, "corners that fade to a colour", check=BY_DEGREES)
def vignette(rng: Random) -> Change:
    said, colour = rng.choice((("black", (0, 0, 0)), ("black", (0, 0, 0)), ("white", (255, 255, 255)), any_colour(rng)))
    start, strength = rng.uniform(0.2, 0.8), rng.uniform(0.6, 1)

    def faded(picture: Image.Image) -> Image.Image:
        x, y = _plane(picture.size)
        return _veiled(picture, colour, ((np.hypot(x, y) - start) / (1.3 - start)).clip(0, 1) * strength)

    return Change(
        says=(f"corners fade to {said} from {round(start * 100)} at {round(strength * 100)} percent",),
        apply=whole(faded),
    )


@picture_rule("colour-ramp", _FAMILY, "a colour that grows from one side, at any angle", check=BY_DEGREES)
def colour_ramp(rng: Random) -> Change:
    said, colour = any_colour(rng)
    degrees, strength = rng.randrange(0, 360, 15), rng.uniform(0.55, 1)
    dx, dy = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))

    def ramped(picture: Image.Image) -> Image.Image:
        x, y = _plane(picture.size)
        return _veiled(picture, colour, (0.5 + 0.42 * (x * dx + y * dy)) * strength)

    return Change(
        says=(f"{said} light from {degrees} degrees at {round(strength * 100)} percent",), apply=whole(ramped)
    )


@picture_rule("split-tone", _FAMILY, "a film look: shadows and lights each tinted, blacks lifted", check=BY_DEGREES)
def split_tone(rng: Random) -> Change:
    (dark_said, dark), (light_said, light) = any_colour(rng), any_colour(rng)
    amount, lift, colour = rng.uniform(0.2, 0.5), rng.uniform(0, 50), rng.uniform(0.3, 1)

    def toned(picture: Image.Image) -> Image.Image:
        pixels = np.asarray(ImageEnhance.Color(picture).enhance(colour), dtype=np.float32)
        grey = np.asarray(picture.convert("L"), dtype=np.float32)[..., None] / 255
        tint = (1 - grey) * np.array(dark, np.float32) + grey * np.array(light, np.float32)
        mixed = pixels * (1 - amount) + tint * amount
        return Image.fromarray((lift + mixed * (255 - lift) / 255).clip(0, 255).astype(np.uint8))

    return Change(
        says=(f"shadows {dark_said}, lights {light_said}, {round(amount * 100)} percent, blacks lifted {round(lift)}",),
        apply=whole(toned),
    )


_SEASONS: dict[str, tuple[Colour, float, float]] = {
    "autumn": ((1, 0, 0), 1.0, 0.0),
    "winter": ((1, 1, 1), 0.9, 0.28),
    "spring": ((0, 1, 0), -0.35, 0.1),
    "drought": ((1, 1, 0), 0.7, 0.05),
}


@picture_rule("season", _FAMILY, "leaves and grass of another season", check=BY_DEGREES)
def season(rng: Random) -> Change:
    name = rng.choice(list(_SEASONS))
    strength = rng.uniform(0.6, 1.2)
    (red, green, blue), move, veil = _SEASONS[name]

    def changed(picture: Image.Image) -> Image.Image:
        pixels = np.asarray(picture, dtype=np.float32)
        r, g, b = pixels[..., 0], pixels[..., 1], pixels[..., 2]
        leaf = (g - b).clip(0, None) * strength * move
        out = np.stack(
            (r + leaf * (0.9 * red), g + leaf * (0.25 * green - 0.35 * red * (1 - blue)), b + leaf * blue), 2
        )
        warm = np.array({"autumn": (12, 2, -10), "winter": (-4, 2, 14)}.get(name, (4, 6, 0)), np.float32) * strength
        out = (out + warm) * (1 - veil) + 248 * veil
        return Image.fromarray(out.clip(0, 255).astype(np.uint8))

    return Change(
        says=(f"in {name}, {round(strength * 100)} percent", f"{name} colours at {round(strength * 100)}"),
        apply=whole(changed),
    )


@picture_rule("swap-channels", _FAMILY, "red, green and blue change places", check=BY_DEGREES)
def swap_channels(rng: Random) -> Change:
    order = rng.choice(((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)))
    names = ("red", "green", "blue")
    said = ", ".join(f"{names[to]} from {names[at]}" for to, at in enumerate(order))
    return Change(
        says=(f"swap the channels: {said}",),
        apply=whole(lambda picture: Image.merge("RGB", [picture.getchannel(at) for at in order])),
    )


@picture_rule("spotlight", _FAMILY, "all dark but for one disc of light", check=BY_DEGREES)
def spotlight(rng: Random) -> Change:
    cx, cy, radius = rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6), rng.uniform(0.3, 0.75)

    def lit(picture: Image.Image) -> Image.Image:
        x, y = _plane(picture.size)
        return _veiled(picture, (4, 4, 12), ((np.hypot(x - cx, y - cy) - radius) / 0.25).clip(0, 1) * 0.9)

    place = f"{round(50 + 50 * cx)} {round(50 + 50 * cy)}"
    return Change(says=(f"a spotlight at {place}, radius {round(50 * radius)}",), apply=whole(lit))


RULES = (
    tone_curve,
    channel_curves,
    exposure,
    channel_mix,
    hue_turn,
    saturation,
    white_balance,
    colourise,
    gradient_map,
    wash,
    multiply,
    vignette,
    colour_ramp,
    split_tone,
    season,
    swap_channels,
    spotlight,
)
