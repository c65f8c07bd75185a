"""From words, styles and drafts to pictures: restyle, text to picture, control, inpainting, sets, per-panel."""

from random import Random

from PIL import Image, ImageDraw, ImageFilter

from triptych.data.drawing import COLOURS, PALE, Colour, Look, blank, clear, contrast, fitted, flat_ground, place
from triptych.data.rules import geometric, photometric, structural
from triptych.data.rules.base import Draft, Rule, page_rule, with_article
from triptych.data.rules.verifiers import alike, all_of, ground_colour
from triptych.data.sources import Source, Sprite, actor
from triptych.page import Page, Role, condition, slot

__all__ = ["RULES"]

_NAMED = all_of(alike(), ground_colour())


def _whole(sprite: Sprite, size_px: int, share: float, centre: tuple[float, float]) -> Image.Image:
    """The sprite's full canvas (not its drawn part), so that one object's styles stay aligned; an RGBA layer."""
    layer, side = clear(size_px), round(size_px * share)
    figure = sprite.picture.resize((side, side), Image.Resampling.BICUBIC)
    place(layer, figure, (centre[0] * size_px, centre[1] * size_px))
    return layer


@page_rule("restyle", "structural", "the same object drawn in another style")
def restyle(rng: Random, source: Source) -> Draft:
    before, after = source.style_pair(rng)
    words = source.twins(rng, (before, after))[1].words

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        pair = source.twins(rng, (before, after))
        quiet = [c for c in PALE.values()] if any(sprite.ink for sprite in pair) else [flat_ground(rng)]
        colour, share = rng.choice(quiet), rng.uniform(0.72, 0.95)
        centre = (0.5 + rng.uniform(-0.04, 0.04), 0.5 + rng.uniform(-0.04, 0.04))
        first, second = (
            Look(ground=blank(size_px, colour), figure=_whole(sprite, size_px, share, centre)).render()
            for sprite in pair
        )
        return Page(panels=(condition(first, role=Role.EDIT), slot(instruction, answer=second)))

    says = tuple(f"{start} in {word}" for word in words for start in ("the same", "redraw it", "draw this object"))
    return Draft(says=says, compose=compose)


def _described(sprite: Sprite, rng: Random, hue: str, colour: Colour, size_px: int) -> tuple[str, Image.Image]:
    """One named object in the middle of a named colour, and the words that determine the picture."""
    name = sprite.label
    if sprite.ink:
        ink = rng.choice([name for name in COLOURS if contrast(COLOURS[name], colour) > 0.4])
        sprite, name = sprite.tinted(COLOURS[ink]), f"{ink} {name}"
    picture = blank(size_px, colour)
    place(picture, fitted(sprite.picture, round(size_px * 0.75)), (size_px / 2, size_px / 2))
    words = f"{with_article(name)} in {rng.choice(sprite.words)} on {with_article(hue)} background"
    return words, picture


@page_rule("text-to-picture", "symbolic", "a picture from words alone: object, style and background", check=_NAMED)
def text_to_picture(rng: Random, source: Source) -> Draft:  # noqa: ARG001
    def compose(rng: Random, size_px: int, instruction: str) -> Page:  # noqa: ARG001
        hue, colour = rng.choice(list({**PALE, **COLOURS}.items()))
        words, picture = _described(source.sprite(rng), rng, hue, colour, size_px)
        return Page(panels=(slot(words, answer=picture),))

    return Draft(says=("draw what the words say",), compose=compose)


@page_rule("style-set", "symbolic", "several named objects of one style and palette, from words alone", check=_NAMED)
def style_set(rng: Random, source: Source) -> Draft:
    count = rng.choice((2, 3, 4))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        hue, colour = rng.choice(list(PALE.items()))
        style = source.sprite(rng).style
        found = [_described(source.sprite(rng, style=style), rng, hue, colour, size_px) for _ in range(count)]
        return Page(panels=tuple(slot(words, answer=picture) for words, picture in found), overview=instruction)

    return Draft(says=("a set of pictures in one style", "pictures that belong together"), compose=compose)


