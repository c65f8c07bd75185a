"""Several grids as one wide grid."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tiny_models import card
from triptych.models.backbone import Conditioning, Grid
from triptych.models.side_by_side import SideBySide

CARD = card(Conditioning.REFERENCE, channels=3, factor=4)


@given(rows=st.integers(1, 4), columns=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_side_by_side_part_undoes_join(rows, columns):
    slots = SideBySide(tuple(Grid(frame=k, rows=rows, columns=each) for k, each in enumerate(columns)), CARD)
    tokens = torch.randn(2, rows * sum(columns), 3)
    assert slots.wide.tokens == tokens.shape[1]
    assert torch.equal(slots.part(slots.join(tokens)), tokens)


def test_side_by_side_join_puts_each_row_of_the_second_behind_that_of_the_first():
    slots = SideBySide((Grid(frame=0, rows=2, columns=1), Grid(frame=1, rows=2, columns=2)), CARD)
    joined = slots.join(torch.arange(6.0).view(1, 6, 1))
    assert joined.flatten().tolist() == [0, 2, 3, 1, 4, 5]
