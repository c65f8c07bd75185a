"""Pages as the browser sends them: page files whose images are references to the file store."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from triptych.errors import PageError
from triptych.images import opaque
from triptych.page import Page, Panel, Role
from triptych.pagefile import page_from_record, page_record
from triptych.pageschema import check_entry
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore, file_id

__all__ = ["asked", "checked_page", "page_data", "page_of", "words_of"]


def checked_page(data: object, files: FileStore, where: str = "the page") -> dict[str, Any]:
    """The page as it is kept in a job: all keys known, every image there. Raises StudioError naming the panel."""
    try:
        entry = check_entry(data, where)
    except PageError as error:
        raise StudioError(str(error), code="bad_page", status=422, where=where) from error
    page = entry.model_dump(mode="json", exclude_defaults=True)
    for example, part in enumerate((page, *page.get("context", ()))):
        for number, panel in enumerate(part["panels"], 1):
            place = f"example page {example}, panel {number}" if example else f"panel {number}"
            for key in ("image", "answer"):
                if key in panel:
                    panel[key] = _reference(panel[key], files, place)
    return page


def _reference(text: str, files: FileStore, place: str) -> str:
    file = file_id(text)
    if file is None:
        raise StudioError(
            f"{place}: {text[:60]!r} is not a picture of the studio. Send it to /api/files and use the id it gets.",
            code="bad_page",
            status=422,
            where=place,
        )
    try:
        files.find(file)
    except StudioError:
        raise StudioError(
            f"{place}: its picture is not there any more. Drop it again.", code="bad_page", status=422, where=place
        ) from None
    return f"file:{file}"


def page_of(data: object, read: Callable[[str], Image.Image]) -> Page:
    """The page with its images, which `read` gives by id. Raises PageError naming the panel."""

    def resolve(text: str) -> Image.Image:
        file = file_id(text)
        if file is None:
            raise PageError(f"{text[:60]!r} is not a picture of the studio.")
        return read(file)

    return page_from_record(data, resolve)


def page_data(page: Page, files: FileStore) -> dict[str, Any]:
    """The page as data, its images kept in the file store."""
    return page_record(page, lambda image: f"file:{files.add_image(image).id}")


def asked(page: Page, slots: Sequence[int] | None) -> tuple[Page, tuple[int, ...]]:
    """The page that fills only some panels, and these panels' places in the page as it was.

    `slots` are places of panels, from 0; None fills every slot. A slot that is not to be filled is a condition where
    it has an answer, and is left out where it has none. Raises PageError for a place that is not a slot.
    """
    places = tuple(index for index, panel in enumerate(page.panels) if panel.is_slot)
    if slots is None:
        return page.without_answers(), places
    wanted = set(slots)
    if not wanted or not wanted <= set(places):
        wrong = sorted(wanted - set(places))
        raise PageError(f"slots {wrong or 'to fill'} are not slots of this page; its slots are panels {list(places)}.")
    panels: list[Panel] = []
    for index, panel in enumerate(page.panels):
        if not panel.is_slot:
            panels.append(panel)
        elif index in wanted:
            panels.append(replace(panel, answer=None))
        elif panel.answer is not None:
            # Its boxes said where things were wanted: they stand there now.
            panels.append(Panel(role=Role.SUBJECT, image=opaque(panel.answer), instruction=panel.instruction))
    return replace(page, panels=tuple(panels)), tuple(sorted(wanted))


def words_of(page: dict[str, Any]) -> list[str]:
    """The overview and the instructions of a page's data."""
    texts = [page.get("overview", ""), *(panel.get("instruction", "") for panel in page["panels"])]
    return [text.strip() for text in texts if text and text.strip()]
