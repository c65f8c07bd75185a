"""What a first user stumbles on: odd files, a hasty hand, a reload, the way back, a server that goes."""

import io

import pytest
from PIL import Image, features
from playwright.sync_api import expect

from page_in_browser import at_rest, command, drop, found, made, messages, panels, picture

pytestmark = pytest.mark.browser
_AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow cannot write AVIF")


def _steps(page, count: int) -> None:
    """So many steps that there is time to look."""
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("Steps", exact=True).fill(str(count))
    page.get_by_label("Steps", exact=True).press("Tab")
    page.get_by_role("button", name="More settings").click()


@pytest.mark.parametrize(
    ("name", "media", "form"),
    [
        ("IMG_0001.HEIC", "image/heic", "JPEG"),
        ("photograph", "", "JPEG"),
        pytest.param("leaf.avif", "image/avif", "AVIF", marks=_AVIF),
    ],
)
def test_picture_is_taken_by_what_is_in_it(blank, name, media, form):
    drop(blank, panels(blank).nth(0), (name, media, picture("red", (60, 40), form)))
    made(blank, 0).wait_for()
    shown = made(blank, 0).evaluate("async (one) => (await one.decode(), [one.naturalWidth, one.naturalHeight])")
    assert shown == [60, 40]


@pytest.mark.parametrize(
    ("name", "media", "data", "said"),
    [
        ("IMG_0002.HEIC", "image/heic", b"\0\0\0\x18ftypheic" + bytes(200), "HEIC, as iPhones take photographs"),
        ("cut.jpg", "image/jpeg", picture("red", (200, 200), "JPEG")[:900], "damaged or cut short"),
        ("empty.png", "image/png", b"", "is empty"),
        ("notes.txt", "text/plain", b"hello", "That holds no picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(blank, name, media, data, said):
    drop(blank, panels(blank).nth(0), (name, media, data))
    messages(blank).get_by_role("alert").filter(has_text=said).wait_for()
    assert panels(blank).nth(0).get_attribute("aria-label") == "Panel 1 of 1, slot"


@pytest.mark.parametrize("size", [(1, 1), (1, 3000)])
def test_picture_of_one_pixel_across_makes_a_page(blank, size):
    command(blank, "Add a slot")
    drop(blank, panels(blank).nth(0), ("thin.png", "image/png", picture("red", size)))
    made(blank, 0).wait_for()
    blank.get_by_label("Instruction of panel 2").fill("the same")
    blank.get_by_role("button", name="Generate", exact=True).click()
    expect(made(blank, 1).or_(blank.locator("page-view").get_by_role("alert")).first).to_be_visible(timeout=60_000)
    width = blank.evaluate("document.documentElement.scrollWidth")
    assert width <= 1280


def test_slow_reading_is_told_while_it_lasts(blank):
    blank.route("**/api/files", lambda route: (blank.wait_for_timeout(1500), route.continue_()))
    drop(blank, panels(blank).nth(0), ("slow.png", "image/png", picture("red")))
    note = messages(blank).get_by_text("Reading slow.png")
    note.wait_for()
    made(blank, 0).wait_for()
    note.wait_for(state="detached")


def test_stop_is_obeyed_though_its_answer_comes_late(blank):
    blank.get_by_label("Instruction of panel 1").fill("a bicycle in the rain")
    _steps(blank, 100)

    def late(route):
        if route.request.method != "DELETE":
            return route.continue_()
        answer = route.fetch()
        blank.wait_for_timeout(2500)
        return route.fulfill(response=answer)

    blank.route("**/api/jobs/*", late)
    blank.get_by_role("button", name="Generate", exact=True).click()
    blank.get_by_role("button", name="Stop").click()
    at_rest(blank)
    blank.wait_for_timeout(3000)
    assert blank.get_by_role("button", name="Generate", exact=True).is_enabled()
    at_rest(blank)


def test_reload_while_slots_fill_leaves_the_way_to_stop(blank):
    blank.get_by_label("Instruction of panel 1").fill("a tower of glass")
    for _ in range(5):
        command(blank, "Add a slot")
    _steps(blank, 100)
    blank.get_by_role("button", name="4 for each slot").click()
    blank.get_by_role("button", name="Generate", exact=True).click()
    blank.get_by_role("button", name="Stop").wait_for()
    blank.reload()
    blank.wait_for_selector("html[data-ready=true]")
    blank.get_by_role("button", name="Stop").click()
    at_rest(blank)
    blank.get_by_role("button", name="Generate", exact=True).wait_for()
    assert made(blank, 0).count() == 0


def test_way_back_of_the_browser_leaves_a_dialog_and_keeps_the_page(page):
    made(page, 3).wait_for()
    at_rest(page)
    before = page.get_by_label("Instruction of panel 2").input_value()
    page.get_by_role("link", name="Gallery").click()
    page.locator("gallery-item").first.locator(".look").click()
    page.get_by_role("button", name="Open its page").wait_for()
    page.go_back()
    page.locator("picture-dialog").wait_for(state="detached")
    assert page.get_by_label("Instruction of panel 2").input_value() == before
    page.go_forward()
    page.get_by_role("heading", name="Gallery").wait_for()
    assert page.locator("picture-dialog").count() == 0


def test_palette_opens_a_dialog_of_another_view(page):
    command(page, "Teach a skill")
    page.get_by_role("dialog", name="Teach a skill").wait_for()
    page.wait_for_timeout(400)
    assert page.get_by_role("dialog", name="Teach a skill").is_visible()
    assert page.url.endswith("#/skills")


def test_page_without_slots_says_so_before_it_is_asked(blank):
    drop(blank, panels(blank).nth(0), ("one.png", "image/png", picture("red")))
    blank.get_by_role("article", name="Panel 1 of 1, condition").wait_for()
    blank.get_by_text("The page has no empty slot to fill. Add one.").wait_for()
    assert blank.get_by_role("button", name="Generate", exact=True).is_disabled()
    blank.get_by_role("button", name="Add slot").click()
    assert blank.get_by_role("button", name="Generate", exact=True).is_enabled()


def test_panels_that_are_alike_stand_in_columns(blank):
    for _ in range(4):
        command(blank, "Add a slot")
    boxes = [panels(blank).nth(number).locator(".frame").bounding_box() for number in range(5)]
    assert len({round(box["width"]) for box in boxes}) == 1, boxes
    assert boxes[3]["x"] == pytest.approx(boxes[0]["x"], abs=1) and boxes[3]["y"] > boxes[0]["y"] + 50


def test_one_picture_in_two_windows_is_seen_in_both(blank, studio):
    other = blank.context.new_page()
    other.goto(studio)
    other.wait_for_selector("html[data-ready=true]")
    blank.get_by_label("Instruction of panel 1").fill("a lantern of paper")
    blank.get_by_role("button", name="Generate", exact=True).click()
    made(blank, 0).wait_for()
    assert found(other, "a lantern of paper") == 1
    other.close()


def _png(size: tuple[int, int]) -> bytes:
    data = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(data, "PNG", compress_level=0)
    return data.getvalue()


def test_picture_of_forty_megabytes_is_taken(blank, tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(_png((3700, 3700)))
    assert path.stat().st_size > 40 * 10**6
    with blank.expect_file_chooser() as chooser:
        blank.get_by_role("button", name="Add picture").click()
    chooser.value.set_files(str(path))
    blank.get_by_role("article", name="Panel 1 of 2, condition").wait_for()
    made(blank, 0).wait_for()
