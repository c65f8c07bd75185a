"""What comes in from outside, and what goes out: pastes, photographs, folders, downloads, and a disk that is full."""

import contextlib
import io
import sqlite3
import time
import zipfile

import pytest
from PIL import Image

from page_in_browser import command, drop, found, generate, made, messages, panels, picture

pytestmark = pytest.mark.browser
_MIDDLE = """async (image) => {
    await image.decode();
    const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
    canvas.getContext('2d').drawImage(image, 0, 0, 1, 1);
    return [...canvas.getContext('2d').getImageData(0, 0, 1, 1).data];
}"""
_PASTE = """([type, bytes]) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([new Uint8Array(bytes)], 'pasted', {type}));
    document.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}));
}"""


def test_pasted_picture_becomes_a_condition(blank):
    blank.evaluate(_PASTE, ["image/png", list(picture("red"))])
    panels(blank).nth(1).wait_for()
    assert panels(blank).nth(0).get_attribute("aria-label") == "Panel 1 of 2, condition, subject"


def test_photograph_of_twelve_megapixels_stands_upright(blank):
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph = Image.radial_gradient("L").resize((4032, 3024)).convert("RGB")
    data = io.BytesIO()
    photograph.save(data, "JPEG", quality=60, exif=exif)
    drop(blank, panels(blank).nth(0), ("IMG_0001.jpg", "image/jpeg", data.getvalue()))
    made(blank, 0).wait_for()
    shown = made(blank, 0).evaluate("async (one) => (await one.decode(), [one.naturalWidth, one.naturalHeight])")
    assert shown == [1024, 1365]
    command(blank, "Add a slot")
    generate(blank)
    made(blank, 1).wait_for()


def test_chosen_pictures_are_saved_as_a_zip_with_their_pages(blank):
    _two(blank, "a kettle of copper")
    for number in (0, 1):
        blank.locator("gallery-item").nth(number).hover()
        blank.locator("gallery-item").nth(number).get_by_role("checkbox").click()
    with blank.expect_download() as saved:
        blank.get_by_role("toolbar").get_by_role("button", name="Zip").click()
    with zipfile.ZipFile(saved.value.path()) as inside:
        names = [name for name in inside.namelist() if name.endswith(".png")]
        assert len(names) == 2
        assert all("triptych" in Image.open(io.BytesIO(inside.read(name))).text for name in names)


@pytest.mark.parametrize(("name", "ending"), [("Picture", ".png"), ("Canvas", ".png"), ("Page file", "")])
def test_picture_is_downloaded(blank, name, ending):
    if not found(blank, "a bowl of jade"):
        command(blank, "Go to the page")
        _two(blank, "a bowl of jade")
    blank.locator("gallery-item").first.locator(".look").click()
    with blank.expect_download() as saved:
        blank.get_by_role("link", name=name, exact=True).click()
    assert saved.value.suggested_filename.endswith(ending)
    assert saved.value.path().stat().st_size > 100


def test_skill_is_downloaded(page):
    command(page, "Go to the skills")
    page.get_by_role("img", name="What storyboard does").wait_for()
    page.get_by_role("button", name="More for storyboard").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="Download the skill file").click()
    assert saved.value.suggested_filename == "storyboard.safetensors"


def test_two_folders_become_pages_by_their_names(page, tmp_path):
    for folder, colour in (("before", "red"), ("after", "blue")):
        (tmp_path / folder).mkdir()
        for number in range(3):
            (tmp_path / folder / f"{number}.png").write_bytes(picture(colour, (64 + number, 64)))
    command(page, "Teach a skill")
    with page.expect_file_chooser() as first:
        page.get_by_role("button", name="Two folders").click()
    with page.expect_file_chooser() as second:
        first.value.set_files(str(tmp_path / "before"))
    second.value.set_files(str(tmp_path / "after"))
    page.get_by_text("3 of 10").wait_for()
    page.get_by_label("Name").fill("Blue by test")
    page.get_by_role("button", name="Look them over").click()
    page.get_by_text("Looked over").wait_for()
    assert page.get_by_role("button", name="Teach", exact=True).is_enabled()
    page.get_by_role("button", name="Remove all").click()


def test_two_folders_dropped_at_once_on_the_page_become_pages(page, tmp_path):
    for folder, colour in (("photos", "red"), ("photos after", "blue")):
        (tmp_path / folder).mkdir()
        for number in range(2):
            (tmp_path / folder / f"{number}.png").write_bytes(picture(colour, (64 + number, 64)))
    (tmp_path / "photos" / "alone.png").write_bytes(picture("green"))
    box = panels(page).nth(0).bounding_box()
    where = {"x": box["x"] + 20, "y": box["y"] + 20}
    data = {"items": [], "files": [str(tmp_path / "photos after"), str(tmp_path / "photos")], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})
    page.get_by_text("2 of 10").wait_for()
    page.get_by_text("1 picture has no partner").wait_for()
    first = page.locator("teach-dialog .pages li").first.locator("img")
    before, after = (first.nth(number).evaluate(_MIDDLE) for number in (0, 1))
    assert before[0] > before[2] and after[2] > after[0], (before, after)
    page.get_by_role("button", name="Remove all").click()


