"""All of it without a mouse."""

import pytest

from page_in_browser import at_rest, command, made, panels

pytestmark = pytest.mark.browser
_FOCUSED = """() => {
    let one = document.activeElement;
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    return one?.getAttribute('aria-label') || one?.textContent.trim() || one?.tagName;
}"""


def _focused(page) -> str:
    return page.evaluate(_FOCUSED)


def _tab_to(page, words: str, most: int = 60, key: str = "Tab") -> None:
    passed = []
    for _ in range(most):
        page.keyboard.press(key)
        passed.append(_focused(page))
        if words in passed[-1]:
            return
    raise AssertionError(f"{words!r} is not reached with Tab, only {passed}")


def test_first_tab_skips_to_the_content(page):
    page.keyboard.press("Tab")
    assert _focused(page) == "To the content"
    page.keyboard.press("Enter")
    _tab_to(page, "Overview", most=2)


def test_page_is_made_kept_moved_and_undone_by_keys(page):
    command(page, "New page")
    page.keyboard.press("Alt+l")
    _tab_to(page, "Instruction of panel 1")
    page.keyboard.type("a yellow boat")
    page.keyboard.press("Alt+n")
    _tab_to(page, "Instruction of panel 2")
    page.keyboard.type("the boat at night")
    _tab_to(page, "Generate")
    page.keyboard.press("Enter")
    for number in (0, 1):
        made(page, number).wait_for()
    at_rest(page)
    page.get_by_label("Instruction of panel 2").focus()
    page.keyboard.press("Alt+r")
    panels(page).nth(1).get_by_role("button", name="Picture 2").wait_for()
    page.keyboard.press("Alt+ArrowUp")
    assert panels(page).nth(1).get_by_role("button", name="Picture 1").get_attribute("aria-pressed") == "true"
    page.keyboard.press("Alt+k")
    page.keyboard.press("Alt+ArrowLeft")
    assert panels(page).nth(0).get_attribute("aria-label") == "Panel 1 of 2, kept slot"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert panels(page).nth(1).get_attribute("aria-label") == "Panel 2 of 2, slot"


def test_role_is_changed_in_the_menu_by_arrows(page):
    more = page.get_by_role("button", name="More for panel 1")
    more.focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitemradio", name="Control").wait_for()
    for _ in range(20):
        if _focused(page).startswith("Control"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert panels(page).nth(0).get_attribute("aria-label").endswith("condition, control")
    assert "More for panel 1" in _focused(page)


def test_gallery_is_walked_marked_and_opened_by_keys(page):
    page.locator("panel-card .made").first.wait_for()
    at_rest(page)
    page.keyboard.press("Alt+2")
    page.locator("gallery-item").first.wait_for()
    page.locator("gallery-item .look").first.focus()
    star = page.locator("gallery-item").first.get_by_role("button", name="Favourite", exact=True)
    before = star.get_attribute("aria-pressed")
    page.keyboard.press("f")
    page.wait_for_function(
        "([one, before]) => one.getAttribute('aria-pressed') !== before", arg=[star.element_handle(), before]
    )
    page.keyboard.press("f")
    page.keyboard.press("Space")
    page.get_by_text("1 chosen").wait_for()
    _tab_to(page, "Choose none", most=20, key="Shift+Tab")
    page.keyboard.press("Enter")
    page.locator("gallery-item .look").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="Picture").wait_for()
    _tab_to(page, "Open its page")
    page.keyboard.press("Enter")
    panels(page).nth(1).wait_for()


def test_dialog_holds_the_focus_and_gives_it_back(page):
    opener = page.get_by_role("button", name="Commands")
    opener.focus()
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Find a command").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Find a command").wait_for(state="detached")
    assert _focused(page).startswith("Commands")


def test_every_view_is_reached_by_its_key(page):
    for key, heading in (("2", "Gallery"), ("3", "Skills"), ("4", "Rules lab"), ("1", "Page")):
        page.keyboard.press(f"Alt+{key}")
        page.get_by_role("heading", name=heading, exact=True, level=1).wait_for(state="attached")
