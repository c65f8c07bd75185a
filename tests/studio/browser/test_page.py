"""Making a page: dropping, filling, keeping, going on, undoing; with the mouse and with the keyboard."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from page_in_browser import at_rest, command, drop, generate, made, messages, panels, picture
from triptych.pageschema import MAX_TEXT_CHARS

pytestmark = pytest.mark.browser
_VARIANT = re.compile(r"^Picture \d+, seed")


_RED = ("red.png", "image/png", picture("red"))


def test_first_visit_the_starter_page_fills_itself(page):
    page.locator("panel-card .made").first.wait_for()
    assert page.get_by_label("Panels", exact=True).locator("panel-card").count() > 1


def test_drop_into_a_slot_it_becomes_a_condition_there(blank):
    command(blank, "Add a slot")
    drop(blank, panels(blank).nth(1), _RED)
    made(blank, 1).wait_for()
    assert panels(blank).nth(0).get_attribute("aria-label") == "Panel 1 of 2, slot"
    assert panels(blank).nth(1).get_attribute("aria-label") == "Panel 2 of 2, condition, subject"


def test_drop_of_two_files_both_enter_in_order(blank):
    drop(blank, panels(blank).nth(0), _RED, ("blue.png", "image/png", picture("blue", (160, 96))))
    panels(blank).nth(1).wait_for()
    sizes = [_size(made(blank, number)) for number in (0, 1)]
    assert sizes[0] == [128, 128]
    assert sizes[1][0] > sizes[1][1]


def test_drop_a_phone_photograph_it_stands_upright(blank):
    exif = Image.Exif()
    exif[0x0112] = 6
    drop(blank, panels(blank).nth(0), ("phone.jpg", "image/jpeg", picture("red", (192, 96), "JPEG", exif=exif)))
    made(blank, 0).wait_for()
    width, height = _size(made(blank, 0))
    assert height > width


def test_drop_of_text_is_refused_in_words(blank):
    drop(blank, panels(blank).nth(0), ("notes.txt", "text/plain", b"hello"))
    messages(blank).get_by_role("alert").filter(has_text="no picture").wait_for()
    drop(blank, panels(blank).nth(0), ("broken.png", "image/png", b"hello"))
    messages(blank).get_by_role("alert").filter(has_text="broken.png").wait_for()
    assert panels(blank).count() == 1


def test_generate_variants_stand_side_by_side(blank):
    drop(blank, panels(blank).nth(0), _RED)
    command(blank, "Add a slot")
    blank.get_by_label("Instruction of panel 2").fill("the same in blue")
    blank.get_by_role("button", name="2 for each slot").click()
    generate(blank)
    strip = panels(blank).nth(1).get_by_role("button", name=_VARIANT)
    assert strip.count() == 2
    before = made(blank, 1).get_attribute("src")
    strip.nth(0).click()
    assert made(blank, 1).get_attribute("src") != before


def test_slots_say_that_they_are_being_filled(blank):
    command(blank, "Add a slot")
    for number in (1, 2):
        blank.get_by_label(f"Instruction of panel {number}").fill("a green door")
    blank.get_by_role("button", name="4 for each slot").click()
    blank.get_by_role("button", name="Generate", exact=True).click()
    for number in (1, 2):
        blank.get_by_role("progressbar", name=f"Slot {number} is being filled").wait_for()
    blank.get_by_role("button", name="Generate", exact=True).wait_for()
    assert blank.get_by_role("progressbar", name="is being filled").count() == 0


def _story(page):
    """One condition and two filled slots."""
    drop(page, panels(page).nth(0), _RED)
    command(page, "Add a slot")
    command(page, "Add a slot")
    page.get_by_label("Instruction of panel 2").fill("on a beach")
    page.get_by_label("Instruction of panel 3").fill("in a forest")
    generate(page)


def test_make_again_only_that_slot_changes(blank):
    _story(blank)
    second, third = (made(blank, number).get_attribute("src") for number in (1, 2))
    panels(blank).nth(1).hover()
    blank.get_by_role("button", name="Make slot 2 again").click()
    panels(blank).nth(1).get_by_role("button", name="Picture 2").wait_for()
    assert made(blank, 1).get_attribute("src") != second
    assert made(blank, 2).get_attribute("src") == third


def test_keep_and_continue_the_story(blank):
    _story(blank)
    blank.get_by_role("button", name="Continue the story").click()
    assert panels(blank).nth(3).get_attribute("aria-label") == "Panel 4 of 4, slot"
    assert panels(blank).nth(1).get_attribute("aria-label") == "Panel 2 of 4, kept slot"
    kept = made(blank, 1).get_attribute("src")
    generate(blank)
    made(blank, 3).wait_for()
    assert made(blank, 1).get_attribute("src") == kept
    blank.get_by_role("button", name="Panel 2 is kept; let it go").click()
    assert panels(blank).nth(1).get_attribute("aria-label") == "Panel 2 of 4, slot"


def test_undo_goes_back_through_a_reload(blank):
    words = blank.get_by_label("Overview: what the page as a whole is about")
    command(blank, "Add a slot")
    words.fill("two of them")
    blank.get_by_text("Saved", exact=True).wait_for()
    blank.reload()
    blank.wait_for_selector("html[data-ready=true]")
    expect(words).to_have_value("two of them")
    assert panels(blank).count() == 2
    blank.get_by_role("button", name="Undo").click()
    expect(words).to_have_value("")
    blank.get_by_role("button", name="Undo").click()
    assert panels(blank).count() == 1
    blank.keyboard.press("Control+Shift+z")
    assert panels(blank).count() == 2


def test_move_panels_by_mouse_and_by_keys(blank):
    for number, words in enumerate(("one", "two", "three"), 1):
        if number > 1:
            command(blank, "Add a slot")
        blank.get_by_label(f"Instruction of panel {number}").fill(words)
    _grip(blank, 1).focus()
    blank.keyboard.press("ArrowRight")
    assert _words(blank) == ["two", "one", "three"]
    panels(blank).nth(2).hover()
    _grip(blank, 3).drag_to(panels(blank).nth(0), target_position={"x": 8, "y": 40})
    assert _words(blank) == ["three", "two", "one"]


def test_live_a_changed_word_changes_the_picture(blank, studio):
    drop(blank, panels(blank).nth(0), _RED)
    command(blank, "Add a slot")
    blank.get_by_role("switch", name="Live").click()
    made(blank, 1).wait_for()
    at_rest(blank)
    before = made(blank, 1).get_attribute("src")
    blank.get_by_label("Instruction of panel 2").press_sequentially("as an outline", delay=30)
    blank.wait_for_function(
        "(before) => { const q = (node, name) => node.querySelector(name)?.shadowRoot ?? node.querySelector(name);"
        " const cards = q(q(document, 'studio-app'), 'page-view').querySelectorAll('panel-card');"
        " const now = cards[1].shadowRoot.querySelector('.frame > img').getAttribute('src');"
        " return now !== before && now.startsWith('/api/files/'); }",
        arg=before,
    )
    assert panels(blank).nth(1).get_by_role("button", name=_VARIANT).count() == 0
    newest, before = (blank.request.get(f"{studio}/api/pictures?limit=1&bin={binned}") for binned in ("false", "true"))
    seeds = [answer.json()["items"][0]["seed"] for answer in (newest, before)]
    assert seeds[0] == seeds[1], "a changed word keeps the seed, so that one sees what the word does"


def test_slot_is_resized_from_its_menu(blank):
    blank.get_by_label("Instruction of panel 1").fill("a wide field")
    blank.get_by_role("button", name="More for panel 1").click()
    blank.get_by_role("menuitemradio", name="Wide 3:2").click()
    generate(blank)
    made(blank, 0).wait_for()
    width, height = _size(made(blank, 0))
    assert 1.4 < width / height < 1.6


def test_recall_a_png_brings_its_page_back(blank, studio):
    _story(blank)
    newest = blank.request.get(f"{studio}/api/pictures?limit=1").json()["items"][0]
    data = blank.request.get(f"{studio}/api/pictures/{newest['id']}/download?as=png").body()
    assert Image.open(io.BytesIO(data)).text["triptych"]
    command(blank, "New page")
    drop(blank, panels(blank).nth(0), ("made.png", "image/png", data))
    blank.get_by_role("button", name="Open its page").click()
    messages(blank).get_by_text("Its page is back").wait_for()
    assert panels(blank).count() == 3
    expect(blank.get_by_label("Instruction of panel 2")).to_have_value("on a beach")


def test_keyboard_alone_makes_a_picture(blank):
    drop(blank, panels(blank).nth(0), _RED)
    blank.keyboard.press("Alt+n")
    blank.get_by_label("Instruction of panel 2").focus()
    blank.keyboard.type("as a sticker")
    blank.keyboard.press("Control+Enter")
    blank.get_by_role("button", name="Stop").wait_for()
    blank.get_by_role("button", name="Generate", exact=True).wait_for()
    made(blank, 1).wait_for()
    blank.keyboard.press("Alt+k")
    assert panels(blank).nth(1).get_attribute("aria-label") == "Panel 2 of 2, kept slot"
    blank.keyboard.press("Alt+ArrowLeft")
    assert panels(blank).nth(0).get_attribute("aria-label") == "Panel 1 of 2, kept slot"


def test_more_than_the_backbone_takes_is_said_before(blank, studio):
    most = blank.request.get(f"{studio}/api/info").json()["backbones"][0]["max_conditions"]
    files = [(f"{number}.png", "image/png", picture("red", (40 + number, 40))) for number in range(most + 1)]
    drop(blank, panels(blank).nth(0), *files)
    panels(blank).nth(most).wait_for()
    command(blank, "Add a slot")
    blank.get_by_text(f"takes {most} pictures at most").wait_for()
    assert blank.get_by_role("button", name="Generate", exact=True).is_disabled()


def test_texts_may_be_as_long_as_a_page_takes_them(blank):
    for field in (blank.get_by_label("Instruction of panel 1"), blank.get_by_label("Overview: what the page")):
        assert field.get_attribute("maxlength") == str(MAX_TEXT_CHARS)


def _grip(page, number: int):
    return page.get_by_role("button", name=f"Move panel {number}: drag")


def _words(page) -> list[str]:
    return [page.get_by_label(f"Instruction of panel {number}").input_value() for number in (1, 2, 3)]


def _size(image) -> list[int]:
    image.wait_for()
    return image.evaluate("async (image) => (await image.decode(), [image.naturalWidth, image.naturalHeight])")
