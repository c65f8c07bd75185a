"""Structural rules: how the object is drawn changes, where it stands does not."""

from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

from triptych.data.drawing import COLOURS, Look, blank, toned
from triptych.data.rules.base import Change, picture_rule, with_article
from triptych.data.rules.verifiers import near

__all__ = ["RULES"]


def _grown(mask: Image.Image, radius_px: float) -> Image.Image:
    """The mask grown by about `radius_px`, with a soft edge."""
    wide = mask.filter(ImageFilter.GaussianBlur(radius_px * 0.75))
    return toned(wide, lambda v: (v - 20) * 6)


@picture_rule("silhouette", "structural", "the object as one flat shape", figure=True)
def silhouette(rng: Random) -> Change:
    name = rng.choice(("black", "black", "blue", "red", "purple", "teal"))

    def flat(look: Look) -> Look:
        paper = Image.new("RGBA", look.figure.size, (*COLOURS[name], 255))
        paper.putalpha(toned(look.mask, lambda v: v * 3))
        return Look(ground=blank(look.size_px), figure=paper)

    return Change(
        says=(f"{with_article(name)} silhouette on white", f"the silhouette of it in {name} on white"), apply=flat
    )


@picture_rule("outline", "structural", "the edges of the picture as dark lines on white")
def outline(rng: Random) -> Change:  # noqa: ARG001
    def lines(look: Look) -> Look:
        picture = look.render()
        smooth = picture.filter(ImageFilter.GaussianBlur(look.size_px / 160))
        edges = ImageChops.subtract(smooth.filter(ImageFilter.MaxFilter(3)), smooth.filter(ImageFilter.MinFilter(3)))
        red, green, blue = edges.split()
        strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        drawn = toned(strongest, lambda v: max(20, 255 - max(0, (v - 14) * 4)))
        return Look.flat(drawn.convert("RGB"), look.mask)

    return Change(
        says=("draw only the outlines", "as a line drawing", "trace the edges in black on white"), apply=lines
    )