def test_picture_made_before_is_dragged_into_a_panel(blank):
    blank.get_by_label("Instruction of panel 1").fill("a jug of tin")
    generate(blank)
    command(blank, "Add a slot")
    blank.get_by_role("button", name="Made before").click()
    tray = blank.get_by_role("complementary", name="Pictures made before")
    tray.get_by_label("Find a picture by its words").fill("jug of tin")
    blank.wait_for_timeout(800)
    one = tray.get_by_role("button", name="Add to the page: a jug of tin")
    one.first.drag_to(panels(blank).nth(1))
    blank.get_by_role("article", name="Panel 2 of 2, condition, subject").wait_for()
    one.first.click()
    blank.get_by_role("article", name="Panel 1 of 3, condition, subject").wait_for()


def test_picture_of_the_gallery_is_dragged_over_a_tab_into_a_panel(blank):
    blank.get_by_label("Instruction of panel 1").fill("a fork of wood")
    generate(blank)
    command(blank, "Add a slot")
    assert found(blank, "a fork of wood")
    blank.locator("gallery-item").first.hover()
    blank.mouse.down()
    box = blank.get_by_role("link", name="Page", exact=True).bounding_box()
    for step in range(6):
        blank.mouse.move(box["x"] + 10 + step, box["y"] + 20)
        blank.wait_for_timeout(150)
    panels(blank).nth(1).hover()
    panels(blank).nth(1).hover()
    blank.mouse.up()
    blank.get_by_role("article", name="Panel 2 of 2, condition, subject").wait_for()


def test_a_message_is_seen_over_a_dialog(page):
    command(page, "Teach a skill")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add pairs").click()
    chooser.value.set_files({"name": "one.png", "mimeType": "image/png", "buffer": picture("red")})
    said = messages(page).get_by_role("alert").filter(has_text="even number")
    said.get_by_role("button", name="Close this message").click()
    said.wait_for(state="detached")


def test_full_disk_is_said_where_it_was_met_and_work_goes_on_after(blank, data_folder):
    with _full_disk(data_folder):
        command(blank, "Add a slot")
        drop(blank, panels(blank).nth(0), ("new.png", "image/png", picture("teal", (90, 90))))
        said = messages(blank).get_by_role("alert").filter(has_text="there is no room")
        said.wait_for()
        blank.get_by_label("Instruction of panel 1").fill("a green bus")
        blank.get_by_role("button", name="Generate", exact=True).click()
        blank.get_by_label("Page", exact=True).get_by_role("alert").filter(has_text="There is no room").wait_for()
        said.wait_for(state="detached")
    generate(blank)
    made(blank, 0).wait_for()


def test_what_went_wrong_with_a_page_is_not_said_of_the_next(page, data_folder):
    alert = page.get_by_label("Page", exact=True).get_by_role("alert").filter(has_text="There is no room")
    with _full_disk(data_folder):
        page.get_by_role("button", name="Generate", exact=True).click()
        alert.wait_for()
        command(page, "New page")
        alert.wait_for(state="detached")


def test_refusal_of_a_page_that_was_left_takes_nothing_off_the_next(blank, data_folder):
    held = []
    blank.route("**/api/jobs", lambda route: held.append(route))
    blank.get_by_role("switch", name="Live").click()
    blank.get_by_label("Instruction of panel 1").fill("a bus")
    for _ in range(300):
        if held:
            break
        blank.wait_for_timeout(100)
    command(blank, "New page")
    with _full_disk(data_folder):
        drop(blank, panels(blank).nth(0), ("new.png", "image/png", picture("teal", (91, 91))))
        said = messages(blank).get_by_role("alert").filter(has_text="there is no room")
        said.wait_for()
        with blank.expect_response("**/api/jobs") as answer:
            held[0].continue_()
        assert answer.value.status == 507
        blank.wait_for_timeout(300)
        assert said.is_visible()
        assert not blank.get_by_label("Page", exact=True).get_by_role("alert").count()


@contextlib.contextmanager
def _full_disk(folder):
    """A studio that has no room for more pictures."""
    with sqlite3.connect(folder / "studio.sqlite") as store:
        store.execute("INSERT INTO files VALUES (?, 'image/png', 1, 1, ?, ?)", ("f" * 64, 2**40, time.time()))
    try:
        yield
    finally:
        with sqlite3.connect(folder / "studio.sqlite") as store:
            store.execute("DELETE FROM files WHERE id = ?", ("f" * 64,))


def _two(page, words: str) -> None:
    """Two pictures made with these words, found in the gallery."""
    page.get_by_label("Instruction of panel 1").fill(words)
    page.get_by_role("button", name="2 for each slot").click()
    generate(page)
    assert found(page, words)
