"""Storyboards and sets: one character in many shots, one mark on many things, a subject put into a scene."""

import re
from random import Random

from PIL import Image, ImageOps

from triptych.data.brush import Brush
from triptych.data.drawing import PALE, Colour, blank, fitted, place
from triptych.data.places import PLACES
from triptych.data.rules.base import Draft, Mark, page_rule, with_article
from triptych.data.rules.verifiers import all_of, cells, ground_colour, near
from triptych.data.scenes import Framing, Light, Shot, Side, compose_shot, paint
from triptych.data.sources import Source, Sprite, actor
from triptych.page import Page, Panel, Role, condition, slot

__all__ = ["RULES", "portrait", "thing"]

_SCENE = cells(8, 8, tolerance=0.1, margin=0.0)
"""Every one of 64 cells: the smallest character covers about six, the jitter of a place changes none by as much."""


_CREATURES = re.compile(
    r"(^|-)(man|woman|boy|girl|person|child|baby|cat|dog|fox|lion|tiger|monkey|gorilla|bear|panda|koala|rabbit|frog|cow|pig|"
    r"horse|mouse|hamster|wolf|raccoon|sheep|goat|llama|camel|elephant|giraffe|zebra|deer|duck|chicken|rooster|owl|eagle|"
    r"parrot|penguin|dove|swan|turtle|lizard|snake|dragon|dinosaur|sauropod|whale|dolphin|fish|shark|octopus|crab|snail|"
    r"butterfly|bee|ladybug|spider|unicorn|robot|alien|ghost|snowman|astronaut|fairy|mermaid|merman|genie|mage|vampire|"
    r"zombie|elf|superhero|prince|princess|ninja|face|clown|ogre|goblin|kangaroo|sloth|otter|skunk|badger|bat|bird)(-|$)"
)


def hero(source: Source, rng: Random) -> Sprite:
    """A character: a person, an animal or another creature where the source has one, otherwise any object."""
    found = actor(source, rng)
    for _ in range(8):
        if _CREATURES.search(found.name):
            break
        found = actor(source, rng)
    return found


def portrait(sprite: Sprite, size_px: int, share: float = 0.8, colour: Colour = (255, 255, 255)) -> Image.Image:
    """The object alone in the middle of a plain ground."""
    picture = blank(size_px, colour)
    place(picture, fitted(sprite.picture, round(size_px * share)), (size_px / 2, size_px / 2))
    return picture


def _shots(rng: Random, count: int) -> tuple[Shot, ...]:
    """Shots that differ in place or framing; a light other than noon half of the time."""
    names = rng.sample(list(PLACES), count) if rng.random() < 0.7 else [rng.choice(list(PLACES))] * count
    framings = [*rng.sample(list(Framing), 3), rng.choice(list(Framing))]
    return tuple(
        Shot(
            place=name,
            framing=framings[index % 4],
            light=rng.choice(list(Light)) if rng.random() < 0.6 else Light.NOON,
            side=rng.choice(list(Side)),
        )
        for index, name in enumerate(names)
    )


@page_rule("storyboard", "temporal", "one character through several shots, each with its own words", check=_SCENE)
def storyboard(rng: Random, source: Source) -> Draft:
    shots = _shots(rng, rng.choice((1, 2, 3, 3, 4)))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        character, jitter = hero(source, rng), rng.randrange(1 << 30)
        slots = tuple(
            slot(shot.words, answer=compose_shot(character.picture, shot, Random(f"{jitter}:{shot.place}"), size_px))
            for shot in shots
        )
        return Page(panels=(condition(portrait(character, size_px)), *slots), overview=instruction)

    return Draft(says=("a storyboard of this character", "the same character in every shot"), compose=compose)


_POSES = ("upright", "mirrored", "upside down", "leaning left", "leaning right", "lying on its side", "tiny")


def _posed(figure: Image.Image, pose: str) -> Image.Image:
    match pose:
        case "mirrored":
            return ImageOps.mirror(figure)
        case "upside down":
            return ImageOps.flip(figure)
        case "leaning left":
            return figure.rotate(25, Image.Resampling.BICUBIC, expand=True)
        case "leaning right":
            return figure.rotate(-25, Image.Resampling.BICUBIC, expand=True)
        case "lying on its side":
            return figure.transpose(Image.Transpose.ROTATE_90)
        case _:
            return figure


@page_rule("identity-set", "temporal", "one character in many poses and places", check=_SCENE)
def identity_set(rng: Random, source: Source) -> Draft:
    count = rng.choice((2, 3, 4))
    plan = tuple(zip(rng.sample(_POSES, count), rng.sample(list(PLACES), count), strict=True))

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        character = hero(source, rng)
        slots: list[Panel] = []
        for pose, name in plan:
            framing = Framing.WIDE if pose == "tiny" else Framing.MEDIUM
            shot = Shot(place=name, framing=framing)
            answer = compose_shot(_posed(character.picture, pose), shot, rng, size_px)
            slots.append(slot(f"{pose}, {PLACES[name].words}", answer=answer))
        return Page(panels=(condition(portrait(character, size_px)), *slots), overview=instruction)

    return Draft(says=("the same character in many poses and places", "one character, many pictures"), compose=compose)


