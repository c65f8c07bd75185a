"""What a person does at the studio's page, for the browser tests."""

import io
from urllib.parse import parse_qs, urlsplit

from PIL import Image, ImageDraw


def command(page, words: str) -> None:
    """Run a command by its words, with the keyboard."""
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find a command").fill(words)
    page.keyboard.press("Enter")


def picture(colour: str, size: tuple[int, int] = (128, 128), form: str = "PNG", **more) -> bytes:
    """A disc of a colour."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).ellipse((size[0] // 5, size[1] // 5, size[0] * 4 // 5, size[1] * 4 // 5), fill=colour)
    data = io.BytesIO()
    image.save(data, form, **more)
    return data.getvalue()


def drop(page, target, *files: tuple[str, str, bytes]) -> None:
    """Let files (name, type, bytes) fall on an element, as from the desktop."""
    transfer = page.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, type, bytes] of files) {
                transfer.items.add(new File([new Uint8Array(bytes)], name, {type}));
            }
            return transfer;
        }""",
        [[name, media, list(data)] for name, media, data in files],
    )
    for event in ("dragenter", "dragover", "drop"):
        target.dispatch_event(event, {"dataTransfer": transfer})


def messages(page):
    """What is said at the edge of the page, apart from what the page itself says."""
    return page.get_by_role("log", name="Messages")


def at_rest(page) -> None:
    """Wait until nothing runs or waits: no picture will come that was not asked for."""
    page.get_by_role("button", name="Queue: Idle").wait_for(timeout=120_000)


def found(page, words: str) -> int:
    """How many pictures the gallery finds by these words."""
    command(page, "Go to the gallery")
    with page.expect_response(lambda answer: words in parse_qs(urlsplit(answer.url).query).get("query", [])):
        page.get_by_label("Search by words").fill(words)
    page.locator("gallery-view main[aria-busy=false]").wait_for()
    # Pictures are in the document only while they are near the window, so the heading is asked.
    told = page.locator("gallery-view header").get_by_role("status").inner_text()
    return int(told.split()[0].replace(",", ""))


def panels(page):
    """The panels of the page, in order."""
    return page.get_by_role("article", name="Panel")


def made(page, number: int):
    """The picture in panel `number` (from 0)."""
    return panels(page).nth(number).locator(".frame > img")


def generate(page) -> None:
    """Press the button and wait until there is a new picture and nothing is at work. It may be quicker than an eye."""
    before = _newest(page)
    page.get_by_role("button", name="Generate", exact=True).click()
    for _ in range(600):
        if _newest(page) != before:
            break
        page.wait_for_timeout(100)
    page.get_by_role("button", name="Generate", exact=True).wait_for()


def _newest(page) -> str | None:
    """The picture that the gallery begins with."""
    parts = urlsplit(page.url)
    kept = page.request.get(f"{parts.scheme}://{parts.netloc}/api/pictures?limit=1").json()["items"]
    return kept[0]["id"] if kept else None
