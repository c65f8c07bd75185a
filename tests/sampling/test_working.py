"""Sizes that a backbone sees: of conditions, examples and slots."""

import pytest
from PIL import Image

from triptych.models.backbone import Card
from triptych.models.pocket.backbone import PocketConfig, pocket_card
from triptych.page import Page, condition, slot
from triptych.sampling.working import working_page

SECOND = pocket_card(PocketConfig(codec="klt", channels=256))


def _sizes(page: Page, card: Card, size_px: tuple[int, int] | int | None = None) -> list[tuple[int, int]]:
    """Of conditions and slots, examples first."""
    working = working_page(page, card, size_px)
    panels = [panel for each in (*working.context, working) for panel in each.panels]
    return [picture.size if (picture := panel.picture) else panel.size_px or (0, 0) for panel in panels]


def _page(width: int, height: int, size_px: tuple[int, int] | None = None) -> Page:
    picture = Image.new("RGB", (width, height))
    example = Page(panels=(condition(picture), slot(answer=picture)))
    return Page(panels=(condition(picture), slot("mirror it", size_px=size_px)), context=(example,))


@pytest.mark.parametrize("size_px", [256, (256, 256)])
def test_working_page_one_area_brings_conditions_to_the_size_asked_of_slots(size_px):
    assert _sizes(_page(640, 640), SECOND, size_px) == [(256, 256)] * 4


def test_working_page_one_area_heeds_the_slots_own_size():
    assert _sizes(_page(640, 640, size_px=(192, 192)), SECOND) == [(192, 192)] * 4


def test_working_page_one_area_enlarges_small_conditions_and_keeps_their_aspect():
    assert _sizes(_page(96, 64), SECOND) == [(160, 112)] * 4


def test_working_page_of_a_fixed_side_is_squares():
    assert _sizes(_page(96, 64), pocket_card()) == [(128, 128)] * 4
