"""What is seen stands whole and is not covered, and what is pressed is what is seen."""

import pytest

from page_in_browser import at_rest, command, found, made, panels

pytestmark = pytest.mark.browser


def test_dialog_opens_at_once_after_another_was_closed_by_escape(page):
    for _ in range(3):
        page.keyboard.press("Control+k")
        asked = page.get_by_role("combobox", name="Find a command")
        asked.wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        asked.wait_for()
        page.keyboard.press("Escape")
        asked.wait_for(state="detached")


def test_focus_returns_to_where_it_was_when_a_dialog_closes(page):
    words = page.get_by_label("Instruction of panel 2")
    words.focus()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find a command").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.type("!")
    assert "!" in words.input_value()


@pytest.mark.parametrize("beside", ["Show the queue", "Show pictures made before"])
@pytest.mark.parametrize("width", [1280, 1600])
def test_what_opens_beside_the_page_covers_no_button_of_its_foot(page, beside, width):
    page.set_viewport_size({"width": width, "height": 800})
    command(page, beside)
    page.get_by_role("complementary").wait_for()
    page.wait_for_timeout(200)
    foot = page.get_by_role("contentinfo", name="Generate")
    for button in foot.get_by_role("button").all():
        if button.is_enabled():
            button.click(trial=True, timeout=5000)
    side, bar = page.get_by_role("complementary").bounding_box(), foot.bounding_box()
    assert bar["x"] >= side["x"] + side["width"] or bar["x"] + bar["width"] <= side["x"], (side, bar)


@pytest.mark.parametrize(("width", "height"), [(900, 1000), (1600, 1000)])
def test_four_panels_are_seen_at_once(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    made(page, 3).wait_for()
    foot = page.get_by_role("contentinfo", name="Generate").bounding_box()
    for number in range(4):
        box = panels(page).nth(number).locator(".frame").bounding_box()
        assert box["y"] + box["height"] < foot["y"], (number, box, foot)


def test_pictures_of_the_rules_lab_keep_their_place_before_they_are_there(page):
    page.route("**/api/files/*", lambda route: route.abort())
    command(page, "Go to the rules lab")
    frames = page.locator("rules-view .pages img")
    frames.first.wait_for(state="attached")
    box = frames.first.bounding_box()
    assert box["height"] >= box["width"] - 1 > 50


def test_picture_is_shown_with_the_whole_page_that_it_is_of(page):
    made(page, 3).wait_for()
    at_rest(page)
    command(page, "Go to the gallery")
    page.locator("gallery-item").first.locator(".look").click()
    shown = page.locator("picture-dialog .panels")
    shown.locator("img").nth(3).wait_for()
    assert shown.locator("img").count() == 4
    own = shown.locator(".own img").get_attribute("src")
    assert own.split("?")[0] in page.locator("picture-dialog .large img").get_attribute("src")


def test_question_of_the_gallery_goes_with_it_and_covers_no_button_of_the_queue(page):
    made(page, 3).wait_for()
    at_rest(page)
    command(page, "Go to the gallery")
    page.get_by_role("button", name="Clear all but favourites").click()
    asked = page.get_by_text("Move every picture that is not a favourite to the bin?")
    asked.wait_for()
    command(page, "Show the queue")
    side = page.get_by_role("complementary", name="Queue").bounding_box()
    box = page.locator("message-stack .message").bounding_box()
    assert box["x"] + box["width"] <= side["x"], (box, side)
    page.get_by_role("button", name="Close the queue").click()
    command(page, "Go to the page")
    asked.wait_for(state="detached")


@pytest.mark.parametrize("title", ["Style by example", "Sticker"])
def test_starter_with_examples_is_seen_whole(page, title):
    page.set_viewport_size({"width": 1600, "height": 1000})
    command(page, f"Start: {title}")
    made(page, 1).wait_for()
    foot = page.get_by_role("contentinfo", name="Generate").bounding_box()
    box = panels(page).nth(1).locator(".frame").bounding_box()
    assert box["y"] + box["height"] < foot["y"], (box, foot)
    for row in page.locator("example-row").all():
        inside = row.locator(".pictures").evaluate("(one) => [one.scrollWidth, one.clientWidth]")
        assert inside[0] <= inside[1], inside
    given = 1 + page.locator("example-row img").count()
    page.get_by_text(f"{given}/16 pictures · 1/8 slots").wait_for()


def test_finger_on_the_corner_of_a_picture_opens_it(phone):
    made(phone, 3).wait_for()
    at_rest(phone)
    phone.get_by_role("link", name="Gallery").tap()
    box = phone.locator("gallery-item").first.bounding_box()
    phone.touchscreen.tap(box["x"] + box["width"] - 12, box["y"] + 12)
    phone.locator("picture-dialog").get_by_role("button", name="Favourite").wait_for()
    phone.locator("picture-dialog").get_by_role("button", name="Close", exact=True).tap()
    phone.get_by_role("button", name="Choose", exact=True).tap()
    phone.touchscreen.tap(box["x"] + 12, box["y"] + 12)
    phone.get_by_text("1 chosen").wait_for()


def test_empty_parts_of_the_gallery_say_what_belongs_there(page):
    command(page, "Go to the gallery")
    page.get_by_role("button", name="Rejected", exact=True).click()
    page.get_by_text("X rejects a picture").wait_for()
    page.get_by_role("button", name="Bin", exact=True).click()
    page.locator("gallery-view main[aria-busy=false]").wait_for()
    if page.locator("gallery-item").count():
        page.get_by_role("button", name="Empty the bin").click()
        page.get_by_role("button", name="Delete for good").click()
    page.get_by_text("The bin is empty").wait_for()
    edge = page.get_by_role("button", name="Empty the bin").bounding_box()
    field = page.locator("gallery-view main").bounding_box()
    assert edge["x"] + edge["width"] <= field["x"] + field["width"] - 24
    page.get_by_role("button", name="All", exact=True).click()
    assert found(page, "no such words at all") == 0
