"""Where words go: blocks by panel, and limits that name the panel."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from triptych.errors import PromptError
from triptych.models.pocket import PocketBackbone
from triptych.models.pocket.text import OVERVIEW_FRAME, lay_out, train_tokenizer

TOKENIZER = train_tokenizer(["mirror it", "on a blue background", "flat style"], size=400)


def test_lay_out_places_each_instruction_at_its_panels_frame() -> None:
    blocks = lay_out([[(0, "mirror it"), (1, "flat style")]], TOKENIZER)
    for frame, text in ((0, "mirror it"), (1, "flat style")):
        here = blocks.positions[:, 0] == frame
        ids = TOKENIZER.encode(text).ids
        assert blocks.ids[0, here][: len(ids)].tolist() == ids
        assert blocks.positions[here, 3].tolist() == list(range(int(here.sum())))


def test_lay_out_of_swapped_instructions_swaps_only_their_blocks() -> None:
    one = lay_out([[(0, "mirror it"), (1, "flat style")]], TOKENIZER)
    two = lay_out([[(0, "flat style"), (1, "mirror it")]], TOKENIZER)
    torch.testing.assert_close(one.positions, two.positions)
    first, second = one.positions[:, 0] == 0, one.positions[:, 0] == 1
    assert torch.equal(one.ids[:, first], two.ids[:, second])
    assert torch.equal(one.ids[:, second], two.ids[:, first])


def test_lay_out_of_an_overview_keeps_it_apart_from_the_first_slot() -> None:
    blocks = lay_out([[(OVERVIEW_FRAME, "flat style"), (0, "mirror it")]], TOKENIZER)
    overview = blocks.ids[0, blocks.positions[:, 0] == OVERVIEW_FRAME]
    assert TOKENIZER.decode(overview[overview > 0].tolist()).strip() == "flat style"


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_lay_out_of_any_texts_shares_positions_and_loses_nothing(texts: list[str]) -> None:
    pages = [[(0, text)] for text in texts]
    try:
        blocks = lay_out(pages, TOKENIZER)
    except PromptError:
        assert any(len(TOKENIZER.encode(text).ids) > 64 for text in texts)
        return
    here = blocks.positions[:, 0] == 0
    for row, text in enumerate(texts):
        ids = TOKENIZER.encode(text).ids
        assert blocks.ids[row, here][: len(ids)].tolist() == ids


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (0, "the instruction of slot 1 has"),
        (20, "the instruction of condition 2 has"),
        (OVERVIEW_FRAME, "the overview"),
    ],
)
def test_lay_out_of_a_text_over_the_limit_names_its_panel_counted_from_one(frame: int, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        lay_out([[(frame, "mirror it " * 60)]], TOKENIZER)


def test_pocket_reads_an_instruction_where_its_panel_stands(pocket: PocketBackbone) -> None:
    from PIL import Image

    from triptych.models.backbone import frames
    from triptych.page import Page, condition, slot
    from triptych.prompts import write_prompt

    page = Page(panels=(slot("mirror it"), condition(Image.new("RGB", (8, 8)), "a red fox"), slot("flat style")))
    text = pocket.encode_prompts([write_prompt(page)], frames(page))
    assert {int(place) for place in text.positions[:, 0]} == {OVERVIEW_FRAME, 0, 1, 10}
