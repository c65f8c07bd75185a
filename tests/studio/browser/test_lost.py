"""A studio that goes away while one works, and comes back."""

import re

import pytest
from playwright.sync_api import expect

from page_in_browser import at_rest, made, messages

pytestmark = pytest.mark.browser


def _opened(browser, url: str):
    """The studio's first page, filled and at rest."""
    page = browser.new_context(reduced_motion="reduce").new_page()
    page.set_default_timeout(60_000)
    page.goto(url)
    made(page, 3).wait_for()
    at_rest(page)
    return page


def test_lost_studio_is_told_once_and_all_goes_on_when_it_is_back(browser, mortal):
    url, kill, start = mortal
    page = _opened(browser, url)
    kill()
    told = page.get_by_role("alert").filter(has_text="Start it again with: triptych studio")
    told.wait_for()
    page.get_by_label("Instruction of panel 2").fill("close-up, in a cave")
    page.get_by_text("Kept in this window", exact=True).wait_for()
    for view in ("Gallery", "Skills", "Rules lab"):
        page.get_by_role("link", name=view).click()
        page.wait_for_timeout(700)
        assert page.get_by_role("alert").count() == 1, view
    start()
    told.wait_for(state="detached")
    page.get_by_role("heading", name="checkerboard").wait_for()
    page.get_by_role("link", name="Gallery").click()
    page.locator("gallery-item").first.wait_for()
    page.get_by_role("link", name="Page", exact=True).click()
    page.get_by_text("Saved", exact=True).wait_for()
    assert page.get_by_label("Instruction of panel 2").input_value() == "close-up, in a cave"
    assert messages(page).get_by_role("alert").count() == 0
    page.context.close()


def test_jobs_of_a_killed_studio_are_done_and_their_slots_filled(browser, mortal):
    url, kill, start = mortal
    page = _opened(browser, url)
    page.get_by_role("switch", name="Live").click()
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("Steps", exact=True).fill("60")
    page.get_by_label("Steps", exact=True).press("Tab")
    before = made(page, 1).get_attribute("src")
    page.get_by_role("button", name="Generate", exact=True).click()
    page.get_by_role("button", name="Stop").wait_for()
    kill()
    page.get_by_role("button", name="Queue: No connection").wait_for()
    start()
    page.get_by_role("button", name="Generate", exact=True).wait_for(timeout=120_000)
    at_rest(page)
    expect(made(page, 1)).not_to_have_attribute("src", before)
    expect(made(page, 1)).to_have_class(re.compile("made"))
    page.context.close()
