"""A PNG that Triptych made, read back to its page."""

from pathlib import Path
from typing import Any

from triptych.studio.files import FileStore
from triptych.studio.requests import request_data
from triptych.studio.shelf import Shelf

__all__ = ["recall"]


def recall(path: Path, files: FileStore, shelf: Shelf) -> dict[str, Any]:
    """The request of a PNG, its page, and which panel it is."""
    from triptych.sampling.record import read_record

    recorded = read_record(path)
    request = request_data(recorded.request, files, shelf)
    places = [index for index, panel in enumerate(recorded.request.page.panels) if panel.is_slot]
    return {"page": request["page"], "request": request, "slot": places[recorded.slot - 1]}