def _control(rng: Random, source: Source, draft: Rule) -> Draft:
    """Pages that give the picture made by `draft` and ask for the picture it was made from."""
    change = draft.make(rng, source).change
    assert change is not None

    def compose(rng: Random, size_px: int, instruction: str) -> Page:  # noqa: ARG001
        sprite = actor(source, rng)
        hue, colour = rng.choice(list(PALE.items()))
        side = rng.uniform(0.55, 0.85)
        look = Look(ground=blank(size_px, colour), figure=clear(size_px))
        slack = (1 - side) / 2
        centre = (0.5 + rng.uniform(-slack, slack), 0.5 + rng.uniform(-slack, slack))
        figure = fitted(sprite.picture, round(side * size_px))
        place(look.figure, figure, (centre[0] * size_px, centre[1] * size_px))
        words = f"{sprite.label} in {rng.choice(sprite.words)} on {with_article(hue)} background"
        given = condition(change.apply(look).render(), role=Role.CONTROL)
        return Page(panels=(given, slot(words, answer=look.render())))

    return Draft(says=("paint the drawing as the words say",), compose=compose)


@page_rule("silhouette-to-object", "structural", "a silhouette and words become the object")
def silhouette_to_object(rng: Random, source: Source) -> Draft:
    return _control(rng, source, structural.silhouette)


@page_rule("lines-to-object", "structural", "a line drawing and words become the object")
def lines_to_object(rng: Random, source: Source) -> Draft:
    return _control(rng, source, structural.outline)


def _hatched(size_px: int) -> Image.Image:
    paper = blank(size_px, (176, 176, 180))
    pen = ImageDraw.Draw(paper)
    for start in range(-size_px, size_px, max(4, size_px // 16)):
        pen.line((start, size_px, start + size_px, 0), fill=(120, 120, 126), width=max(1, size_px // 64))
    return paper


@page_rule("inpaint", "structural", "the hatched hole is filled")
def inpaint(rng: Random, source: Source) -> Draft:  # noqa: ARG001
    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        whole = source.look(rng, size_px, figure=False).render()
        wide, high = (rng.uniform(0.25, 0.5) * size_px for _ in range(2))
        left, top = rng.uniform(0.15, 0.85) * size_px - wide / 2, rng.uniform(0.15, 0.85) * size_px - high / 2
        hole = Image.new("L", (size_px, size_px), 0)
        box = (left, top, left + wide, top + high)
        pen = ImageDraw.Draw(hole)
        pen.ellipse(box, fill=255) if rng.random() < 0.5 else pen.rectangle(box, fill=255)
        given = Image.composite(_hatched(size_px), whole, hole)
        return Page(panels=(condition(given, role=Role.EDIT), slot(instruction, answer=whole)))

    return Draft(says=("fill the hole", "restore the missing part", "complete the picture"), compose=compose)


@page_rule("sharpen", "photometric", "a blurred picture becomes sharp")
def sharpen(rng: Random, source: Source) -> Draft:
    blur = rng.uniform(0.012, 0.024)

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        whole = source.look(rng, size_px, figure=False).render()
        given = whole.filter(ImageFilter.GaussianBlur(size_px * blur))
        return Page(panels=(condition(given, role=Role.EDIT), slot(instruction, answer=whole)))

    return Draft(says=("sharpen it", "remove the blur", "bring it into focus"), compose=compose)


# None of the held-out rules: pages of this rule are trained on.
_PANEL_MAPS = (
    photometric.posterise,
    photometric.grayscale,
    photometric.tint,
    photometric.background_colour,
    photometric.day_to_night,
    geometric.mirror,
    geometric.rotate,
    geometric.tile,
    geometric.zoom_in,
    structural.silhouette,
    structural.outline,
    structural.frame,
)


@page_rule("per-panel", "compositional", "one picture, several slots, each with an instruction of its own")
def per_panel(rng: Random, source: Source) -> Draft:
    maps = rng.sample(_PANEL_MAPS, rng.choice((2, 3, 4)))
    changes = [rule.make(rng, source).change for rule in maps]
    plan = [(rng.choice(change.says), change.apply) for change in changes if change is not None]

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        look = source.look(rng, size_px)
        slots = tuple(slot(words, answer=apply(look).render()) for words, apply in plan)
        return Page(panels=(condition(look.render(), role=Role.EDIT), *slots), overview=instruction)

    return Draft(says=("variations of one picture, one for each instruction",), compose=compose)


RULES = (
    restyle,
    text_to_picture,
    style_set,
    silhouette_to_object,
    lines_to_object,
    inpaint,
    sharpen,
    per_panel,
)
