"""A PNG that Triptych made, read back to its page."""

from pathlib import Path
from typing import Any

from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore
from triptych.studio.requests import request_data
from triptych.studio.shelf import Shelf

__all__ = ["recall"]


def recall(path: Path, files: FileStore, shelf: Shelf) -> dict[str, Any]:
    """The request of a PNG, its page, and which panel it is.

    Raises StudioError for pictures that it was made from and that are not in the store.
    """
    from triptych.sampling.inputs import MissingInputsError
    from triptych.sampling.record import read_record

    def stored(digest: str) -> Path | None:
        try:
            return files.path(digest)
        except StudioError:
            return None

    try:
        recorded = read_record(path, find=stored)
    except MissingInputsError as error:
        raise StudioError(
            f"The picture names those that it was made from but does not hold them. Not found: {error.missing}. Drop "
            "them onto a page first, then open this one again.",
            code="inputs_missing",
            status=422,
        ) from error
    request = request_data(recorded.request, files, shelf)
    places = [index for index, panel in enumerate(recorded.request.page.panels) if panel.is_slot]
    return {"page": request["page"], "request": request, "slot": places[recorded.slot - 1]}
