"""Pictures on their way out: as a page, as a page file, and many in a zip."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from triptych.canvas import arrange, fit, stitch
from triptych.images import png_bytes
from triptych.page import Page, Panel, Role
from triptych.pagefile import page_record
from triptych.studio.errors import StudioError
from triptych.studio.pages import page_of

if TYPE_CHECKING:
    from triptych.studio.studio import Studio

__all__ = ["canvas_png", "finished_page", "page_file", "zipped"]

_MOST_ZIPPED_BYTES = 1 << 30
_MOST_CANVAS_SIDE_PX = 1024


def finished_page(studio: "Studio", picture: Mapping[str, Any]) -> Page:
    """The page that a picture was made for, with what was made in its slots."""
    page = page_of(picture["request"]["page"], studio.files.read)
    made = studio.gallery.beside(picture)
    panels = [
        replace(panel, answer=studio.files.read(made[index])) if panel.is_slot and index in made else panel
        for index, panel in enumerate(page.panels)
    ]
    return replace(page, panels=tuple(panels))


def canvas_png(studio: "Studio", picture: Mapping[str, Any]) -> bytes:
    """All panels of the page in one picture."""
    page = finished_page(studio, picture)
    shown = []
    for panel in page.panels:
        if panel.picture is not None:
            image = panel.picture
            if max(image.size) > _MOST_CANVAS_SIDE_PX:
                image = image.copy()
                image.thumbnail((_MOST_CANVAS_SIDE_PX, _MOST_CANVAS_SIDE_PX))
            shown.append(Panel(role=Role.SUBJECT, image=image))
    last = shown.pop()
    assert last.image is not None, "conditions have images"
    shown.append(Panel(role=Role.SLOT, answer=last.image, size_px=last.image.size))
    flat = replace(page, panels=tuple(shown), context=())
    canvas = arrange(flat)
    pictures = fit(canvas, [panel.picture for panel in flat.panels if panel.picture is not None])
    return png_bytes(stitch(canvas, [picture for picture, _ in pictures]))


def page_file(studio: "Studio", picture: Mapping[str, Any]) -> bytes:
    """The page with its images inside, as `triptych generate` reads it."""
    return json.dumps(page_record(finished_page(studio, picture)), ensure_ascii=False).encode()


def zipped(studio: "Studio", pictures: Sequence[str]) -> bytes:
    """Pictures as they are. Raises StudioError for none, or for more than a browser should hold."""
    found = [studio.gallery.get(picture) for picture in dict.fromkeys(pictures)]
    paths = [(each, studio.files.path(each["file"])) for each in found]
    size = sum(path.stat().st_size for _, path in paths)
    if not found or size > _MOST_ZIPPED_BYTES:
        raise StudioError(
            f"{len(found)} pictures of {size / 2**20:.0f} MiB together; choose at least one, and at most 1 GiB.",
            code="bad_request",
            status=422,
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for each, path in paths:
            archive.write(path, f"triptych-{each['id']}.png")
    return buffer.getvalue()
