"""The recipe that the studio makes of a request to teach."""

from dataclasses import replace

import pytest
from PIL import Image

from triptych.page import NamedBox, Page, condition, slot
from triptych.studio.worker.teaching import recipe_of

_GREY = Image.new("RGB", (32, 32), "grey")
_PAGE = Page(panels=(condition(_GREY), slot("a boat", answer=_GREY)))
_BOAT = NamedBox(name="boat_1", corners=(0.1, 0.1, 0.5, 0.5), words="a boat")
_BOXED = replace(_PAGE, panels=(_PAGE.panels[0], replace(_PAGE.panels[1], boxes=(_BOAT,))))


@pytest.mark.parametrize(("pages", "shots"), [([_PAGE], (0,)), ([_PAGE, _BOXED], (0,)), ([_PAGE, _PAGE], None)])
def test_recipe_of_one_page_or_of_boxes_shows_no_examples(pages, shots):
    recipe = recipe_of({"backbone": "pocket", "epochs": 20}, pages)
    if shots is None:
        assert 1 in recipe.variety.shots
        assert recipe.steps == 20 * 4 // recipe.batch
    else:
        assert recipe.variety.shots == shots
        assert recipe.steps == max(1, round(20 * len(pages) / recipe.batch))
