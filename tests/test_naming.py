"""Prompts in the words of models that have names of their own for pictures."""

import pytest
from PIL import Image

from triptych.errors import PromptError
from triptych.naming import name_picture, named_prompt
from triptych.page import Page, condition, slot
from triptych.prompts import write_prompt

RED = Image.new("RGB", (8, 8), "red")
NAME = "<ref_image_{index}>"
EXAMPLE = Page(panels=(condition(RED, "plain"), slot("wet", answer=RED)), overview="make it rain")


@pytest.mark.parametrize(("name", "said"), [(NAME, "<ref_image_1>"), ("Picture {number}", "Picture 2")])
def test_name_picture_counts_from_where_the_model_does(name, said):
    assert name_picture(name, 2) == said


def test_named_prompt_of_one_slot_has_no_tags():
    page = Page(panels=(condition(RED, "the bus"), slot("at night"), condition(RED), condition(RED, "a hat")))
    prompt = named_prompt(page, NAME)
    assert prompt.text == "<ref_image_0>: the bus\n<ref_image_2>: a hat\nat night"
    assert prompt.parts == write_prompt(page).parts


def test_named_prompt_of_several_slots_keeps_their_tags():
    page = Page(panels=(slot("at night"), condition(RED, "the bus"), slot(), slot("in snow")), overview="a city")
    assert named_prompt(page, NAME).text == "a city\n<ref_image_0>: the bus\n[PANEL-1] at night\n[PANEL-4] in snow"


def test_named_prompt_counts_examples_behind_the_pages_own_pictures():
    page = Page(panels=(condition(RED, "the bus"), slot("now this"))).with_context(EXAMPLE)
    assert named_prompt(page, "image {number}").text.splitlines() == [
        "image 1: the bus",
        "Example 1: image 2 -> image 3",
        "make it rain",
        "image 2: plain",
        "image 3: wet",
        "now this",
    ]


def test_named_prompt_leaves_the_words_that_an_adapter_was_trained_with():
    page = Page(panels=(condition(RED, "a fox"), slot("in snow")), template="left-right")
    assert named_prompt(page, NAME) == write_prompt(page)


def test_named_prompt_refuses_a_text_with_a_tag_in_it():
    with pytest.raises(PromptError, match="a tag of template 'panels'"):
        named_prompt(Page(panels=(slot("as [PANEL-1]"),)), NAME)
