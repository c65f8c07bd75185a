"""What every view owes to who cannot see it, the queue, and pages in two windows."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from page_in_browser import at_rest, command

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[3]
AXE = ROOT / "scripts" / "web" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker of accessibility."""
    if not AXE.is_file():
        pytest.skip("axe-core is not here; scripts/web/check installs it")
    return AXE.read_text()


def _serious(page, axe: str) -> list[str]:
    page.evaluate(axe)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes'][:3]]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["page", "gallery", "skills", "rules"])
def test_view_has_no_serious_finding_of_axe(page, axe, view, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(f"location.hash = '#/{view}'")
    page.wait_for_timeout(1500)
    assert _serious(page, axe) == []


@pytest.mark.parametrize("words", ["Show the queue", "Pages to start from", "Teach a skill", "Open a page of before"])
def test_dialog_has_no_serious_finding_of_axe(page, axe, words):
    command(page, words)
    page.wait_for_timeout(800)
    assert _serious(page, axe) == []
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find a command").wait_for()
    assert _serious(page, axe) == []


@pytest.mark.parametrize("width", [320, 390, 900, 1600])
def test_view_is_never_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    for view in ("page", "gallery", "skills", "rules"):
        page.evaluate(f"location.hash = '#/{view}'")
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} at {width} px"


@pytest.mark.parametrize("width", [390, 1600])
def test_head_reaches_both_edges_of_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 700})
    for view in ("page", "gallery", "skills", "rules"):
        page.evaluate(f"location.hash = '#/{view}'")
        box = page.locator("top-bar").bounding_box()
        assert (box["x"], box["width"]) == (0, width), view


def test_deleted_page_is_brought_back(page):
    page.get_by_label("Overview: what the page as a whole is about").fill("to be deleted")
    page.get_by_text("Saved", exact=True).wait_for()
    command(page, "Open a page of before")
    row = page.get_by_role("listitem").filter(has_text="to be deleted").first
    row.get_by_role("button", name="Delete to be deleted").click()
    page.get_by_text('"to be deleted" is deleted.').wait_for()
    row.wait_for(state="detached")
    page.get_by_role("button", name="Bring back").click()
    row.wait_for()


def test_queue_is_reordered_and_cancelled(page, studio):
    names = ("sharpen", "negative", "outline")
    headers = {"X-Triptych": "1", "Origin": studio}
    long = {"request": {"page": {"panels": [{"role": "slot", "instruction": "first"}] * 8}, "number": 16}}
    bodies = [("generate", long)] + [("build", {"rule": name, "count": 50}) for name in names]
    for kind, body in bodies:
        assert page.request.post(f"{studio}/api/jobs", data={"kind": kind, "body": body}, headers=headers).ok
    command(page, "Show the queue")
    queue = page.get_by_role("complementary", name="Queue")
    waiting = queue.locator("ol").first.locator(".title")
    expect(waiting.last).to_contain_text("outline")
    queue.get_by_role("button", name="50 pages of outline: earlier").click()
    expect(waiting.last).to_contain_text("negative")
    expect(waiting.nth(-2)).to_contain_text("outline")
    queue.get_by_role("button", name="Cancel 50 pages of sharpen").click()
    queue.get_by_role("button", name="Cancel all").click()
    queue.get_by_text("Nothing runs or waits").wait_for()


def test_undo_goes_back_to_the_page_before_and_keeps_each_its_own(page, studio):
    words = page.get_by_label("Overview: what the page as a whole is about")
    words.fill("the first page")
    page.get_by_text("Saved", exact=True).wait_for()
    page.wait_for_timeout(1300)
    command(page, "New page")
    words.fill("the second page")
    page.get_by_text("Saved", exact=True).wait_for()
    before = page.request.get(f"{studio}/api/documents").json()["items"]
    for _ in range(3):
        if words.input_value() == "the first page":
            break
        page.keyboard.press("Control+z")
    expect(words).to_have_value("the first page")
    words.fill("the first page, changed")
    page.get_by_text("Saved", exact=True).wait_for()
    page.wait_for_timeout(1000)
    after = page.request.get(f"{studio}/api/documents").json()["items"]
    assert len(after) == len(before)
    assert {"the first page, changed", "the second page"} <= {one["title"] for one in after}


def test_two_browsers_show_the_same_work(page, browser, studio):
    page.get_by_label("Overview: what the page as a whole is about").fill("seen by both")
    page.wait_for_timeout(300)
    at_rest(page)
    page.get_by_text("Saved", exact=True).wait_for()
    other = browser.new_context()
    try:
        second = other.new_page()
        second.set_default_timeout(30_000)
        second.goto(studio)
        second.wait_for_selector("html[data-ready=true]")
        command(second, "Open a page of before")
        second.get_by_role("button", name="seen by both").first.click()
        words = second.get_by_label("Overview: what the page as a whole is about")
        expect(words).to_have_value("seen by both")
        words.fill("changed by the second")
        second.get_by_text("Saved", exact=True).wait_for()
        second.wait_for_timeout(1000)
        page.get_by_label("Overview: what the page as a whole is about").fill("changed by the first")
        page.get_by_text("changed in another window").wait_for()
        page.get_by_role("button", name="Keep mine as a new page").click()
        page.get_by_text("Saved", exact=True).wait_for()
    finally:
        other.close()


def test_two_windows_on_one_page_the_second_is_told(page, studio):
    page.get_by_label("Overview: what the page as a whole is about").fill("mine")
    page.get_by_text("Saved", exact=True).wait_for()
    document = page.request.get(f"{studio}/api/documents").json()["items"][0]
    whole = page.request.get(f"{studio}/api/documents/{document['id']}").json()
    whole = {key: whole[key] for key in ("title", "page", "revision")} | {"settings": {}}
    whole["page"]["overview"] = "theirs"
    headers = {"X-Triptych": "1", "Origin": studio}
    answer = page.request.put(f"{studio}/api/documents/{document['id']}", data=whole, headers=headers)
    assert answer.ok, answer.text()
    page.get_by_label("Overview: what the page as a whole is about").fill("mine again")
    page.get_by_text("changed in another window").wait_for()
    page.get_by_role("button", name="Show that version").click()
    expect(page.get_by_label("Overview: what the page as a whole is about")).to_have_value("theirs")
