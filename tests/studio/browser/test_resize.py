"""Slots are resized by dragging an edge or the corner, by touch, and by keys."""

import re

import pytest

from page_in_browser import command, drop, generate, made, panels, picture

pytestmark = pytest.mark.browser
_SIZE = re.compile(r"now (\d+) . (\d+)")


def test_corner_is_dragged_and_the_size_is_told_meanwhile(blank):
    _drag(blank, _corner(blank, 1), 90, -70, hold=True)
    told = panels(blank).nth(0).locator("output")
    told.wait_for()
    width, height = map(int, re.findall(r"\d+", told.text_content())[:2])
    assert width > height, "a drag to the right and up makes a wide slot"
    blank.mouse.up()
    told.wait_for(state="detached")
    assert _size(blank, 1) == (width, height)
    blank.get_by_role("button", name="Undo").click()
    assert _size(blank, 1)[0] == _size(blank, 1)[1]
    blank.get_by_role("button", name="Redo").click()
    assert _size(blank, 1) == (width, height)


def test_edges_move_one_side_and_shift_keeps_the_shape(blank):
    before = _size(blank, 1)
    box = _frame(blank).bounding_box()
    _drag_from(blank, (box["x"] + box["width"], box["y"] + box["height"] / 2), (150, 60))
    wide = _size(blank, 1)
    assert wide[0] > before[0]
    assert wide[1] == before[1]
    box = _frame(blank).bounding_box()
    _drag_from(blank, (box["x"] + box["width"] / 2, box["y"] + box["height"]), (60, 90))
    high = _size(blank, 1)
    assert high[0] == wide[0]
    assert high[1] > wide[1]
    _corner(blank, 1).dblclick()
    blank.keyboard.down("Shift")
    _drag(blank, _corner(blank, 1), -120, 0)
    blank.keyboard.up("Shift")
    small = _size(blank, 1)
    assert small == before, "the larger of two moves counts, and up was none"


def test_escape_gives_a_drag_up(blank):
    before = _size(blank, 1)
    _drag(blank, _corner(blank, 1), 100, 100, hold=True)
    panels(blank).nth(0).locator("output").wait_for()
    blank.keyboard.press("Escape")
    panels(blank).nth(0).locator("output").wait_for(state="detached")
    blank.mouse.up()
    assert _size(blank, 1) == before


def test_slot_is_resized_by_keys_filled_and_set_back(blank):
    blank.get_by_label("Instruction of panel 1").fill("a wide field")
    before = _size(blank, 1)
    _corner(blank, 1).focus()
    blank.keyboard.press("ArrowRight")
    blank.keyboard.press("Shift+ArrowRight")
    blank.keyboard.press("ArrowUp")
    step = before[0] - _size(blank, 1)[1]
    assert _size(blank, 1) == (before[0] + 5 * step, before[1] - step)
    panels(blank).nth(0).get_by_role("status").get_by_text(re.compile(r"\d+ . \d+")).wait_for(state="attached")
    generate(blank)
    shown = made(blank, 0).evaluate("async (one) => (await one.decode(), one.naturalWidth / one.naturalHeight)")
    assert shown == pytest.approx((before[0] + 5 * step) / (before[1] - step), abs=0.05)
    _corner(blank, 1).focus()
    blank.keyboard.press("Backspace")
    blank.get_by_role("button", name="More for panel 1").click()
    assert blank.get_by_role("menuitemradio", name="Shape: as the page").get_attribute("aria-checked") == "true"
    blank.keyboard.press("Escape")


def test_condition_has_the_size_of_its_picture_and_no_handle(blank):
    drop(blank, panels(blank).nth(0), ("red.png", "image/png", picture("red")))
    made(blank, 0).wait_for()
    assert panels(blank).nth(0).locator("resize-handle").count() == 0


def test_slot_is_resized_by_a_finger(browser, studio):
    context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    try:
        phone = context.new_page()
        phone.goto(studio)
        phone.wait_for_selector("html[data-ready=true]")
        phone.get_by_role("switch", name="Live").click()
        command(phone, "New page")
        corner = _corner(phone, 1)
        corner.scroll_into_view_if_needed()
        box = corner.bounding_box()
        assert min(box["width"], box["height"]) >= 44
        assert corner.evaluate("(one) => getComputedStyle(one).opacity") == "1"
        before = _size(phone, 1)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        scrolled = phone.evaluate("scrollY")
        touch = context.new_cdp_session(phone)
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for part in (0.5, 1):
            points = [{"x": x - 120 * part, "y": y - 20 * part}]
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points})
        panels(phone).nth(0).locator("output").wait_for()
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        panels(phone).nth(0).locator("output").wait_for(state="detached")
        assert _size(phone, 1)[0] < before[0]
        assert phone.evaluate("scrollY") == scrolled
    finally:
        context.close()


def _corner(page, number: int):
    return page.get_by_role("button", name=f"Resize slot {number}, now")


def _frame(page):
    return panels(page).nth(0).locator(".frame")


def _size(page, number: int) -> tuple[int, int]:
    _corner(page, number).focus()
    width, height = _SIZE.search(_corner(page, number).get_attribute("aria-label")).groups()
    return int(width), int(height)


def _drag(page, handle, right: int, down: int, *, hold: bool = False) -> None:
    panels(page).nth(0).hover()
    box = handle.bounding_box()
    _drag_from(page, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), (right, down), hold=hold)


def _drag_from(page, start: tuple[float, float], by: tuple[int, int], *, hold: bool = False) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + by[0] / 2, start[1] + by[1] / 2)
    page.mouse.move(start[0] + by[0], start[1] + by[1])
    if not hold:
        page.mouse.up()
