"""Places and shots: what the words say is what the picture shows."""

from itertools import combinations
from random import Random

import numpy as np
import pytest
from PIL import Image

from triptych.data.places import PLACES
from triptych.data.scenes import Framing, Light, Shot, Side, compose_shot, paint

RED = Image.new("RGBA", (64, 64), (255, 0, 0, 255))


def _small(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.resize((8, 8), Image.Resampling.BOX), dtype=float)


def _red(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture, dtype=int)
    return (pixels[..., 0] > 240) & (pixels[..., 1] < 15) & (pixels[..., 2] < 15)


def test_paint_every_two_places_differ_more_than_the_jitter_of_one() -> None:
    views = {name: [_small(paint(name, Random(seed), 64)) for seed in (0, 1)] for name in PLACES}
    jitter = max(np.abs(first - second).mean() for first, second in views.values())
    between = min(np.abs(views[a][0] - views[b][0]).mean() for a, b in combinations(PLACES, 2))
    assert jitter < 8 < 15 < between


@pytest.mark.parametrize("name", PLACES)
def test_paint_night_is_darker_than_dusk_than_noon(name: str) -> None:
    noon, dusk, night = (_small(paint(name, Random(0), 64, light)) for light in (Light.NOON, Light.DUSK, Light.NIGHT))
    assert noon.sum() > dusk.sum() > night.sum()
    if name != "space":
        assert night.mean() < 0.6 * noon.mean()


def test_compose_shot_framing_sets_the_size_of_the_character() -> None:
    shots = [compose_shot(RED, Shot(place="snow", framing=framing), Random(0), 128) for framing in Framing]
    wide, medium, close = (int(_red(shot).sum()) for shot in shots)
    assert wide == 38 * 38
    assert medium == 72 * 72
    assert close > 0.6 * 128 * 128


def test_compose_shot_side_sets_where_the_character_stands() -> None:
    columns = [
        float(np.nonzero(_red(compose_shot(RED, Shot(place="meadow", side=side), Random(0), 128)))[1].mean())
        for side in (Side.LEFT, Side.CENTRE, Side.RIGHT)
    ]
    assert columns[0] < 50 < columns[1] < 78 < columns[2]


def test_shot_words_say_framing_place_light_and_side() -> None:
    shot = Shot(place="beach", framing=Framing.WIDE, light=Light.DUSK, side=Side.LEFT)
    assert shot.words == "wide shot, on a beach at dusk, on the left"
    assert Shot(place="room").words == "medium shot, in a room"
