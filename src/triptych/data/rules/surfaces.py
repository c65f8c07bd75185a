"""Families of surface: blur, blocks, levels, lines, relief, frames and masks of any size, width and colour."""

import math
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from triptych.data.drawing import Colour, toned
from triptych.data.rules.base import Change, picture_rule
from triptych.data.rules.tones import BY_DEGREES, any_colour, whole
from triptych.data.rules.verifiers import all_of, near, within

__all__ = ["RULES"]

_FAMILY = "surface"
_FINE = all_of(near(share=0.12, side_px=128), within())
"""Where the change is fine and the copy near."""


def _solid(picture: Image.Image, colour: Colour) -> Image.Image:
    return Image.new("RGB", picture.size, colour)


@picture_rule("blur", _FAMILY, "out of focus, by any radius", check=_FINE, changes=False)
def blur(rng: Random) -> Change:
    radius = rng.uniform(0.012, 0.06)
    return Change(
        says=(f"blur it by {round(1000 * radius)} thousandths", f"out of focus by {round(1000 * radius)}"),
        apply=whole(lambda picture: picture.filter(ImageFilter.GaussianBlur(radius * max(picture.size)))),
    )


@picture_rule("blocks", _FAMILY, "square blocks of any size, with or without gaps", check=_FINE, changes=False)
def blocks(rng: Random) -> Change:
    count, gap = rng.randrange(5, 29), rng.random() < 0.3
    said, colour = any_colour(rng)

    def blocky(picture: Image.Image) -> Image.Image:
        cells = (count, max(1, round(count * picture.height / picture.width)))
        coarse = picture.resize(cells, Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)
        if gap and count < 20:
            pen = ImageDraw.Draw(coarse)
            width = max(1, round(picture.width / count / 8))
            for n in range(1, cells[0]):
                pen.line((n * picture.width / cells[0], 0, n * picture.width / cells[0], picture.height), colour, width)
            for n in range(1, cells[1]):
                pen.line(
                    (0, n * picture.height / cells[1], picture.width, n * picture.height / cells[1]), colour, width
                )
        return coarse

    end = f" with gaps of {said}" if gap and count < 20 else ""
    return Change(says=(f"{count} blocks across{end}", f"a mosaic of {count} squares across{end}"), apply=whole(blocky))


