"""Requests as the browser sends them: `triptych.Request`, with skills by id and images as references."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from PIL import Image

from triptych.errors import TriptychError
from triptych.sampling.request import Request
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore, file_id
from triptych.studio.pages import asked, checked_page
from triptych.studio.shelf import Shelf

__all__ = ["MOST_VARIANTS", "checked_request", "request_data", "request_of"]

MOST_VARIANTS = 16
_BLANK = Image.new("RGB", (16, 16))


def checked_request(data: Mapping[str, Any], slots: list[int] | None, files: FileStore, shelf: Shelf) -> dict[str, Any]:
    """The request as it is kept in a job. Raises StudioError that says what to change."""
    page = checked_page(data.get("page"), files)
    skills = [_skill_use(use, shelf) for use in data.get("skills") or []]
    checked = {key: value for key, value in data.items() if value is not None} | {"page": page, "skills": skills}
    try:
        request = request_of(checked, lambda _: _BLANK)
        asked(request.page, slots)
    except StudioError:
        raise
    except TriptychError as error:
        raise StudioError(str(error), code="bad_request", status=422, where="the request") from error
    if request.number > MOST_VARIANTS:
        raise StudioError(
            f"number is {request.number}; a job makes at most {MOST_VARIANTS} variants. Send several jobs.",
            code="bad_request",
            status=422,
            where="number",
        )
    return checked


def request_of(data: Mapping[str, Any], read: Callable[[str], Image.Image]) -> Request:
    """The request with its pictures, which `read` gives by id."""

    def resolve(text: str) -> Image.Image:
        file = file_id(text)
        if file is None:
            raise StudioError(f"{text[:60]!r} is not a picture of the studio.", code="bad_page", status=422)
        return read(file)

    skills = [{("name" if key == "id" else key): value for key, value in use.items()} for use in data.get("skills", ())]
    return Request.from_record({**data, "skills": skills}, resolve=resolve)


def request_data(request: Request, files: FileStore, shelf: Shelf) -> dict[str, Any]:
    """The request as data for the browser: its images kept, its skills by id where they are on the shelf."""
    record = replace(request, page=request.page).record(lambda image: f"file:{files.add_image(image).id}")
    ids = {skill["name"]: skill["id"] for skill in reversed(shelf.listed())}
    for use in record["skills"]:
        name = use.pop("name")
        use["id"] = ids.get(name, name)
    return record


def _skill_use(use: object, shelf: Shelf) -> dict[str, Any]:
    if not isinstance(use, dict):
        raise StudioError("each of skills is an object with id and weight.", code="bad_request", status=422)
    name = use.get("id") or use.get("name")
    if not isinstance(name, str):
        raise StudioError("a skill needs an id; /api/skills lists them.", code="bad_request", status=422)
    shelf.get(name)
    kept = {key: value for key, value in use.items() if key not in ("id", "name") and value is not None}
    return {"id": name, **kept}
