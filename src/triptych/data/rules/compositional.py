"""Compositional rules: known objects are put, moved, taken away, repeated, counted and sorted."""

from random import Random

from PIL import Image, ImageDraw, ImageOps

from triptych.data.drawing import COLOURS, PALE, Colour, blank, filled, stamp
from triptych.data.rules.base import Draft, page_rule
from triptych.data.rules.storyboard import portrait
from triptych.data.rules.verifiers import all_of, cells, ground_colour, near
from triptych.data.sources import Source, Sprite, actor, actors
from triptych.page import Page, Role, condition, slot

__all__ = ["RULES"]

_ON_NAMED = all_of(near(share=0.1), ground_colour())
_PALE = tuple(PALE.values())
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _arranged(size_px: int, colour: Colour, things: list[tuple[Sprite, float, float, float]]) -> Image.Image:
    """Objects at (x, y) with their longer side, all in units of the picture, on a plain ground."""
    picture = blank(size_px, colour)
    for sprite, x, y, side in things:
        stamp(picture, sprite.picture, x, y, side)
    return picture


def _edit(given: Image.Image, instruction: str, answer: Image.Image) -> Page:
    return Page(panels=(condition(given, role=Role.EDIT), slot(instruction, answer=answer)))


@page_rule("put-there", "compositional", "the subject comes to the place that is marked with a cross")
def put_there(rng: Random, source: Source) -> Draft:
    side = rng.choice((0.32, 0.45))
    word = "small" if side < 0.4 else "large"

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        subject, other = actors(source, rng, 2)
        colour = rng.choice(_PALE)
        x, y = rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.75)
        far = (0.2 if x > 0.5 else 0.8, 0.2 if y > 0.5 else 0.8)
        scene = _arranged(size_px, colour, [(other, *far, 0.3)])
        marked, arm = scene.copy(), 0.06
        pen = ImageDraw.Draw(marked)
        for dx in (-arm, arm):
            ends = ((x - dx) * size_px, (y - arm) * size_px, (x + dx) * size_px, (y + arm) * size_px)
            pen.line(ends, fill=COLOURS["red"], width=max(2, size_px // 28))
        stamp(scene, subject.picture, x, y, side)
        panels = (condition(portrait(subject, size_px)), condition(marked, role=Role.EDIT))
        return Page(panels=(*panels, slot(instruction, answer=scene)))

    return Draft(
        says=(f"put the subject on the cross, {word}", f"the subject, {word}, where the cross is"), compose=compose
    )


@page_rule("swap", "compositional", "two objects change places")
def swap(rng: Random, source: Source) -> Draft:
    upright = rng.random() < 0.5
    spots = ((0.5, 0.27), (0.5, 0.73)) if upright else ((0.27, 0.5), (0.73, 0.5))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        first, second = actors(source, rng, 2)
        colour = rng.choice(_PALE)
        before = _arranged(size_px, colour, [(first, *spots[0], 0.42), (second, *spots[1], 0.42)])
        after = _arranged(size_px, colour, [(second, *spots[0], 0.42), (first, *spots[1], 0.42)])
        return _edit(before, instruction, after)

    return Draft(says=("swap the two objects", "let the two objects change places"), compose=compose)


_SPOTS = {"on the left": (0.25, 0.68), "on the right": (0.75, 0.68), "at the top": (0.5, 0.25)}


@page_rule("remove", "compositional", "one of three objects is taken away, by its place or by its name")
def remove(rng: Random, source: Source) -> Draft:
    by_name, place_words = rng.random() < 0.5, rng.choice(list(_SPOTS))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        found = dict(zip(_SPOTS, actors(source, rng, 3), strict=True))
        gone = rng.choice(list(_SPOTS)) if by_name else place_words
        colour = rng.choice(_PALE)
        things = {spot: (sprite, *_SPOTS[spot], 0.4) for spot, sprite in found.items()}
        words = f"remove the {found[gone].label}" if by_name else instruction
        after = _arranged(size_px, colour, [thing for spot, thing in things.items() if spot != gone])
        return _edit(_arranged(size_px, colour, list(things.values())), words, after)

    says = (f"remove the object {place_words}", f"take away what is {place_words}")
    return Draft(says=says, compose=compose)


def _grid(size_px: int, colour: Colour, sprites: list[Sprite | None], columns: int) -> Image.Image:
    """Objects in reading order in a square grid; None leaves a cell empty."""
    step = 1 / columns
    things = [
        (sprite, (index % columns + 0.5) * step, (index // columns + 0.5) * step, step * 0.78)
        for index, sprite in enumerate(sprites)
        if sprite is not None
    ]
    return _arranged(size_px, colour, things)


@page_rule("pattern", "compositional", "the subject repeated to a pattern on a named colour", check=_ON_NAMED)
def pattern(rng: Random, source: Source) -> Draft:
    count, hue = rng.choice((3, 4)), rng.choice(list(PALE))
    turned = rng.random() < 0.5
    word = _WORDS[count]

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        subject = actor(source, rng)
        flipped = Sprite(name="", style="", picture=ImageOps.mirror(subject.picture), words=())
        cast = [flipped if turned and (i // count + i) % 2 else subject for i in range(count * count)]
        answer = _grid(size_px, PALE[hue], [*cast], count)
        return Page(panels=(condition(portrait(subject, size_px)), slot(instruction, answer=answer)))

    extra = ", every other one mirrored" if turned else ""
    return Draft(
        says=(f"a {word} by {word} pattern on {hue}{extra}", f"repeat it {word} by {word} on {hue}{extra}"),
        compose=compose,
    )


@page_rule("checkerboard", "compositional", "two subjects take turns on a board")
def checkerboard(rng: Random, source: Source) -> Draft:
    count = rng.choice((3, 4))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        pair, colour = actors(source, rng, 2), rng.choice(_PALE)
        answer = _grid(size_px, colour, [pair[(i // count + i) % 2] for i in range(count * count)], count)
        subjects = (condition(portrait(sprite, size_px, 0.8, colour)) for sprite in pair)
        return Page(panels=(*subjects, slot(instruction, answer=answer)))

    word = _WORDS[count]
    return Draft(
        says=(f"a {word} by {word} checkerboard of the two", f"alternate the two, {word} by {word}"), compose=compose
    )


@page_rule("line-up", "compositional", "three subjects side by side in the order they are given")
def line_up(rng: Random, source: Source) -> Draft:
    backwards = rng.random() < 0.3

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        cast, colour = actors(source, rng, 3), rng.choice(_PALE)
        order = cast[::-1] if backwards else cast
        answer = _arranged(size_px, colour, [(s, 0.18 + 0.32 * i, 0.55, 0.3) for i, s in enumerate(order)])
        subjects = (condition(portrait(sprite, size_px, 0.8, colour)) for sprite in cast)
        return Page(panels=(*subjects, slot(instruction, answer=answer)))

    order = ", last one first" if backwards else ""
    return Draft(says=(f"the three in a row{order}", f"line them up side by side{order}"), compose=compose)


@page_rule("complete-symmetry", "compositional", "half a picture becomes a symmetric whole")
def complete_symmetry(rng: Random, source: Source) -> Draft:
    sideways = rng.random() < 0.7
    flip = ImageOps.mirror if sideways else ImageOps.flip

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        look, half = source.look(rng, size_px, figure=False).render(), size_px // 2
        kept = (0, 0, half, size_px) if sideways else (0, 0, size_px, half)
        given = blank(size_px)
        given.paste(look.crop(kept), (0, 0))
        answer = flip(given.copy())
        answer.paste(given.crop(kept), (0, 0))
        return _edit(given, instruction, answer)

    where = "right" if sideways else "lower"
    return Draft(
        says=(f"complete the symmetry: the {where} half mirrors the other", f"mirror it into the {where} half"),
        compose=compose,
    )


def _row(size_px: int, colour: Colour, items: list[tuple[Sprite, float]]) -> Image.Image:
    return _arranged(size_px, colour, [(s, 0.14 + 0.24 * i, 0.5, side) for i, (s, side) in enumerate(items)])


def _shuffled(rng: Random, count: int) -> list[int]:
    """A random order that is not sorted in either direction."""
    order = list(range(count))
    while order in (sorted(order), sorted(order, reverse=True)):
        rng.shuffle(order)
    return order


@page_rule("sort-by-size", "compositional", "a row of objects sorted by size")
def sort_by_size(rng: Random, source: Source) -> Draft:
    rising, mixed = rng.random() < 0.6, rng.random() < 0.5

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        cast = actors(source, rng, 4) if mixed else [actor(source, rng)] * 4
        items = list(zip(cast, (0.09, 0.135, 0.18, 0.225), strict=True))
        colour = rng.choice(_PALE)
        given = _row(size_px, colour, [items[i] for i in _shuffled(rng, 4)])
        return _edit(given, instruction, _row(size_px, colour, items if rising else items[::-1]))

    order = "from small to large" if rising else "from large to small"
    return Draft(says=(f"sort them by size, {order}", f"order the objects {order}"), compose=compose)


@page_rule("sort-by-colour", "compositional", "a row of objects in shades of one colour, sorted by lightness")
def sort_by_colour(rng: Random, source: Source) -> Draft:
    darker = rng.random() < 0.5

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        base = COLOURS[rng.choice(("red", "green", "blue", "purple", "teal", "brown"))]
        shape = source.sprite(rng).picture
        items: list[tuple[Sprite, float]] = []
        for share in (0.75, 0.45, 0.15, -0.35):
            end = 255 if share > 0 else 0
            shade = (
                round(base[0] + (end - base[0]) * abs(share)),
                round(base[1] + (end - base[1]) * abs(share)),
                round(base[2] + (end - base[2]) * abs(share)),
            )
            items.append((Sprite(name="", style="", picture=filled(shape, shade), words=()), 0.22))
        given = _row(size_px, (255, 255, 255), [items[i] for i in _shuffled(rng, 4)])
        return _edit(given, instruction, _row(size_px, (255, 255, 255), items if darker else items[::-1]))

    order = "from light to dark" if darker else "from dark to light"
    return Draft(says=(f"sort them {order}", f"order by shade, {order}"), compose=compose)


def dots_card(size_px: int, count: int, rng: Random, colour: Colour = (30, 32, 40)) -> Image.Image:
    """A white card with `count` dots at random places of a loose grid."""
    card = blank(size_px * 2)
    pen = ImageDraw.Draw(card)
    for cell in rng.sample(range(16), count):
        x, y = ((cell % 4 + 0.5) / 4 + rng.uniform(-0.03, 0.03), (cell // 4 + 0.5) / 4 + rng.uniform(-0.03, 0.03))
        side = size_px * 2
        pen.ellipse(((x - 0.07) * side, (y - 0.07) * side, (x + 0.07) * side, (y + 0.07) * side), fill=colour)
    return card.reduce(2)


@page_rule(
    "count-and-draw",
    "compositional",
    "as many of the subject as there are dots on the card",
    check=all_of(_ON_NAMED, cells(3, 3, tolerance=0.12, margin=0.1)),
)
def count_and_draw(rng: Random, source: Source) -> Draft:
    hue = rng.choice(list(PALE))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        subject, count = actor(source, rng), rng.randint(1, 9)
        answer = _grid(size_px, PALE[hue], [subject if i < count else None for i in range(9)], 3)
        card = condition(dots_card(size_px, count, rng), role=Role.CONTROL)
        return Page(panels=(condition(portrait(subject, size_px)), card, slot(instruction, answer=answer)))

    says = (f"as many as there are dots, on {hue}", f"count the dots and draw that many on {hue}")
    return Draft(says=says, compose=compose)


RULES = (
    put_there,
    swap,
    remove,
    pattern,
    checkerboard,
    line_up,
    complete_symmetry,
    sort_by_size,
    sort_by_colour,
    count_and_draw,
)
