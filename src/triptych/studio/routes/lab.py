"""Rules, reports, and what the studio can do."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse

from triptych.data.build import built_page
from triptych.data.rules import HELD_OUT_RULES, RULES, find_rule
from triptych.data.sources import ShapeSource
from triptych.errors import SourceError
from triptych.studio.errors import StudioError, not_found
from triptych.studio.files import MAX_UPLOAD_BYTES
from triptych.studio.jobs import MOST_WAITING
from triptych.studio.pages import page_data
from triptych.studio.routes.access import Id, TheStudio
from triptych.studio.schemas import RulePages
from triptych.version import __version__

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["lab"])
_REPORT_POLICY = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
_REPORT_TYPES = {".html": "text/html; charset=utf-8", ".png": "image/png", ".webp": "image/webp"}
_RuleName = Annotated[str, Path(min_length=1, max_length=200)]


@router.get("/info")
def info(studio: TheStudio) -> dict[str, Any]:
    """The version, backbones and what each can do, and limits."""
    return {
        "version": __version__,
        "backbones": studio.backbone_facts(),
        "default_backbone": studio.backbones[0],
        "worker": studio.supervisor.state,
        "limits": {"upload_bytes": MAX_UPLOAD_BYTES, "queue": MOST_WAITING, "disk_bytes": studio.limit_bytes},
    }


@router.get("/health")
def health(studio: TheStudio) -> dict[str, Any]:
    """Whether the server and its worker are there."""
    return {"state": "ok", "worker": studio.supervisor.state, "jobs_waiting": studio.jobs.waiting()}


@router.get("/rules")
def list_rules() -> dict[str, Any]:
    """Every rule of the package."""
    rows = sorted(RULES.values(), key=lambda rule: (rule.family, rule.name))
    return {
        "items": [
            {
                "name": rule.name,
                "family": rule.family,
                "summary": rule.description,
                "held_out": rule.name in HELD_OUT_RULES,
                "shots": 3,
            }
            for rule in rows
        ]
    }


@router.post("/rules/{name}/pages")
def rule_pages(name: _RuleName, body: RulePages, studio: TheStudio) -> dict[str, Any]:
    """Answered pages of a rule; the same seed gives the same pages."""
    if ".py" in name:
        raise not_found("rule", name)
    try:
        rule = find_rule(name)
        pages = [
            built_page(rule, ShapeSource(), body.seed, index, size_px=body.size_px, one_task=True)
            for index in range(body.count)
        ]
    except SourceError as error:
        raise StudioError(str(error)[:500], code="not_found", status=404) from error
    return {"items": [page_data(page, studio.files) for page in pages]}


@router.get("/reports/{job}/{name}", response_class=FileResponse)
def report_file(job: Id, name: Annotated[str, Path(max_length=100)], studio: TheStudio) -> FileResponse:
    """A file of an evaluation's report."""
    path = studio.folder.reports / job / name
    media_type = _REPORT_TYPES.get(path.suffix.lower())
    if path.name != name or "\0" in name or media_type is None or not path.is_file() or path.is_symlink():
        raise not_found("report", name)
    headers = {"Content-Security-Policy": _REPORT_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return FileResponse(path, media_type=media_type, headers=headers)
