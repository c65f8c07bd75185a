"""Files, documents, starter pages, and pages that come back from pictures."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from triptych.studio.files import THUMB_WIDTHS
from triptych.studio.routes.access import BINARY_BODY, Bytes, Id, TheStudio
from triptych.studio.schemas import DocumentBody, DocumentChange

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["pages"])
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


@router.post("/files", openapi_extra=BINARY_BODY)
async def add_file(data: Bytes, studio: TheStudio) -> dict[str, Any]:
    """Keep a picture: JPEG, PNG, WebP, GIF, BMP or TIFF, told by its content."""
    kept = await run_in_threadpool(studio.files.add, data)
    return kept.data()


@router.get("/files/{file}", response_class=FileResponse)
def get_file(
    file: Id, studio: TheStudio, w: Annotated[int | None, Query(ge=1, le=THUMB_WIDTHS[-1])] = None
) -> FileResponse:
    """A picture, or with `w` a WebP of about that width."""
    if w is not None:
        return FileResponse(studio.files.thumb(file, w), media_type="image/webp", headers=_FOREVER)
    found = studio.files.find(file)
    return FileResponse(studio.files.path(file), media_type=found.media_type, headers=_FOREVER)


@router.get("/starters")
def list_starters(studio: TheStudio) -> dict[str, Any]:
    """Ready pages to begin with."""
    return {"items": studio.starters}


@router.get("/documents")
def list_documents(studio: TheStudio) -> dict[str, Any]:
    """Pages that people work on, the last changed first."""
    return {"items": studio.documents.listed()}


@router.post("/documents")
def add_document(body: DocumentBody, studio: TheStudio) -> dict[str, Any]:
    """A new document."""
    return studio.documents.add(body.title, body.page, body.settings)


@router.get("/documents/{document}")
def get_document(document: Id, studio: TheStudio) -> dict[str, Any]:
    """One document."""
    return studio.documents.get(document)


@router.put("/documents/{document}")
def change_document(document: Id, body: DocumentChange, studio: TheStudio) -> dict[str, Any]:
    """Save over the revision that was read; 409 where another one has been saved since."""
    changed = studio.documents.change(document, body.title, body.page, body.settings, body.revision)
    studio.events.send("document", {key: changed[key] for key in ("id", "title", "revision", "updated")})
    return changed


@router.delete("/documents/{document}", status_code=204)
def remove_document(document: Id, studio: TheStudio) -> Response:
    """Delete it; it can be brought back for 30 days, and pictures made from it stay."""
    studio.documents.remove(document)
    return Response(status_code=204)


@router.post("/documents/{document}/restore")
def restore_document(document: Id, studio: TheStudio) -> dict[str, Any]:
    """Bring back one that was deleted in the last 30 days."""
    return studio.documents.restore(document)


@router.post("/recall", openapi_extra=BINARY_BODY)
async def recall(data: Bytes, studio: TheStudio) -> dict[str, Any]:
    """The page and the request of a PNG that Triptych made, anywhere."""

    def ask() -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=studio.folder.root) as scratch:
            path = Path(scratch) / "the picture.png"
            path.write_bytes(data)
            return studio.supervisor.ask("recall", path=str(path))

    return await run_in_threadpool(ask)
