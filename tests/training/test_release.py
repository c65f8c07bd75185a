import datetime
from dataclasses import replace

from tiny_training import made_page, recipe
from triptych.training.recipe import load_recipe, recipe_names
from triptych.training.release import card_of
from triptych.training.variants import prepared_by


def _card(pages, plan, backbone):
    date = datetime.date(2026, 1, 2)
    return card_of("s", [prepared_by(page, plan) for page in pages], plan, backbone.card, date, steps=plan.steps)


def test_card_of_keeps_the_words_that_all_pages_share_without_the_trigger(pocket):
    plan = recipe(trigger="[BLUE]")
    pages = [replace(made_page(number), overview="a set of discs") for number in range(3)]
    card = _card(pages, plan, pocket)
    assert (card.trigger, card.overview, card.instructions) == ("[BLUE]", "a set of discs", ("", "make it blue"))
    assert card.description == "a set of discs"


def test_card_of_leaves_out_words_that_differ(pocket):
    pages = [replace(made_page(number, instruction=f"shot {number}"), overview=f"story {number}") for number in (1, 2)]
    card = _card(pages, recipe(description="shots of a story"), pocket)
    assert (card.overview, card.instructions, card.description) == ("", (), "shots of a story")


def test_card_of_a_recipe_on_another_backbone_has_the_licence_of_its_weights(pocket):
    pages = [made_page(1)]
    assert not any(load_recipe(name).licence for name in recipe_names())
    assert _card(pages, load_recipe("flux2-klein"), pocket).licence == pocket.card.licence == "Apache-2.0"
    assert _card(pages, recipe(licence="MIT"), pocket).licence == "MIT"