@picture_rule("sticker", "structural", "a cut-out with a thick white rim and a thin shadow", figure=True)
def sticker(rng: Random) -> Change:
    name = rng.choice(("teal", "pink", "blue", "orange", "grey", "purple"))

    def cut(look: Look) -> Look:
        size = look.size_px
        rim = _grown(look.mask, size / 24)
        shade = ImageChops.offset(rim, size // 50, size // 50).filter(ImageFilter.GaussianBlur(size / 64))
        ground = blank(size, COLOURS[name])
        ground.paste((40, 40, 50), (0, 0, size, size), toned(shade, lambda v: v * 0.45))
        ground.paste((255, 255, 255), (0, 0, size, size), rim)
        return Look(ground=ground, figure=look.figure)

    return Change(
        says=(
            f"as a sticker with a white rim on {name}",
            f"make it a cut-out sticker on {with_article(name)} background",
        ),
        apply=cut,
    )


@picture_rule("pixelate", "structural", "large square pixels", check=near(share=0.08, side_px=128))
def pixelate(rng: Random) -> Change:
    blocks = rng.choice((8, 16))
    word = {8: "very large", 16: "large"}[blocks]

    def blocky(layer: Image.Image) -> Image.Image:
        return layer.resize((blocks, blocks), Image.Resampling.BOX).resize(layer.size, Image.Resampling.NEAREST)

    return Change(
        says=(f"pixelate it with {word} pixels", f"as pixel art with {word} pixels"),
        apply=lambda look: look.moved(blocky),
    )


@picture_rule("x-ray", "structural", "a pale blue x-ray on black", figure=True)
def x_ray(rng: Random) -> Change:  # noqa: ARG001
    def exposed(look: Look) -> Look:
        size = look.size_px
        grey = ImageOps.invert(look.figure.convert("L"))
        inside = look.mask.filter(ImageFilter.GaussianBlur(size / 28))
        rim = ImageChops.subtract(look.mask, toned(inside, lambda v: (v - 110) * 2))
        light = ImageChops.add(toned(grey, lambda v: 40 + v / 3), toned(rim, lambda v: v / 2))
        picture = ImageOps.colorize(light, black=(4, 8, 16), mid=(70, 120, 165), white=(225, 245, 255))
        picture.putalpha(look.mask)
        return Look(ground=blank(size, (4, 8, 16)), figure=picture)

    return Change(says=("as an x-ray", "show it as an x-ray picture"), apply=exposed)


@picture_rule("cast-shadow", "structural", "the light comes from the side that is named", figure=True)
def cast_shadow(rng: Random) -> Change:
    side, dx, dy = rng.choice(
        (
            ("top left", 1, 1),
            ("top right", -1, 1),
            ("bottom left", 1, -1),
            ("bottom right", -1, -1),
        )
    )

    def shaded(look: Look) -> Look:
        size = look.size_px
        shade = Image.new("L", (size, size), 0)
        shade.paste(look.mask, (dx * size // 9, dy * size // 9))
        soft = toned(shade.filter(ImageFilter.GaussianBlur(size / 90)), lambda v: v * 0.55)
        ground = look.ground.copy()
        ground.paste((20, 20, 40), (0, 0, size, size), soft)
        return Look(ground=ground, figure=look.figure)

    return Change(
        says=(f"light from the {side}: add the shadow", f"cast a shadow, the lamp is at the {side}"), apply=shaded
    )


@picture_rule("frame", "structural", "a frame of the named colour around the picture")
def frame(rng: Random) -> Change:
    name = rng.choice([hue for hue in COLOURS if hue != "white"])

    def framed(look: Look) -> Look:
        picture = look.render()
        width = look.size_px // 12
        inner = picture.crop((width, width, look.size_px - width, look.size_px - width))
        return Look.flat(ImageOps.expand(inner, width, COLOURS[name]), look.mask)

    return Change(says=(f"put {with_article(name)} frame around it", f"add {with_article(name)} border"), apply=framed)


@picture_rule("stitched", "structural", "the picture as cross stitches on linen")
def stitched(rng: Random) -> Change:  # noqa: ARG001
    def sewn(look: Look) -> Look:
        count, size = 16, look.size_px
        pitch = size // count
        threads = look.render().resize((count, count), Image.Resampling.BOX)
        coloured = threads.resize((pitch * count, pitch * count), Image.Resampling.NEAREST)
        y, x = np.mgrid[0:pitch, 0:pitch] / (pitch - 1)
        one = (np.minimum(np.abs(x - y), np.abs(x + y - 1)) < 0.24).astype(np.uint8) * 255
        stitches = Image.fromarray(np.tile(one, (count, count)))
        linen = blank(size, (226, 214, 190))
        linen.paste(coloured, (0, 0), stitches)
        return Look.flat(linen)

    return Change(says=("as cross-stitch embroidery", "stitch it on linen with crosses"), apply=sewn)


@picture_rule("halftone", "structural", "the picture as printed dots, larger where it is dark")
def halftone(rng: Random) -> Change:  # noqa: ARG001
    def printed(look: Look) -> Look:
        count, size = 16, look.size_px
        pitch = size // count
        grey = ImageOps.autocontrast(look.render().convert("L").resize((count, count), Image.Resampling.BOX))
        darkness = 0.95 - 0.9 * np.asarray(grey) / 255
        y, x = np.mgrid[0:pitch, 0:pitch] + 0.5 - pitch / 2
        reach = np.tile(np.hypot(x, y), (count, count))
        radius = np.kron(np.sqrt(darkness) * pitch * 0.62, np.ones((pitch, pitch)))
        ink = ((radius - reach + 0.5).clip(0, 1) * 255).astype(np.uint8)
        paper = blank(pitch * count, (250, 246, 236))
        paper.paste((30, 36, 70), (0, 0, *paper.size), Image.fromarray(ink))
        return Look.flat(paper.resize((size, size)) if paper.width != size else paper)

    return Change(says=("as halftone dots", "print it with dots that grow where it is dark"), apply=printed)


RULES = (halftone, silhouette, outline, sticker, pixelate, x_ray, cast_shadow, frame, stitched)
