"""Pictures that were made, and the words they were asked with."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from triptych.studio.downloads import canvas_png, page_file, zipped
from triptych.studio.routes.access import Id, TheStudio
from triptych.studio.schemas import DeletePictures, Marks, PickBody, PictureIds

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["gallery"])


@router.get("/pictures")
def list_pictures(
    studio: TheStudio,
    query: Annotated[str, Query(max_length=500)] = "",
    favourite: bool | None = None,
    rejected: bool | None = None,
    bin: bool = False,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
) -> dict[str, Any]:
    """A part of the gallery, newest first."""
    return studio.gallery.search(
        query=query, favourite=favourite, rejected=rejected, binned=bin, before=before, limit=limit
    )


@router.post("/pictures/delete")
def delete_pictures(body: DeletePictures, studio: TheStudio) -> dict[str, Any]:
    """Into the bin."""
    if body.all_but_favourites:
        return {"deleted": studio.gallery.delete_all_but_favourites()}
    return {"deleted": studio.gallery.delete(body.ids)}


@router.post("/pictures/restore")
def restore_pictures(body: PictureIds, studio: TheStudio) -> dict[str, Any]:
    """Out of the bin."""
    return {"restored": studio.gallery.restore(body.ids)}


@router.post("/bin/empty")
def empty_bin(studio: TheStudio) -> dict[str, Any]:
    """Forget what is in the bin."""
    return {"deleted": studio.gallery.empty_bin()}


@router.post("/pictures/zip", response_class=Response)
def zip_pictures(body: PictureIds, studio: TheStudio) -> Response:
    """The pictures as they are, in one file."""
    data = zipped(studio, body.ids)
    headers = {"Content-Disposition": 'attachment; filename="triptych-pictures.zip"'}
    return Response(data, media_type="application/zip", headers=headers)


@router.get("/pictures/{picture}")
def get_picture(picture: Id, studio: TheStudio) -> dict[str, Any]:
    """One picture with its request, and under `made` the files of the page's slots by panel."""
    found = studio.gallery.get(picture, request=True)
    return found | {"made": studio.gallery.beside(found)}


@router.patch("/pictures/{picture}")
def mark_picture(picture: Id, marks: Marks, studio: TheStudio) -> dict[str, Any]:
    """Set or clear favourite and rejected; what was said is recorded as a pick."""
    marked = studio.gallery.mark(picture, marks.model_dump())
    studio.events.send("picture", marked)
    studio.picks.note(picture)
    return marked


@router.post("/pictures/{picture}/pick")
def pick_picture(picture: Id, pick: PickBody, studio: TheStudio) -> dict[str, Any]:
    """Record that a picture was kept on the page, chosen beside others, or rolled away."""
    studio.gallery.get(picture)
    return {"recorded": studio.picks.note(picture, pick.verdict)}


@router.get("/pictures/{picture}/download", response_class=Response)
def download(
    picture: Id, studio: TheStudio, kind: Annotated[Literal["png", "canvas", "page"], Query(alias="as")] = "png"
) -> Response:
    """The picture with its record, the whole page as one picture, or the page as a file."""
    found = studio.gallery.get(picture, request=True)
    name = f"triptych-{picture}"
    if kind == "png":
        return FileResponse(studio.files.path(found["file"]), media_type="image/png", filename=f"{name}.png")
    if kind == "canvas":
        data, media_type, name = canvas_png(studio, found), "image/png", f"{name}-page.png"
    else:
        data, media_type, name = page_file(studio, found), "application/json", f"{name}-page.json"
    return Response(data, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get("/prompts")
def list_prompts(studio: TheStudio, query: Annotated[str, Query(max_length=500)] = "") -> dict[str, Any]:
    """Words used before; they outlive deleted pictures."""
    return {"items": studio.gallery.prompts(query)}
