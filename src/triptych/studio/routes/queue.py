"""Jobs and events."""

from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from triptych.studio.routes.access import Id, TheStudio
from triptych.studio.schemas import JobBody, Move

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["queue"])


@router.get("/jobs")
def list_jobs(studio: TheStudio) -> dict[str, Any]:
    """What runs and waits, then what ended."""
    return {"items": studio.jobs.listed()}


@router.post("/jobs")
def add_job(job: JobBody, studio: TheStudio) -> dict[str, Any]:
    """Add a job; events tell how it goes."""
    return studio.add_job(job.kind, job.body, lane=job.lane, replaces=job.replaces, document=job.document)


@router.post("/jobs/cancel-all")
def cancel_all(studio: TheStudio) -> dict[str, Any]:
    """Cancel everything that runs or waits."""
    return {"cancelled": [studio.cancel(job)["id"] for job in studio.jobs.active()]}


@router.get("/jobs/{job}")
def get_job(job: Id, studio: TheStudio) -> dict[str, Any]:
    """One job with its body."""
    return studio.jobs.get(job, body=True)


@router.delete("/jobs/{job}")
def cancel_job(job: Id, studio: TheStudio) -> dict[str, Any]:
    """Cancel a job, at once where it waits and within a step where it runs."""
    return studio.cancel(job)


@router.post("/jobs/{job}/move")
def move_job(job: Id, move: Move, studio: TheStudio) -> dict[str, Any]:
    """Put a waiting job in front of another."""
    moved = studio.jobs.move(job, move.before)
    studio.events.send("job", moved)
    return moved


@router.get("/events", response_class=StreamingResponse)
async def events(studio: TheStudio, last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
    """Server-sent events: job, preview, picture, skill, log, worker; resumed by Last-Event-ID."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(studio.events.listen(last_event_id), media_type="text/event-stream", headers=headers)
