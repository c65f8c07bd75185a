"""The judge of shots: right on the engine's own pictures, and not fooled by another character, place or framing."""

from dataclasses import replace
from random import Random

import pytest
from PIL import Image, ImageFilter

from triptych.data.drawing import COLOURS
from triptych.data.places import PLACES
from triptych.data.rules.storyboard import portrait
from triptych.data.scenes import Framing, Light, Shot, Side, compose_shot
from triptych.data.shapes import draw_shape
from triptych.data.sources import Sprite
from triptych.evaluation.storyboards import ShotJudge, figure_of, shot_of
from triptych.page import Page, condition, slot

SHOT = Shot(place="beach", framing=Framing.MEDIUM, light=Light.DUSK, side=Side.LEFT)


def _figure(name: str, hue: str) -> Image.Image:
    return draw_shape(name, "shape-framed", COLOURS[hue])


def _portrait(name: str, hue: str) -> Image.Image:
    sprite = Sprite(name=name, style="shape-framed", picture=_figure(name, hue), words=("framed style",))
    return portrait(sprite, 128)


@pytest.fixture(scope="module")
def judge() -> ShotJudge:
    page = Page(panels=(condition(_portrait("star", "red")), slot(SHOT.words)))
    others = [_portrait(name, hue) for name in ("star", "heart", "house") for hue in ("blue", "green")]
    return ShotJudge(page, [*others, _portrait("heart", "red")])


def _drawn(shot: Shot, name: str = "star", hue: str = "red") -> Image.Image:
    return compose_shot(_figure(name, hue), shot, Random(5), 128)


def test_judge_right_picture_soft_or_not_is_right(judge: ShotJudge) -> None:
    for picture in (_drawn(SHOT), _drawn(SHOT).filter(ImageFilter.GaussianBlur(2))):
        score = judge.score([picture])[0]
        assert (score.character, score.place, score.framing) == (True, True, True)


@pytest.mark.parametrize(("name", "hue"), [("heart", "red"), ("star", "blue")])
def test_judge_another_character_is_not_the_hero(judge: ShotJudge, name: str, hue: str) -> None:
    score = judge.score([_drawn(SHOT, name, hue)])[0]
    assert not score.character
    assert score.place


@pytest.mark.parametrize("place", [name for name in PLACES if name != "beach"])
def test_judge_another_place_is_seen(judge: ShotJudge, place: str) -> None:
    assert not judge.score([_drawn(replace(SHOT, place=place))])[0].place


@pytest.mark.parametrize("framing", [Framing.WIDE, Framing.CLOSE])
def test_judge_another_framing_is_seen(judge: ShotJudge, framing: Framing) -> None:
    score = judge.score([_drawn(replace(SHOT, framing=framing))])[0]
    assert score.place and not score.framing


def test_judge_slots_without_a_shot_are_passed_over() -> None:
    page = Page(panels=(condition(_portrait("star", "red")), slot("a poem"), slot(SHOT.words)))
    assert len(ShotJudge(page, []).score([_drawn(SHOT)] * 2)) == 1


@pytest.mark.parametrize("framing", list(Framing))
@pytest.mark.parametrize("side", list(Side))
def test_shot_of_words_is_the_inverse_of_words(framing: Framing, side: Side) -> None:
    for place in PLACES:
        for light in Light:
            shot = Shot(place=place, framing=framing, light=light, side=side)
            assert shot_of(shot.words) == shot
    assert shot_of("wide shot, on the moon") is None


def test_figure_of_keeps_white_inside_and_drops_the_paper() -> None:
    paper = Image.new("RGB", (64, 64), (255, 255, 255))
    paper.paste((200, 30, 30), (16, 16, 48, 48))
    paper.paste((255, 255, 255), (24, 24, 40, 40))
    found = figure_of(paper)
    assert found.size == (32, 32)
    assert found.getchannel("A").getextrema() == (255, 255)