@picture_rule("levels", _FAMILY, "so many flat levels of each colour, or of grey", check=BY_DEGREES)
def levels(rng: Random) -> Change:
    count, grey = rng.randrange(2, 7), rng.random() < 0.3
    table = [round(min(count - 1, v * count // 256) * 255 / (count - 1)) for v in range(256)]

    def flat(picture: Image.Image) -> Image.Image:
        return picture.convert("L").point(table).convert("RGB") if grey else picture.point(table * 3)

    kind = "grey" if grey else "each colour"
    return Change(says=(f"{count} levels of {kind}", f"only {count} flat levels of {kind}"), apply=whole(flat))


@picture_rule("line-screen", _FAMILY, "printed lines, thicker where it is dark, at any angle and pitch", check=_FINE)
def line_screen(rng: Random) -> Change:
    pitch, degrees = rng.uniform(0.035, 0.08), rng.choice((0, 30, 45, 60, 90, 120, 135, 150))
    (ink_said, ink), (paper_said, paper) = ("black", (20, 20, 24)), ("white", (255, 255, 255))
    if rng.random() < 0.6:
        pair = sorted((any_colour(rng), any_colour(rng)), key=lambda entry: sum(entry[1]))
        (ink_said, ink), (paper_said, paper) = pair
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def printed(picture: Image.Image) -> Image.Image:
        w, h = picture.size
        step = pitch * w
        soft = picture.convert("L").filter(ImageFilter.BoxBlur(step / 2.5))
        dark = 1 - np.asarray(soft, dtype=np.float32) / 255
        x, y = np.arange(w, dtype=np.float32)[None], np.arange(h, dtype=np.float32)[:, None]
        along = (x * -sin + y * cos) / step
        reach = np.abs(along - np.round(along)) * 2
        alpha = ((0.08 + 0.9 * dark - reach) * step / 2 + 0.5).clip(0, 1)
        return Image.composite(
            _solid(picture, ink), _solid(picture, paper), Image.fromarray((alpha * 255).astype(np.uint8))
        )

    return Change(
        says=(f"{ink_said} lines on {paper_said} at {degrees} degrees, {round(1 / pitch)} across",),
        apply=whole(printed),
    )


@picture_rule("line-art", _FAMILY, "edges as lines of one colour on paper of another", check=_FINE)
def line_art(rng: Random) -> Change:
    (ink_said, ink), (paper_said, paper) = rng.sample(
        (any_colour(rng), ("black", (25, 25, 30)), ("white", (255, 255, 255))), 2
    )
    radius, gain = rng.choice((0.6, 1.0, 1.6)), rng.uniform(3, 8)

    def lines(picture: Image.Image) -> Image.Image:
        soft = picture.filter(ImageFilter.GaussianBlur(radius * picture.width / 128))
        edges = ImageChops.subtract(soft.filter(ImageFilter.MaxFilter(3)), soft.filter(ImageFilter.MinFilter(3)))
        red, green, blue = edges.split()
        strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        return Image.composite(
            _solid(picture, ink), _solid(picture, paper), toned(strongest, lambda v: (v - 10) * gain)
        )

    return Change(
        says=(
            f"{ink_said} outlines on {paper_said}, strength {round(gain)}",
            f"edges in {ink_said} on {paper_said}, strength {round(gain)}",
        ),
        apply=whole(lines),
    )


@picture_rule("emboss", _FAMILY, "a relief lit from any side, in any colour", check=_FINE)
def emboss(rng: Random) -> Change:
    degrees, gain = rng.randrange(0, 360, 45), rng.uniform(1, 3)
    said, colour = rng.choice((("grey", (128, 128, 128)), any_colour(rng)))
    reach = rng.choice((1, 1, 2))

    def raised(picture: Image.Image) -> Image.Image:
        far = max(1, round(reach * picture.width / 128))
        dx, dy = round(far * math.cos(math.radians(degrees))), round(far * math.sin(math.radians(degrees)))
        grey = np.asarray(picture.convert("L"), dtype=np.float32)
        slope = (grey - np.roll(grey, (dy, dx), axis=(0, 1))) * gain
        slope[: far + 1] = slope[-far - 1 :] = 0
        slope[:, : far + 1] = slope[:, -far - 1 :] = 0
        lit = np.array(colour, np.float32) + slope[..., None]
        return Image.fromarray(lit.clip(0, 255).astype(np.uint8))

    return Change(says=(f"a relief in {said} lit from {degrees} degrees, strength {round(gain)}",), apply=whole(raised))


@picture_rule("threshold", _FAMILY, "two flat colours, parted at one grey", check=BY_DEGREES)
def threshold(rng: Random) -> Change:
    at = rng.randrange(70, 186, 10)
    table = [255 if v > at else 0 for v in range(256)]
    return Change(
        says=(f"black below {at}, white above", f"pure black and white, parted at {at}"),
        apply=whole(lambda picture: picture.convert("L").point(table).convert("RGB")),
    )


@picture_rule("smoothed", _FAMILY, "fine detail painted over in broad strokes", check=_FINE, changes=False)
def smoothed(rng: Random) -> Change:
    size, saturate = rng.choice((5, 7, 9)), rng.uniform(1, 1.6)

    def painted(picture: Image.Image) -> Image.Image:
        half = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)
        broad = half.filter(ImageFilter.MedianFilter(3 if size < 9 else 5)).filter(ImageFilter.MedianFilter(3))
        grey = broad.convert("L").convert("RGB")
        return Image.blend(grey, broad, saturate).resize(picture.size, Image.Resampling.BICUBIC)

    return Change(says=(f"broad strokes of {size}, colours at {round(100 * saturate)}",), apply=whole(painted))


@picture_rule("border", _FAMILY, "a frame of any colours and width, the picture cut or shrunk to fit", check=BY_DEGREES)
def border(rng: Random) -> Change:
    (said, colour), (mat_said, mat) = any_colour(rng), any_colour(rng)
    width, inner = rng.uniform(0.03, 0.18), rng.random() < 0.4
    shrinks = rng.random() < 0.5

    def framed(picture: Image.Image) -> Image.Image:
        edge = max(1, round(width * min(picture.size)))
        box = (edge, edge, picture.width - edge, picture.height - edge)
        out = _solid(picture, colour)
        inside = (box[2] - box[0], box[3] - box[1])
        out.paste(picture.resize(inside, Image.Resampling.BICUBIC) if shrinks else picture.crop(box), box)
        if inner:
            ImageDraw.Draw(out).rectangle(box, outline=mat, width=max(1, edge // 3))
        return out

    end = f" with a line of {mat_said}" if inner else ""
    how = "shrunk into" if shrinks else "in"
    return Change(says=(f"{how} a {said} frame of {round(100 * width)} percent{end}",), apply=whole(framed))


@picture_rule("bars", _FAMILY, "bars of a colour above and below, or at both sides", check=BY_DEGREES)
def bars(rng: Random) -> Change:
    said, colour = rng.choice((("black", (0, 0, 0)), any_colour(rng)))
    share, level = rng.uniform(0.08, 0.28), rng.random() < 0.6

    def barred(picture: Image.Image) -> Image.Image:
        out, (w, h) = picture.copy(), picture.size
        for box in (
            ((0, 0, w, round(share * h)), (0, h - round(share * h), w, h))
            if level
            else ((0, 0, round(share * w), h), (w - round(share * w), 0, w, h))
        ):
            out.paste(colour, box)
        return out

    where = "above and below" if level else "at both sides"
    return Change(says=(f"{said} bars of {round(100 * share)} percent {where}",), apply=whole(barred))


@picture_rule("cut-out-shape", _FAMILY, "seen through a rounded box, diamond or star on a colour", check=BY_DEGREES)
def cut_out_shape(rng: Random) -> Change:
    said, colour = any_colour(rng)
    kind, share = rng.choice(("rounded box", "diamond", "hexagon")), rng.uniform(0.6, 0.95)

    def seen(picture: Image.Image) -> Image.Image:
        w, h = picture.size
        mask = Image.new("L", (2 * w, 2 * h), 0)
        pen, rx, ry = ImageDraw.Draw(mask), share * w, share * h
        if kind == "rounded box":
            pen.rounded_rectangle((w - rx, h - ry, w + rx, h + ry), radius=0.45 * min(rx, ry), fill=255)
        else:
            count = 4 if kind == "diamond" else 6
            pen.polygon(
                [
                    (w + rx * math.cos(2 * math.pi * n / count), h + ry * math.sin(2 * math.pi * n / count))
                    for n in range(count)
                ],
                fill=255,
            )
        return Image.composite(picture, _solid(picture, colour), mask.reduce(2))

    return Change(says=(f"through a {kind} of {round(100 * share)} percent on {said}",), apply=whole(seen))


@picture_rule("oval", _FAMILY, "seen through an oval with a soft or hard rim on a colour", check=BY_DEGREES)
def oval(rng: Random) -> Change:
    said, colour = any_colour(rng)
    share, soft = rng.uniform(0.6, 0.95), rng.random() < 0.5

    def seen(picture: Image.Image) -> Image.Image:
        w, h = picture.size
        mask = Image.new("L", (2 * w, 2 * h), 0)
        ImageDraw.Draw(mask).ellipse((w * (1 - share), h * (1 - share), w * (1 + share), h * (1 + share)), fill=255)
        small = mask.reduce(2)
        return Image.composite(
            picture, _solid(picture, colour), small.filter(ImageFilter.GaussianBlur(w / 16)) if soft else small
        )

    return Change(
        says=(f"through {'a soft' if soft else 'an'} oval of {round(100 * share)} percent on {said}",),
        apply=whole(seen),
    )


@picture_rule("ruled", _FAMILY, "a grid of thin lines over the picture, any number and colour", check=_FINE)
def ruled(rng: Random) -> Change:
    said, colour = any_colour(rng)
    columns, rows = rng.randrange(2, 9), rng.randrange(2, 9)
    width = rng.uniform(0.01, 0.03)

    def drawn(picture: Image.Image) -> Image.Image:
        out, thick = picture.copy(), max(1, round(width * picture.width))
        pen = ImageDraw.Draw(out)
        for n in range(1, columns):
            pen.line((n * picture.width / columns, 0, n * picture.width / columns, picture.height), colour, thick)
        for n in range(1, rows):
            pen.line((0, n * picture.height / rows, picture.width, n * picture.height / rows), colour, thick)
        return out

    return Change(says=(f"a {said} grid of {columns} by {rows} over it",), apply=whole(drawn))


@picture_rule("scanlines", _FAMILY, "dark lines across, as on an old screen", check=_FINE)
def scanlines(rng: Random) -> Change:
    step, strength = rng.choice((3, 4, 6, 8)), rng.uniform(0.5, 0.9)

    def screened(picture: Image.Image) -> Image.Image:
        pixels = np.asarray(picture, dtype=np.float32).copy()
        pitch = max(2, round(step * picture.height / 128))
        dark = (np.arange(picture.height) % pitch) < pitch / 2
        pixels[dark] *= 1 - strength
        return Image.fromarray(pixels.astype(np.uint8))

    return Change(says=(f"dark scanlines every {step}, {round(100 * strength)} percent",), apply=whole(screened))


@picture_rule("doubled", _FAMILY, "a second, mirrored or turned exposure over the first", check=BY_DEGREES)
def doubled(rng: Random) -> Change:
    share = rng.uniform(0.3, 0.6)
    kind = rng.choice(("mirrored", "half turned", "overturned"))
    moves = {
        "mirrored": ImageOps.mirror,
        "half turned": lambda p: ImageOps.flip(ImageOps.mirror(p)),
        "overturned": ImageOps.flip,
    }
    return Change(
        says=(f"double exposure with itself {kind}, {round(100 * share)} percent",),
        apply=whole(lambda picture: Image.blend(picture, moves[kind](picture), share)),
    )


RULES = (
    blur,
    blocks,
    levels,
    line_screen,
    line_art,
    emboss,
    threshold,
    smoothed,
    border,
    bars,
    cut_out_shape,
    oval,
    ruled,
    scanlines,
    doubled,
)