def thing(name: str, size_px: int, ground: Colour) -> tuple[Image.Image, tuple[float, float, float]]:
    """A white thing on a plain ground, and where its mark goes: centre x, y and side, in 0..1."""
    b = Brush(size_px, ground, ground)
    white, shade, dark = (250, 250, 250), (222, 224, 230), (60, 62, 72)
    match name:
        case "mug":
            b.disc(0.78, 0.52, 0.15, shade)
            b.disc(0.78, 0.52, 0.09, ground)
            b.rect(0.2, 0.22, 0.76, 0.84, white)
            b.disc(0.48, 0.22, 0.28, shade, 0.05)
            return b.done(), (0.48, 0.55, 0.4)
        case "t-shirt":
            b.poly([(0.3, 0.16), (0.06, 0.34), (0.16, 0.5), (0.28, 0.42), (0.72, 0.42), (0.84, 0.5)], white)
            b.poly([(0.3, 0.16), (0.7, 0.16), (0.94, 0.34), (0.84, 0.5), (0.72, 0.42), (0.28, 0.42)], white)
            b.rect(0.28, 0.3, 0.72, 0.9, white)
            b.disc(0.5, 0.15, 0.12, ground, 0.07)
            return b.done(), (0.5, 0.52, 0.34)
        case "bag":
            b.line([(0.34, 0.36), (0.36, 0.12), (0.64, 0.12), (0.66, 0.36)], shade, 0.045)
            b.poly([(0.2, 0.32), (0.8, 0.32), (0.84, 0.92), (0.16, 0.92)], white)
            return b.done(), (0.5, 0.62, 0.42)
        case "phone":
            b.rect(0.28, 0.06, 0.72, 0.94, dark)
            b.rect(0.31, 0.12, 0.69, 0.88, white)
            return b.done(), (0.5, 0.46, 0.3)
        case "sign":
            b.rect(0.47, 0.5, 0.53, 0.98, dark)
            b.rect(0.12, 0.08, 0.88, 0.62, dark)
            b.rect(0.15, 0.11, 0.85, 0.59, white)
            return b.done(), (0.5, 0.35, 0.4)
        case "flag":
            b.rect(0.12, 0.06, 0.17, 0.98, dark)
            b.poly([(0.17, 0.1), (0.5, 0.14), (0.92, 0.08), (0.92, 0.62), (0.5, 0.68), (0.17, 0.64)], white)
            return b.done(), (0.52, 0.38, 0.4)
        case _:
            b.poly([(0.16, 0.36), (0.3, 0.22), (0.92, 0.22), (0.78, 0.36)], shade)
            b.poly([(0.78, 0.36), (0.92, 0.22), (0.92, 0.76), (0.78, 0.9)], (200, 202, 210))
            b.rect(0.16, 0.36, 0.78, 0.9, white)
            return b.done(), (0.47, 0.63, 0.4)


_THINGS = ("mug", "t-shirt", "bag", "phone", "sign", "flag", "box")


def _mark_on_thing(slot: Panel) -> tuple[Mark, ...]:
    found = re.match(r"on a ([a-z-]+),", slot.instruction)
    if not found or found[1] not in _THINGS:
        return ()
    _, (x, y, side) = thing(found[1], 16, (0, 0, 0))
    return (Mark(box=(x - side / 2, y - side / 2, x + side / 2, y + side / 2)),)


@page_rule(
    "brand-set",
    "temporal",
    "one mark on several things",
    check=all_of(_SCENE, ground_colour()),
    marks=_mark_on_thing,
)
def brand_set(rng: Random, source: Source) -> Draft:
    things = rng.sample(_THINGS, rng.choice((2, 3, 4)))
    hue = rng.choice([name for name in PALE if name != "white"])

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        mark = actor(source, rng)
        slots: list[Panel] = []
        for name in things:
            picture, (x, y, side) = thing(name, size_px, PALE[hue])
            place(picture, fitted(mark.picture, round(side * size_px)), (x * size_px, y * size_px))
            slots.append(slot(f"on {with_article(name)}, {hue} background", answer=picture))
        return Page(panels=(condition(portrait(mark, size_px)), *slots), overview=instruction)

    return Draft(says=("the mark on several things", "a brand set with this mark"), compose=compose)


@page_rule("subject-into-scene", "compositional", "a subject and an empty scene become one picture")
def subject_into_scene(rng: Random, source: Source) -> Draft:
    side, framing = rng.choice(list(Side)), rng.choice((Framing.WIDE, Framing.MEDIUM))
    size_word = "small" if framing is Framing.WIDE else "large"

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        subject, jitter = actor(source, rng), rng.randrange(1 << 30)
        light = rng.choice(list(Light)) if rng.random() < 0.4 else Light.NOON
        shot = Shot(place=rng.choice(list(PLACES)), framing=framing, light=light, side=side)
        empty = paint(shot.place, Random(jitter), size_px, light)
        whole = compose_shot(subject.picture, shot, Random(jitter), size_px)
        return Page(
            panels=(
                condition(portrait(subject, size_px)),
                condition(empty, role=Role.EDIT),
                slot(instruction, answer=whole),
            )
        )

    where = side.value
    return Draft(
        says=(
            f"put the subject into the scene, {size_word}, {where}",
            f"the subject {where} of the scene, {size_word}",
            f"place it {where}, {size_word}",
        ),
        compose=compose,
    )


@page_rule(
    "time-of-day",
    "temporal",
    "the same place at another hour",
    check=all_of(near(), cells(8, 8, tolerance=0.08, margin=0.0)),
)
def time_of_day(rng: Random, source: Source) -> Draft:
    before, after = rng.sample(list(Light), 2)

    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        character, jitter = hero(source, rng), rng.randrange(1 << 30)
        name, framing, side = rng.choice(list(PLACES)), rng.choice(list(Framing)), rng.choice(list(Side))

        def view(light: Light) -> Image.Image:
            shot = Shot(place=name, framing=framing, light=light, side=side)
            return compose_shot(character.picture, shot, Random(jitter), size_px)

        return Page(panels=(condition(view(before), role=Role.EDIT), slot(instruction, answer=view(after))))

    return Draft(says=(f"the same place {after.value}", f"hours later, {after.value}"), compose=compose)


RULES = (storyboard, identity_set, brand_set, subject_into_scene, time_of_day)
