"""The shelf of skills, and a look ahead at training one."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from triptych.studio.errors import not_found
from triptych.studio.files import FileStore
from triptych.studio.pages import checked_page
from triptych.studio.routes.access import Id, TheStudio
from triptych.studio.schemas import Export, Preflight, SkillChange
from triptych.studio.shelf import EXPORTS, export_name, file_stem
from triptych.studio.starters import starter_picture

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["skills"])
_TENSORS = "application/octet-stream"


@router.get("/skills")
def list_skills(studio: TheStudio) -> dict[str, Any]:
    """All skills, the newest first."""
    return {
        "items": [
            _with_picture(skill, studio.files) | {"exports": studio.shelf.exports(skill["id"])}
            for skill in studio.shelf.listed()
        ]
    }


def _with_picture(skill: dict[str, Any], files: FileStore) -> dict[str, Any]:
    """A skill of the package shows what the starter page of its name shows."""
    if not skill["shipped"]:
        return skill
    return skill | {"picture": starter_picture(files, skill["id"])}


@router.patch("/skills/{skill}")
def change_skill(skill: Id, change: SkillChange, studio: TheStudio) -> dict[str, Any]:
    """Rename or describe a skill."""
    changed = studio.shelf.change(skill, name=change.name, summary=change.summary)
    studio.events.send("skill", changed)
    return changed


@router.delete("/skills/{skill}", status_code=204)
def remove_skill(skill: Id, studio: TheStudio) -> Response:
    """Into the bin."""
    studio.shelf.remove(skill)
    return Response(status_code=204)


@router.post("/skills/{skill}/restore")
def restore_skill(skill: Id, studio: TheStudio) -> dict[str, Any]:
    """Out of the bin."""
    return studio.shelf.restore(skill)


@router.post("/skills/{skill}/export")
def export_skill(skill: Id, export: Export, studio: TheStudio) -> dict[str, Any]:
    """Write the skill as a LoRA for another program, or a workflow that uses it; the answer says where to fetch it."""
    found = studio.shelf.get(skill)
    path = str(studio.shelf.path(skill))
    studio.supervisor.ask("export", id=skill, path=path, to=export.to, name=found["name"], summary=found["summary"])
    return {"url": f"/api/skills/{skill}/exports/{export.to}"}


@router.get("/skills/{skill}/exports/{to}", response_class=FileResponse)
def fetch_export(skill: Id, to: Id, studio: TheStudio) -> FileResponse:
    """What was exported."""
    found = studio.shelf.get(skill)
    if to not in EXPORTS or not (path := studio.folder.exports / export_name(skill, to)).is_file():
        raise not_found("export", to)
    return FileResponse(path, media_type=_TENSORS, filename=export_name(found["name"], to))


@router.get("/skills/{skill}/download", response_class=FileResponse)
def download_skill(skill: Id, studio: TheStudio) -> FileResponse:
    """The skill's own file."""
    found = studio.shelf.get(skill)
    path = studio.shelf.path(skill)
    return FileResponse(path, media_type=_TENSORS, filename=f"{file_stem(found['name'])}.safetensors")


@router.post("/preflight")
def preflight(body: Preflight, studio: TheStudio) -> dict[str, Any]:
    """What is wrong with pages to learn from, and what a training will take."""
    pages = [checked_page(page, studio.files, f"page {number}") for number, page in enumerate(body.pages, 1)]
    return studio.supervisor.ask("preflight", pages=pages, backbone=body.backbone, steps=body.steps, epochs=body.epochs)
