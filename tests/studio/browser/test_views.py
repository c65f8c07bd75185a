"""Gallery, skills, rules lab, and what every view owes to who cannot see it."""

from pathlib import Path

import pytest

from page_in_browser import command, drop, generate, panels, picture

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[3]
AXE = ROOT / "scripts" / "web" / "node_modules" / "axe-core" / "axe.min.js"


def _make(page, words: str) -> None:
    drop(page, panels(page).nth(0), ("red.png", "image/png", picture("red")))
    command(page, "Add a slot")
    page.get_by_label("Instruction of panel 2").fill(words)
    page.get_by_role("button", name="2 for each slot").click()
    generate(page)


def test_gallery_finds_marks_bins_and_brings_back(blank):
    _make(blank, "a teapot of glass")
    command(blank, "Go to the gallery")
    blank.get_by_label("Search by words").fill("teapot")
    items = blank.locator("gallery-item")
    blank.get_by_text("2 pictures", exact=True).wait_for()
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
    command(blank, "Go to the gallery")
    blank.get_by_label("Search by words").fill("brass")
    blank.get_by_text("2 pictures", exact=True).wait_for()
    for number in (0, 1):
        item = blank.locator("gallery-item").nth(number)
        item.hover()
        item.get_by_role("checkbox").click()
    blank.get_by_role("toolbar").get_by_role("button", name="Compare").click()
    blank.get_by_role("rowheader", name="seed").wait_for()
    slider = blank.get_by_role("slider")
    slider.fill("90")
    assert slider.input_value() == "90"


def test_gallery_picture_opens_the_page_that_made_it(blank):
    _make(blank, "a chair of straw")
    command(blank, "New page")
    command(blank, "Go to the gallery")
    blank.get_by_label("Search by words").fill("straw")
    blank.get_by_text("2 pictures", exact=True).wait_for()
    blank.locator("gallery-item").first.locator(".look").click()
    blank.get_by_role("button", name="Open its page").click()
    panels(blank).nth(1).wait_for()
    assert blank.get_by_label("Instruction of panel 2").input_value() == "a chair of straw"


def test_rule_is_taught_and_the_skill_stands_on_the_shelf(page):
    command(page, "Go to the rules lab")
    page.get_by_label("Find a rule").fill("outline")
    page.get_by_role("navigation", name="Rules").get_by_role("button", name="outline").first.click()
    page.get_by_role("heading", name="outline").wait_for()
    page.get_by_role("button", name="Teach it from ten").click()
    page.get_by_text("10 of 10").wait_for()
    page.get_by_label("Name").fill("Outlines by test")
    page.get_by_label("Steps").fill("2")
    page.get_by_role("button", name="Look them over").click()
    page.get_by_text("Looked over").wait_for()
    page.get_by_role("button", name="Teach", exact=True).click()
    command(page, "Go to the skills")
    skill = page.locator("li").filter(has_text="Outlines by test")
    skill.get_by_role("button", name="Use on the page").wait_for(timeout=300_000)
    skill.get_by_role("button", name="More for Outlines by test").click()
    page.get_by_role("menuitem", name="Rename and describe").click()
    page.get_by_label("Name").fill("Outlines, renamed")
    page.get_by_label("What it does").fill("draws the edges")
    page.get_by_role("button", name="Save", exact=True).click()
    skill = page.locator("li").filter(has_text="Outlines, renamed")
    skill.get_by_text("draws the edges").wait_for()
    skill.get_by_role("button", name="More for Outlines, renamed").click()
    page.get_by_role("menuitem", name="Move to the bin").click()
    skill.wait_for(state="detached")
    page.get_by_role("button", name="Bring back").click()
    skill.get_by_role("button", name="Use on the page").click()
    page.get_by_role("button", name="Skills: Outlines, renamed").wait_for()


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
    page.wait_for_function("(one) => one.textContent.includes('outline')", arg=waiting.last.element_handle())
    queue.get_by_role("button", name="50 pages of outline: earlier").click()
    queue.get_by_text("50 pages of negative").last.wait_for()
    page.wait_for_timeout(1000)
    assert [name for each in waiting.all_text_contents() for name in names if name in each][-2:] == [
        "outline",
        "negative",
    ]
    queue.get_by_role("button", name="Cancel 50 pages of sharpen").click()
    queue.get_by_role("button", name="Cancel all").click()
    queue.get_by_text("Nothing runs or waits").wait_for()


def test_all_but_favourites_are_cleared_and_their_words_stay(blank, studio):
    _make(blank, "a spoon of bone")
    command(blank, "Go to the gallery")
    blank.get_by_label("Search by words").fill("spoon of bone")
    blank.get_by_text("2 pictures", exact=True).wait_for()
    blank.locator("gallery-item").nth(0).hover()
    blank.locator("gallery-item").nth(0).get_by_role("button", name="Favourite", exact=True).click()
    blank.get_by_role("button", name="Clear all but favourites").click()
    blank.get_by_role("button", name="Move them").click()
    blank.get_by_text("1 picture", exact=True).wait_for()
    blank.get_by_role("button", name="Bin", exact=True).click()
    blank.get_by_text("1 picture", exact=True).wait_for()
    words = [one["text"] for one in blank.request.get(f"{studio}/api/prompts").json()["items"]]
    assert "a spoon of bone" in words


def test_training_is_stopped_and_goes_on_and_is_made_longer(page):
    command(page, "Go to the rules lab")
    page.get_by_role("button", name="Teach it from ten").click()
    page.get_by_text("10 of 10").wait_for()
    page.get_by_label("Name").fill("Stopped by test")
    page.get_by_label("Steps").fill("6")
    page.get_by_role("button", name="Look them over").click()
    page.get_by_text("Looked over").wait_for()
    page.get_by_role("button", name="Teach", exact=True).click()
    command(page, "Go to the skills")
    training = page.get_by_role("article", name="Stopped by test")
    training.get_by_text("train · step").wait_for(timeout=300_000)
    training.get_by_role("button", name="Stop").click()
    training.get_by_role("button", name="Go on from there").click()
    skill = page.locator("li").filter(has_text="Stopped by test")
    skill.get_by_role("button", name="Use on the page").wait_for(timeout=300_000)
    skill.get_by_role("button", name="More for Stopped by test").click()
    page.get_by_role("menuitem", name="Teach it longer").click()
    longer = page.locator("li").filter(has_text="Stopped by test, longer")
    longer.get_by_text("9 steps").wait_for(timeout=300_000)


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
    assert words.input_value() == "the first page"
    words.fill("the first page, changed")
    page.get_by_text("Saved", exact=True).wait_for()
    page.wait_for_timeout(1000)
    after = page.request.get(f"{studio}/api/documents").json()["items"]
    assert len(after) == len(before)
    assert {"the first page, changed", "the second page"} <= {one["title"] for one in after}


def test_two_browsers_show_the_same_work(page, browser, studio):
    page.get_by_label("Overview: what the page as a whole is about").fill("seen by both")
    other = browser.new_context()
    try:
        second = other.new_page()
        second.goto(studio)
        second.wait_for_selector("html[data-ready=true]")
        command(second, "Open a page of before")
        second.get_by_role("button", name="seen by both").first.click()
        panels(second).nth(1).wait_for()
        words = second.get_by_label("Overview: what the page as a whole is about")
        assert words.input_value() == "seen by both"
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
    page.wait_for_timeout(1500)
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
    assert page.get_by_label("Overview: what the page as a whole is about").input_value() == "theirs"
