"""Pages to start from, and what each picture on them is for."""

import pytest
from playwright.sync_api import expect

from page_in_browser import at_rest, command, drop, made, panels, picture

pytestmark = pytest.mark.browser


_TITLES = (
    "Storyboard",
    "Style by example",
    "A rule by example",
    "Put this there",
    "Sticker",
    "Colour in",
    "Photo filter by example",
)


def test_starter_pages_show_what_they_are_and_fill_themselves(page):
    at_rest(page)
    for title in _TITLES:
        command(page, "Pages to start from")
        ready = page.locator("starters-dialog").get_by_role("button", name=title)
        ready.locator("img").evaluate("async (one) => { one.loading = 'eager'; await one.decode(); }")
        ready.click()
        page.locator("starters-dialog").wait_for(state="detached")
        page.locator("panel-card .made:not(.making)").first.wait_for()
        at_rest(page)
        slots = page.locator("panel-card article.slot")
        expect(page.locator("panel-card .made"), title).to_have_count(slots.count())


def test_your_own_page_is_empty_and_waits(page):
    command(page, "Pages to start from")
    page.locator("starters-dialog").get_by_role("button", name="Your own An empty page").click()
    assert panels(page).count() == 1
    page.get_by_role("button", name="An empty slot").wait_for()


def test_role_of_a_picture_is_shown_by_a_mark_and_undone(blank):
    drop(blank, panels(blank).nth(0), ("red.png", "image/png", picture("red")))
    made(blank, 0).wait_for()
    mark = panels(blank).nth(0).locator(".mark")
    assert mark.text_content() == "S"
    for role, sign in (("Edit", "E"), ("Control", "C"), ("Example", "X")):
        blank.get_by_role("button", name="More for panel 1").click()
        blank.get_by_role("menuitemradio", name=f"{role}:").click()
        assert panels(blank).nth(0).get_attribute("aria-label") == f"Panel 1 of 1, condition, {role.lower()}"
        assert mark.text_content() == sign
    blank.get_by_role("button", name="Undo").click()
    assert mark.text_content() == "C"


def test_example_row_is_added_filled_and_removed(blank):
    command(blank, "Add an example row")
    row = blank.get_by_role("region", name="Example 1")
    for number, colour in enumerate(("red", "blue"), 1):
        place = row.get_by_role("button", name=f"panel {number}: put a picture here")
        drop(blank, place, (f"{colour}.png", "image/png", picture(colour)))
        place.locator("img").wait_for()
    assert blank.get_by_text("An example with a picture missing").count() == 0
    row.get_by_role("button", name="Remove example 1").click()
    row.wait_for(state="detached")
