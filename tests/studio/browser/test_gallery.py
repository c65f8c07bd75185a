"""Everything ever made: found, marked, compared, binned, brought back, and its words kept."""

import pytest
from playwright.sync_api import expect

from page_in_browser import command, drop, found, generate, panels, picture

pytestmark = pytest.mark.browser


def _make(page, words: str) -> None:
    drop(page, panels(page).nth(0), ("red.png", "image/png", picture("red")))
    command(page, "Add a slot")
    page.get_by_label("Instruction of panel 2").fill(words)
    page.get_by_role("button", name="2 for each slot").click()
    generate(page)


def test_gallery_finds_marks_bins_and_brings_back(blank):
    _make(blank, "a teapot of glass")
    assert found(blank, "teapot") == 2
    items = blank.locator("gallery-item")
    items.nth(0).hover()
    items.nth(0).get_by_role("button", name="Favourite").click()
    blank.get_by_role("button", name="Favourites", exact=True).click()
    blank.get_by_text("1 picture", exact=True).wait_for()
    blank.get_by_role("button", name="All", exact=True).click()
    blank.get_by_text("2 pictures", exact=True).wait_for()
    items.nth(1).hover()
    items.nth(1).get_by_role("checkbox").click()
    blank.get_by_role("toolbar").get_by_role("button", name="Bin").click()
    blank.get_by_text("1 picture", exact=True).wait_for()
    blank.get_by_role("button", name="Bring back").click()
    blank.get_by_text("2 pictures", exact=True).wait_for()


def test_gallery_compares_two_and_says_how_their_requests_differ(blank):
    _make(blank, "a lamp of brass")
    assert found(blank, "brass") == 2
    for number in (0, 1):
        item = blank.locator("gallery-item").nth(number)
        item.hover()
        item.get_by_role("checkbox").click()
    blank.get_by_role("toolbar").get_by_role("button", name="Compare").click()
    blank.get_by_role("rowheader", name="seed").wait_for()
    assert blank.get_by_role("rowheader").count() == 1, "the seed alone differs"
    slider = blank.get_by_role("slider")
    slider.fill("90")
    expect(slider).to_have_value("90")


def test_gallery_picture_opens_the_page_that_made_it(blank):
    _make(blank, "a chair of straw")
    command(blank, "New page")
    assert found(blank, "straw") == 2
    blank.locator("gallery-item").first.locator(".look").click()
    blank.get_by_role("button", name="Open its page").click()
    panels(blank).nth(1).wait_for()
    expect(blank.get_by_label("Instruction of panel 2")).to_have_value("a chair of straw")


def test_all_but_favourites_are_cleared_and_their_words_stay(blank, studio):
    _make(blank, "a spoon of bone")
    assert found(blank, "spoon of bone") == 2
    blank.locator("gallery-item").nth(0).hover()
    blank.locator("gallery-item").nth(0).get_by_role("button", name="Favourite", exact=True).click()
    blank.get_by_role("button", name="Clear all but favourites").click()
    blank.get_by_role("button", name="Move them").click()
    blank.get_by_text("1 picture", exact=True).wait_for()
    blank.get_by_role("button", name="Bin", exact=True).click()
    blank.get_by_text("1 picture", exact=True).wait_for()
    blank.get_by_role("button", name="Empty the bin").click()
    blank.get_by_role("button", name="Delete for good").click()
    blank.get_by_text("0 pictures", exact=True).wait_for()
    words = [one["text"] for one in blank.request.get(f"{studio}/api/prompts").json()["items"]]
    assert "a spoon of bone" in words
    command(blank, "Go to the page")
    command(blank, "Go to the gallery")
    blank.get_by_text("Words used before").click()
    blank.get_by_role("button", name="a spoon of bone").click()
    expect(blank.get_by_label("Instruction of panel 3")).to_have_value("a spoon of bone")


def test_many_are_chosen_with_shift_marked_and_found_by_their_marks(blank):
    _make(blank, "a ladle of tin")
    command(blank, "Go to the page")
    blank.get_by_label("Instruction of panel 2").fill("a ladle of tin again")
    generate(blank)
    assert found(blank, "ladle of tin") == 4
    items = blank.locator("gallery-item")
    items.nth(0).hover()
    items.nth(0).get_by_role("checkbox").click()
    items.nth(2).get_by_role("checkbox").click(modifiers=["Shift"])
    blank.get_by_text("3 chosen").wait_for()
    blank.get_by_role("toolbar").get_by_role("button", name="Reject").click()
    blank.get_by_role("button", name="Rejected", exact=True).click()
    blank.get_by_text("3 pictures", exact=True).wait_for()
    items.nth(0).hover()
    items.nth(0).get_by_role("checkbox").click()
    items.nth(1).get_by_role("checkbox").click()
    blank.get_by_role("toolbar").get_by_role("button", name="Favourite").click()
    blank.get_by_role("toolbar").get_by_role("button", name="Onto the page").click()
    panels(blank).nth(3).wait_for()
    assert panels(blank).nth(1).get_attribute("aria-label").endswith("condition, subject")
    assert found(blank, "ladle of tin") == 3, "the filter stays"
    blank.get_by_role("button", name="Favourites", exact=True).click()
    blank.get_by_text("2 pictures", exact=True).wait_for()
