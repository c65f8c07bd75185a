"""Boxes of panels, and the table that FLUX 3 reads, against diffusers' own reading of boxes."""

import json
from dataclasses import replace

import pytest
from diffusers.modular_pipelines.flux3.prompt_upsampler import boxes_to_canvas, reconcile_boxes, valid_canvas_box
from PIL import Image

from tiny_models import card
from triptych.boxtable import with_boxes
from triptych.conditioning import Conditioning
from triptych.errors import BackboneError, PageError
from triptych.naming import named_prompt
from triptych.page import NamedBox, Page, condition, slot
from triptych.prompts import Prompt
from triptych.sampling import Request
from triptych.training.recipe import Variety
from triptych.training.variants import page_sha256, varied, wordless

NAME = "<ref_image_{index}>"
RED = Image.new("RGB", (64, 48), "red")
LEFT, RIGHT = (0.05, 0.25, 0.375, 0.9), (0.5, 0.1, 1.0, 0.8)
CUP = NamedBox(name="cup_1", corners=LEFT, words='a "red" cup, größer')


@pytest.mark.parametrize(
    ("name", "corners", "said"),
    [
        ("cup 1", LEFT, "a name is a letter"),
        ("1cup", LEFT, "a name is a letter"),
        ("cup", (0.5, 0.0, 0.2, 1.0), r"corners \[0.5, 0.0, 0.2, 1.0\]"),
        ("cup", (0.0, 0.0, 1.0, 1.01), "from 0 to 1"),
        ("cup", (0.0, 0.0, float("nan"), 1.0), "from 0 to 1"),
        ("cup", (0.0, 0.0, 1.0, 0.005), "at least 0.01"),
    ],
)
def test_box_that_is_none_is_refused_with_its_values(name, corners, said):
    with pytest.raises(PageError, match=said):
        NamedBox(name=name, corners=corners)


def test_page_has_each_name_once_among_its_slots_and_in_no_example():
    with pytest.raises(PageError, match="the panel has 2 boxes named 'cup_1'"):
        slot(boxes=(CUP, replace(CUP, corners=RIGHT)))
    with pytest.raises(PageError, match="among its slots, has 2 boxes named 'cup_1'"):
        Page(panels=(slot(boxes=(CUP,)), slot(boxes=(CUP,))))
    with pytest.raises(PageError, match="example page 1 has boxes"):
        Page(panels=(slot(),), context=(Page(panels=(slot(answer=RED, boxes=(CUP,)),)),))


def test_boxes_of_a_page_of_words_are_diffusers_rows_behind_the_caption():
    page = Page(
        panels=(slot("a cup <cup_1> by a window <window_1>", boxes=(CUP, NamedBox(name="window_1", corners=RIGHT))),)
    )
    rows = boxes_to_canvas(
        [
            {"id": "cup_1", "bbox": [0.25, 0.05, 0.9, 0.375], "desc": CUP.words},
            {"id": "window_1", "bbox": [0.1, 0.5, 0.8, 1.0]},
        ]
    )
    assert named_prompt(page, NAME).text == reconcile_boxes("a cup <cup_1> by a window <window_1>", rows)


def test_thing_in_a_condition_and_in_a_slot_is_a_row_of_diffusers_that_moves():
    new = NamedBox(name="dog", corners=(0.0, 0.5, 0.2, 1.0), words="a dog")
    page = Page(
        panels=(
            condition(RED),
            condition(
                RED, "a kitchen", boxes=(replace(CUP, words=""), NamedBox(name="fly", corners=RIGHT, words="a fly"))
            ),
            slot("move <cup_1>, no <fly>", boxes=(replace(CUP, corners=RIGHT), new)),
        )
    )
    rows = boxes_to_canvas(
        [
            {
                "id": "cup_1", "from": "ref_image_1", "desc": CUP.words,
                "src_bbox": [0.25, 0.05, 0.9, 0.375], "tgt_bbox": [0.1, 0.5, 0.8, 1.0],
            },
            {"id": "fly", "from": "ref_image_1", "src_bbox": [0.1, 0.5, 0.8, 1.0], "desc": "a fly"},
            {"id": "dog", "from": "target", "tgt_bbox": [0.5, 0, 1, 0.2], "desc": "a dog"},
        ]
    )  # fmt: skip
    caption = "<ref_image_1>: a kitchen\nmove <cup_1>, no <fly>\na dog <dog>"
    assert named_prompt(page, NAME).text == reconcile_boxes(caption, rows)


def test_boxes_of_several_slots_lie_in_the_picture_that_has_them_side_by_side():
    page = Page(
        panels=(
            slot("<a>", size_px=(100, 50), boxes=(NamedBox(name="a", corners=(0.0, 0.0, 1.0, 1.0)),)),
            slot("<b>", size_px=(300, 100), boxes=(NamedBox(name="b", corners=(0.5, 0.5, 1.0, 1.0)),)),
        )
    )
    text = with_boxes(Prompt(text="<a> <b>", parts=()), page, []).text
    assert '"id": "a", "bbox": [0, 0, 500, 250]' in text
    assert '"id": "b", "bbox": [500, 625, 1000, 1000]' in text


@pytest.mark.parametrize("start", [0.0, 0.0005, 0.123, 0.9899])
def test_smallest_box_beside_seven_other_slots_is_still_a_box_on_the_grid(start):
    tiny = NamedBox(name="a", corners=(start, start, start + 0.0101, start + 0.0101))
    page = Page(panels=(*(slot() for _ in range(7)), slot("<a>", boxes=(tiny,))))
    text = with_boxes(Prompt(text="", parts=()), page, []).text
    (row,) = json.loads(text[text.index("[{") :])
    assert valid_canvas_box(row["bbox"])


def test_request_with_boxes_is_refused_where_nothing_reads_them():
    request = Request(page=Page(panels=(slot("a cup", boxes=(CUP,)),)))
    ways = (Conditioning.REFERENCE, Conditioning.REPAINT)
    with pytest.raises(BackboneError, match=r"the page has boxes, and .* reads none"):
        request.settled(card(*ways, channels=16, factor=4))
    reading = card(*ways, channels=16, factor=4, reads_boxes=True)
    assert request.settled(reading).page.has_boxes
    with pytest.raises(BackboneError, match="by 'reference', not by 'repaint'"):
        replace(request, conditioning=Conditioning.REPAINT).settled(reading)
    assert Request.from_json(request.to_json()) == request


def test_boxes_are_told_in_words_and_go_with_them_in_training():
    page = Page(panels=(condition(RED), slot("a cup", answer=RED, boxes=(CUP,))))
    bare = replace(page, panels=tuple(replace(panel, boxes=()) for panel in page.panels))
    assert page_sha256(page) != page_sha256(bare)
    assert not wordless(page).has_boxes
    turned = [varied(page, (), Variety(random_slots=1.0), seed) for seed in range(12)]
    assert {(each.panels[0].is_slot, each.panels[1].is_slot, each.has_boxes) for each in turned} == {
        (True, False, False),
        (False, True, True),
    }, "a box of a slot says nothing of a condition"
