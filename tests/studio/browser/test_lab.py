"""The rules lab: pages with other seeds, tried, built into a set, measured, and the report read in place."""

import pytest
from playwright.sync_api import expect

from page_in_browser import command

pytestmark = pytest.mark.browser


def test_report_of_an_evaluation_is_read_in_the_lab(page):
    command(page, "Go to the rules lab")
    page.get_by_label("Find a rule").fill("negative")
    page.get_by_role("navigation", name="Rules").get_by_role("button", name="negative").first.click()
    page.get_by_role("heading", name="negative", level=2).wait_for()
    page.get_by_role("button", name="Evaluate").click()
    page.get_by_role("menuitem", name="Evaluate pocket with storyboard").click()
    page.get_by_text("Measuring.").wait_for()
    report = page.frame_locator("iframe[title='Report: negative: evaluation']")
    report.get_by_text("storyboard").first.wait_for(timeout=300_000)
    assert report.locator("img").first.evaluate("(one) => one.complete && one.naturalWidth > 0")


def test_rule_is_seen_with_other_seeds_and_tried_on_the_page(page):
    _choose(page, "mirror-line")
    first = page.locator("rules-view .pages img").first
    first.wait_for()
    before = first.get_attribute("src")
    page.get_by_role("button", name="Other seeds").click()
    expect(first).not_to_have_attribute("src", before)
    page.get_by_role("button", name="Try it on the page").click()
    page.get_by_label("Example rows").get_by_role("region", name="Example 2").wait_for()
    page.locator("panel-card .made").first.wait_for()


def test_set_is_built_and_can_be_evaluated(page):
    _choose(page, "sharpen")
    page.get_by_role("button", name="Build a set of 100").click()
    results = page.get_by_role("region", name="Reports and sets")
    built = results.locator(".card").filter(has_text="100 pages of sharpen")
    built.get_by_role("button", name="Evaluate").wait_for(timeout=120_000)
    built.get_by_role("button", name="Evaluate").click()
    page.get_by_role("menuitem", name="Evaluate pocket As it is").click()
    asked = results.get_by_role("button", name="Cancel")
    asked.wait_for()
    asked.click()
    asked.wait_for(state="detached")


def _choose(page, rule: str) -> None:
    command(page, "Go to the rules lab")
    page.get_by_label("Find a rule").fill(rule)
    page.get_by_role("navigation", name="Rules").get_by_role("button", name=rule).first.click()
    page.get_by_role("heading", name=rule, exact=True, level=2).wait_for()
