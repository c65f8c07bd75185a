"""The embedding tells objects apart, forgives what it says it forgives, and nothing else."""

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter

from triptych.data.drawing import COLOURS
from triptych.data.shapes import SHAPES, draw_shape
from triptych.evaluation.retrieval import embed, rank_of


@pytest.fixture(scope="module")
def shapes() -> list[Image.Image]:
    """Every shape in red and in blue on pale paper."""
    drawn = []
    for hue in ("red", "blue"):
        for name in SHAPES:
            paper = Image.new("RGB", (128, 128), (246, 240, 226))
            figure = draw_shape(name, "shape-filled", COLOURS[hue]).resize((96, 96))
            paper.paste(figure, (16, 16), figure)
            drawn.append(paper)
    return drawn


def test_embed_blurred_and_shifted_picture_is_still_found(shapes: list[Image.Image]) -> None:
    candidates = embed(shapes)
    changed = embed([ImageChops.offset(shape.filter(ImageFilter.GaussianBlur(2)), 2, -2) for shape in shapes])
    ranks = [rank_of(row, candidates, place) for place, row in enumerate(changed)]
    assert np.mean([rank == 0 for rank in ranks]) == 1.0


def test_embed_tells_colour_from_colour(shapes: list[Image.Image]) -> None:
    rows = embed(shapes)
    half = len(shapes) // 2
    assert rank_of(rows[0], rows, half) > 0


def test_embed_rows_have_unit_length_or_less(shapes: list[Image.Image]) -> None:
    norms = np.linalg.norm(embed([*shapes, Image.new("RGB", (64, 64), (255, 255, 255))]), axis=1)
    assert norms.max() <= 1 + 1e-5


def test_rank_of_tie_counts_against_the_right_answer() -> None:
    candidates = np.asarray([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert rank_of(np.asarray([1.0, 0.0]), candidates, 0) == 1
    assert rank_of(np.asarray([0.0, 1.0]), candidates, 2) == 0


def test_embed_nothing_has_the_width_of_something(shapes: list[Image.Image]) -> None:
    assert embed([]).shape == (0, embed(shapes[:1]).shape[1])
