"""Checks on pictures made for them."""

import numpy as np
from PIL import Image

from triptych.data.drawing import COLOURS, PALE, blank
from triptych.data.rules.verifiers import all_of, cells, exact_colours, ground_colour, near


def _half(left: tuple[int, int, int], right: tuple[int, int, int]) -> Image.Image:
    picture = blank(128, left)
    picture.paste(right, (64, 0, 128, 128))
    return picture


def test_near_is_measured_against_the_best_trivial_picture() -> None:
    answer, copy = _half((0, 0, 0), (255, 255, 255)), blank(128, (0, 0, 0))
    check = near(share=0.25)
    assert check(answer, (copy,), answer).score == 1.0
    assert not check(answer, (copy,), copy).ok
    # Half the amplitude of the mean-grey picture's error is a quarter of its square.
    assert check(answer, (copy,), _half((63, 63, 63), (192, 192, 192))).ok
    assert not check(answer, (copy,), _half((67, 67, 67), (188, 188, 188))).ok


def test_cells_one_wrong_of_sixteen_fails_unless_allowed() -> None:
    answer = blank(128)
    given = answer.copy()
    given.paste((200, 255, 255), (0, 0, 32, 32))
    strict = cells(4, 4)(answer, (), given)
    assert not strict.ok
    assert strict.score == 15 / 16
    assert cells(4, 4, share=0.9)(answer, (), given).ok


def test_exact_colours_reads_noise_and_soft_borders_as_the_same_colour() -> None:
    rng = np.random.default_rng(2)
    table = np.asarray(list(COLOURS.values()), dtype=np.uint8)
    grid = rng.integers(0, len(table), (8, 8))
    answer = Image.fromarray(np.kron(table[grid], np.ones((16, 16, 1), dtype=np.uint8)))
    noisy = (np.asarray(answer) + rng.normal(0, 10, (128, 128, 3))).clip(0, 255).astype(np.uint8)
    assert exact_colours(8, 8)(answer, (), Image.fromarray(noisy)).ok
    grid[3, 4] = (grid[3, 4] + 1) % len(table)
    other = Image.fromarray(np.kron(table[grid], np.ones((16, 16, 1), dtype=np.uint8)))
    verdict = exact_colours(8, 8)(answer, (), other)
    assert not verdict.ok
    assert verdict.score == 63 / 64


def test_ground_colour_tells_every_two_named_colours_apart() -> None:
    named = {**COLOURS, **PALE}
    for first, colour in named.items():
        for second, other in named.items():
            same = colour == other
            assert ground_colour()(blank(16, colour), (), blank(16, other)).ok is same, (first, second)


def test_all_of_takes_the_lowest_score() -> None:
    answer, wrong = blank(128), blank(128, (0, 0, 0))
    verdict = all_of(cells(2, 2), ground_colour())(answer, (), wrong)
    assert not verdict.ok
    assert verdict.score == 0.0
