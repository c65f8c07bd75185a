"""Boxes on panels: drawn, named, moved, resized, removed; sent where the model reads them, refused elsewhere."""

import io
import re

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

from page_in_browser import command, drop, panels, picture

pytestmark = pytest.mark.browser
_PLACE = re.compile(r"(\d+) . (\d+) %, (\d+) % from the left, (\d+) % from the top")
_PAGE = {
    "overview": "A coast",
    "panels": [
        {"role": "slot", "instruction": "the harbour", "size_px": [64, 64]},
        {"role": "slot", "instruction": "the same harbour in a storm", "size_px": [64, 64]},
    ],
}


@pytest.fixture
def coast(browser, boxed_studio):
    """Two empty slots before a model that reads boxes."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
    yield from _opened(context, boxed_studio)


@pytest.fixture
def coast_on_phone(browser, boxed_studio):
    """The same, worked with a finger."""
    look = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    yield from _opened(browser.new_context(**look, reduced_motion="reduce"), boxed_studio)


def _opened(context, url: str):
    with httpx.Client(base_url=url, headers={"X-Triptych": "1"}, timeout=60) as client:
        offered = client.get("/api/info").json()["backbones"]
        name = next(one["name"] for one in offered if one["reads_boxes"])
        settings = {"backbone": name, "live": False}
        client.post("/api/documents", json={"title": "A coast", "page": _PAGE, "settings": settings}).raise_for_status()
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    tab.goto(url)
    tab.wait_for_selector("html[data-ready=true]")
    command(tab, "Open a page of before")
    tab.get_by_role("button", name="A coast").first.click()
    tab.get_by_role("article", name="Panel 2 of 2, slot").wait_for()
    yield tab
    context.close()
    assert errors == []


def test_box_is_drawn_named_moved_resized_and_all_is_undone(coast):
    _drag(coast, 0, (0.1, 0.2), (0.3, 0.9))
    words = coast.get_by_label("What stands in box 1 of panel 1")
    expect(words).to_be_focused()
    coast.keyboard.type("a red lighthouse")
    assert _place(coast, 1) == (20, 70, 10, 20)
    coast.get_by_text("<red_lighthouse_1>").wait_for()
    _drag(coast, 0, (0.2, 0.5), (0.5, 0.4))
    assert _place(coast, 1) == (20, 70, 40, 10)
    _drag(coast, 0, (0.6, 0.8), (0.8, 0.9))
    assert _place(coast, 1) == (40, 80, 40, 10)
    _drag(coast, 0, (0.4, 0.3), (0.2, 0.7))
    assert _place(coast, 1) == (60, 80, 20, 10), "a side moves across alone"
    for place in ((40, 80, 40, 10), (20, 70, 40, 10), (20, 70, 10, 20)):
        coast.keyboard.press("Control+z")
        assert _place(coast, 1) == place
    coast.keyboard.press("Control+z")
    expect(words).to_have_value("")
    coast.keyboard.press("Control+z")
    expect(words).to_have_count(0)
    for _ in range(3):
        coast.keyboard.press("Control+Shift+z")
    expect(words).to_have_value("a red lighthouse")
    assert _place(coast, 1) == (20, 70, 40, 10)


def test_click_on_an_empty_slot_still_asks_for_a_picture_and_a_speck_is_no_box(coast):
    with coast.expect_file_chooser():
        panels(coast).nth(0).locator(".frame").click(position={"x": 40, "y": 120})
    command(coast, "Draw boxes on this panel")
    _drag(coast, 0, (0.5, 0.5), (0.51, 0.51))
    assert panels(coast).nth(0).locator("button.box").count() == 0
    _drag(coast, 0, (0.5, 0.5), (1.4, 1.3))
    assert _place(coast, 1) == (50, 50, 50, 50), "a box ends at the slot's edge"


def test_escape_gives_a_drag_up_then_ends_the_drawing(coast):
    _drag(coast, 0, (0.1, 0.1), (0.4, 0.4))
    _drag(coast, 0, (0.2, 0.2), (0.6, 0.6), hold=True)
    coast.keyboard.press("Escape")
    coast.mouse.up()
    assert _place(coast, 1) == (30, 30, 10, 10)
    coast.keyboard.press("Escape")
    coast.get_by_role("region", name="Boxes of panel 1").wait_for(state="detached")
    expect(coast.get_by_role("button", name="Draw boxes on panel 1")).to_be_focused()
    expect(panels(coast).nth(0).get_by_role("alert")).to_contain_text("Box 1 has no words")
    expect(coast.get_by_role("button", name="Generate", exact=True)).to_be_disabled()
    coast.get_by_role("button", name="Box 1 of panel 1, without words: press to change it").click()
    coast.get_by_label("What stands in box 1 of panel 1").fill("a boat")
    expect(coast.get_by_role("button", name="Generate", exact=True)).to_be_enabled()


def test_keyboard_alone_adds_moves_resizes_and_removes(coast):
    coast.get_by_label("Instruction of panel 1").focus()
    coast.keyboard.press("Alt+b")
    expect(coast.get_by_role("button", name="Add a box")).to_be_focused()
    coast.keyboard.press("Enter")
    expect(coast.get_by_label("What stands in box 1 of panel 1")).to_be_focused()
    coast.keyboard.type("a boat")
    assert _place(coast, 1) == (30, 30, 30, 30)
    _box(coast, 1).focus()
    for key in ("ArrowRight", "Shift+ArrowRight", "ArrowUp"):
        coast.keyboard.press(key)
    assert _place(coast, 1) == (30, 30, 36, 29)
    coast.get_by_role("button", name="Resize box 1 of panel 1").focus()
    for key in ("Shift+ArrowLeft", "ArrowDown"):
        coast.keyboard.press(key)
    assert _place(coast, 1) == (25, 31, 36, 29)
    for _ in range(30):
        coast.keyboard.press("Shift+ArrowRight")
    assert _place(coast, 1) == (64, 31, 36, 29), "a box ends at the slot's edge"
    _box(coast, 1).focus()
    coast.keyboard.press("Delete")
    expect(coast.get_by_role("button", name="Add a box")).to_be_focused()
    assert panels(coast).nth(0).locator("button.box").count() == 0
    coast.keyboard.press("Control+z")
    _box(coast, 1).wait_for()
    coast.get_by_role("button", name="Remove box 1 of panel 1").click()
    assert panels(coast).nth(0).locator("button.box").count() == 0


def test_boxes_are_sent_and_the_picture_brings_them_back(coast, boxed_studio):
    asked = []
    coast.on(
        "request", lambda one: one.method == "POST" and one.url.endswith("/jobs") and asked.append(one.post_data_json)
    )
    _drag(coast, 0, (0.1, 0.2), (0.3, 0.9))
    coast.keyboard.type("a red lighthouse")
    _drag(coast, 1, (0.5, 0.5), (1, 0.75))
    coast.keyboard.type("a red lighthouse")
    coast.keyboard.press("Enter")
    coast.get_by_text("Saved", exact=True).wait_for()
    coast.reload()
    coast.wait_for_selector("html[data-ready=true]")
    coast.get_by_role("button", name="Box 1 of panel 2, a red lighthouse").wait_for()
    coast.get_by_role("button", name="More settings").click()
    coast.get_by_label("Steps").fill("1")
    coast.get_by_label("Steps").press("Tab")
    coast.get_by_role("button", name="Generate", exact=True).click()
    panels(coast).nth(1).locator(".frame > img.made:not(.making)").wait_for(timeout=240_000)
    boxes = [panel["boxes"] for panel in asked[0]["body"]["request"]["page"]["panels"]]
    assert [(box["name"], box["words"]) for (box,) in boxes] == [
        ("red_lighthouse_1", "a red lighthouse"),
        ("red_lighthouse_2", "a red lighthouse"),
    ]
    assert boxes[1][0]["corners"] == pytest.approx([0.5, 0.5, 1, 0.75], abs=0.01)
    expect(panels(coast).nth(0).locator("button.box")).to_have_count(0)
    coast.get_by_role("button", name="Show the boxes of panel 1").click()
    assert _place(coast, 1) == (20, 70, 10, 20)
    address = panels(coast).nth(0).locator(".frame > img").get_attribute("src").split("?")[0]
    png = coast.request.get(boxed_studio + address).body()
    assert '"red_lighthouse_2"' in Image.open(io.BytesIO(png)).text["triptych"]
    command(coast, "New page")
    coast.get_by_role("article", name="Panel 1 of 1").wait_for()
    drop(coast, panels(coast).nth(0), ("coast.png", "image/png", png))
    coast.get_by_role("button", name="Open its page").click()
    coast.get_by_role("button", name="Box 1 of panel 2, a red lighthouse").wait_for()


def test_copy_of_a_slot_has_things_of_its_own_and_a_new_picture_has_none(coast):
    _drag(coast, 0, (0.1, 0.2), (0.3, 0.9))
    coast.keyboard.type("a boat")
    coast.get_by_label("Instruction of panel 1").fill("the harbour, and <boat_1> in it")
    coast.keyboard.press("Escape")
    coast.get_by_role("button", name="More for panel 1").click()
    coast.get_by_role("menuitem", name="Copy").click()
    coast.get_by_role("button", name="Box 1 of panel 2, a boat").wait_for()
    expect(coast.get_by_label("Instruction of panel 2")).to_have_value("the harbour, and <boat_2> in it")
    drop(coast, panels(coast).nth(0), ("red.png", "image/png", picture("red")))
    coast.get_by_role("article", name="Panel 1 of 3, condition, subject").wait_for()
    assert coast.get_by_role("button", name="Show the boxes of panel 1").count() == 0


def test_thing_of_a_picture_with_the_same_words_moves_into_the_slot(coast):
    drop(coast, panels(coast).nth(0), ("red.png", "image/png", picture("red")))
    coast.get_by_role("article", name="Panel 1 of 2, condition, subject").hover()
    coast.get_by_role("button", name="Draw boxes on panel 1").click()
    _drag(coast, 0, (0.2, 0.2), (0.8, 0.8))
    coast.keyboard.type("a red disc")
    coast.get_by_text("What has a box here and none in a slot goes").wait_for()
    coast.get_by_role("button", name="Done").click()
    _drag(coast, 1, (0.5, 0.5), (0.9, 0.9))
    coast.keyboard.type("A red disc")
    coast.get_by_text("The same thing as in panel 1").wait_for()
    coast.keyboard.type(" and a square")
    coast.get_by_text("<red_disc_and_1>").wait_for()


def test_model_without_boxes_is_said_before_generate_and_mended(coast):
    _drag(coast, 0, (0.1, 0.2), (0.3, 0.9))
    coast.keyboard.type("a boat")
    command(coast, "Use pocket")
    told = coast.get_by_label("Page", exact=True).get_by_text(
        "pocket reads no boxes, and the page has a box in panel 1"
    )
    told.wait_for()
    expect(coast.get_by_role("button", name="Generate", exact=True)).to_be_disabled()
    coast.get_by_role("region", name="Boxes of panel 1").wait_for(state="detached")
    assert coast.get_by_role("button", name="Draw boxes on panel").count() == 0
    expect(panels(coast).nth(0).locator("button.box")).to_be_disabled()
    coast.get_by_role("button", name="Remove the box").click()
    told.wait_for(state="detached")
    expect(coast.get_by_role("button", name="Generate", exact=True)).to_be_enabled()
    _drag(coast, 0, (0.1, 0.2), (0.3, 0.9))
    assert panels(coast).nth(0).locator("button.box").count() == 0
    coast.keyboard.press("Control+z")
    told.wait_for()


def test_canvas_on_which_nothing_reads_boxes_is_said_and_mended(coast):
    _drag(coast, 0, (0.1, 0.2), (0.3, 0.9))
    coast.keyboard.type("a boat")
    coast.get_by_role("button", name="More settings").click()
    coast.get_by_label("Pictures enter by").select_option("repaint")
    coast.get_by_text("reads boxes where pictures enter by reference, and they enter by repaint").wait_for()
    expect(coast.get_by_role("button", name="Generate", exact=True)).to_be_disabled()
    coast.get_by_role("button", name="Enter by reference").click()
    expect(coast.get_by_role("button", name="Generate", exact=True)).to_be_enabled()


def test_finger_draws_moves_and_resizes_without_scrolling(coast_on_phone):
    phone = coast_on_phone
    phone.get_by_role("button", name="More for panel 1").tap()
    phone.get_by_role("menuitem", name="Boxes: where things belong").tap()
    phone.get_by_role("button", name="Done").wait_for()
    phone.wait_for_timeout(300)
    frame = panels(phone).nth(0).locator(".frame").bounding_box()
    assert frame["width"] > 300, "the slot that is drawn on has the page's width"
    head, foot = (phone.get_by_role(role).first.bounding_box() for role in ("banner", "contentinfo"))
    done = phone.get_by_role("button", name="Done").bounding_box()
    assert frame["y"] >= head["y"] + head["height"], "it is seen whole, with what is beneath"
    assert done["y"] + done["height"] <= foot["y"]
    scrolled = phone.evaluate("scrollY")
    _touch(phone, (0.1, 0.2), (0.4, 0.7))
    assert _place(phone, 1) == (30, 50, 10, 20)
    _touch(phone, (0.25, 0.45), (0.45, 0.35))
    assert _place(phone, 1) == (30, 50, 30, 10)
    _touch(phone, (0.6, 0.6), (0.8, 0.9))
    assert _place(phone, 1) == (50, 80, 30, 10)
    assert phone.evaluate("scrollY") == scrolled
    for name in ("Add a box", "Done", "Remove box 1 of panel 1"):
        box = phone.get_by_role("button", name=name).bounding_box()
        assert min(box["width"], box["height"]) >= 44, (name, box)
    phone.get_by_label("What stands in box 1 of panel 1").fill("a boat")
    phone.get_by_role("button", name="Done").tap()
    phone.get_by_role("button", name="Box 1 of panel 1, a boat").tap()
    phone.get_by_role("button", name="Remove box 1 of panel 1").tap()
    assert panels(phone).nth(0).locator("button.box").count() == 0


def _box(page, number: int):
    return page.get_by_role("button", name=re.compile(f"^Box {number} of panel 1,"))


def _place(page, number: int) -> tuple[int, ...]:
    """Width, height, left and top of a box of panel 1, in percent, once it stands still."""
    _box(page, number).wait_for()
    page.wait_for_timeout(100)
    return tuple(map(int, _PLACE.search(_box(page, number).get_attribute("aria-label")).groups()))


def _at(page, panel: int, share: tuple[float, float]) -> tuple[float, float]:
    box = panels(page).nth(panel).locator(".frame").bounding_box()
    return box["x"] + share[0] * box["width"], box["y"] + share[1] * box["height"]


def _drag(page, panel: int, start: tuple[float, float], end: tuple[float, float], *, hold: bool = False) -> None:
    first, last = _at(page, panel, start), _at(page, panel, end)
    page.mouse.move(*first)
    page.mouse.down()
    page.mouse.move((first[0] + last[0]) / 2, (first[1] + last[1]) / 2)
    page.mouse.move(*last)
    if not hold:
        page.mouse.up()
        page.wait_for_timeout(100)


def _touch(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    first, last = _at(page, 0, start), _at(page, 0, end)
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": first[0], "y": first[1]}]})
    for part in (0.5, 1):
        at = {"x": first[0] + (last[0] - first[0]) * part, "y": first[1] + (last[1] - first[1]) * part}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(100)
