"""What a call is answered with: pictures in base64 once the job is done, or events while it is at work."""

import asyncio
import base64
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from PIL import Image

from triptych.images import load_answer, may_be_clear, read_image
from triptych.studio.errors import StudioError
from triptych.studio.jobs import Kind, Lane, State
from triptych.studio.openai.call import FORMATS, Call
from triptych.studio.studio import Studio

__all__ = ["Made", "answered", "error_data", "made_pictures"]

_LONGEST_S = 600.0
_Events = asyncio.Queue[tuple[str, Any]]


def error_data(error: StudioError) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"error": {"message": str(error), "type": kind, "param": error.where, "code": error.code}}


async def answered(studio: Studio, call: Call, request: Request) -> Any:
    """Add the call's job to the queue; its pictures, or the stream of its events."""
    if call.stream:
        headers = {"Cache-Control": "no-store"}
        stack = contextlib.ExitStack()
        events = stack.enter_context(studio.events.tapped())
        try:
            job = await _added(studio, call)
        except BaseException:
            stack.close()
            raise
        stream = _streamed(studio, call, job, events, stack)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
    with studio.events.tapped() as events:
        job = await _added(studio, call)
        async for _ in _until_done(studio, job, events, request):
            pass
    made = await run_in_threadpool(made_pictures, studio, call, job)
    answer = {
        "created": int(time.time()),
        "data": [{"b64_json": each.data} for each in made],
        "background": _background(any(each.is_clear for each in made)),
        "output_format": call.format,
        "quality": "auto",
        "size": _size_text(call),
        "usage": _usage(call),
    }
    if call.warnings:
        answer["warnings"] = call.warnings
    headers = {"X-Triptych-Warnings": str(len(call.warnings))} if call.warnings else None
    return JSONResponse(answer, headers=headers)


async def _added(studio: Studio, call: Call) -> str:
    job = await run_in_threadpool(studio.add_job, Kind.GENERATE, {"request": call.request()}, lane=Lane.LIVE)
    return job["id"]


async def _until_done(
    studio: Studio, job: str, events: _Events, request: Request | None
) -> AsyncIterator[dict[str, Any]]:
    """The previews of a job until it is done. Raises StudioError where it does not come to that."""
    until = time.monotonic() + _LONGEST_S
    while True:
        try:
            event, data = await asyncio.wait_for(events.get(), 1.0)
        except TimeoutError:
            event, data = "job", await run_in_threadpool(studio.jobs.get, job)
        if event == "preview" and data["job"] == job:
            yield data
        if event == "job" and data["id"] == job and data["ended"] is not None:
            if data["state"] == State.DONE:
                return
            error = data["error"] or {"code": data["state"], "message": f"the job was {data['state']}."}
            status = 500 if error["code"] in ("internal", "crashed") else 422
            raise StudioError(error["message"], code=error["code"], status=status)
        if time.monotonic() > until or (request is not None and await request.is_disconnected()):
            await run_in_threadpool(studio.cancel, job)
            raise StudioError("it took too long, or the client is gone.", code="timeout", status=504)


async def _streamed(
    studio: Studio, call: Call, job: str, events: _Events, stack: contextlib.ExitStack
) -> AsyncIterator[bytes]:
    shown = 0

    def event(what: str, image: str, *, is_clear: bool, **more: object) -> bytes:
        look = {"background": _background(is_clear), "output_format": call.format, "quality": "auto"}
        return _event(f"{call.prefix}.{what}", b64_json=image, size=_size_text(call), **look, **more)

    with stack:
        try:
            async for preview in _until_done(studio, job, events, None):
                if shown < call.partial:
                    image = await run_in_threadpool(_preview, call, preview["url"])
                    yield event("partial_image", image, is_clear=False, partial_image_index=shown)
                    shown += 1
            more = {"warnings": call.warnings} if call.warnings else {}
            for each in await run_in_threadpool(made_pictures, studio, call, job):
                yield event("completed", each.data, is_clear=each.is_clear, usage=_usage(call), **more)
        except StudioError as error:
            yield f"event: error\ndata: {json.dumps({'type': 'error', **error_data(error)})}\n\n".encode()
        finally:
            # Whoever asked may have gone.
            studio.cancel(job)


def _event(kind: str, **data: object) -> bytes:
    text = json.dumps({"type": kind, "created_at": int(time.time()), **data})
    return f"event: {kind}\ndata: {text}\n\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A finished picture in base64, and whether parts of it are transparent."""

    data: str
    is_clear: bool


def made_pictures(studio: Studio, call: Call, job: str) -> list[Made]:
    """The finished pictures; PNGs as they were written, with the page in them. JPEG lays them on white."""
    found = []
    for picture in studio.gallery.of_job(job):
        path = studio.files.path(picture["file"])
        data = path.read_bytes()
        is_clear = (
            may_be_clear(path) and load_answer(path).mode == "RGBA" and call.format != "jpeg" and call.mask is None
        )
        if call.format != "png" or call.mask is not None:
            data = _encoded(call, read_image(data, keep_alpha=is_clear))
        found.append(Made(data=base64.b64encode(data).decode(), is_clear=is_clear))
    return found


def _background(is_clear: bool) -> str:
    return "transparent" if is_clear else "opaque"


def _preview(call: Call, url: str) -> str:
    image = read_image(base64.b64decode(url.partition(",")[2]))
    return base64.b64encode(_encoded(call, image)).decode()


def _encoded(call: Call, image: Image.Image) -> bytes:
    if call.mask is not None and call.original is not None:
        kept = call.original.resize(image.size, Image.Resampling.LANCZOS)
        image = Image.composite(image, kept, call.mask.resize(image.size, Image.Resampling.BILINEAR))
    buffer = io.BytesIO()
    options = {} if call.format == "png" else {"quality": max(1, min(95, call.compression))}
    image.save(buffer, format=FORMATS[call.format], **options)
    return buffer.getvalue()


def _usage(call: Call) -> dict[str, Any]:
    words = sum(len(panel.get("instruction", "").split()) for panel in call.page["panels"])
    images = len(call.page["panels"]) - call.slots
    made = call.number * call.slots
    return {
        "input_tokens": words + images,
        "output_tokens": made,
        "total_tokens": words + images + made,
        "input_tokens_details": {"text_tokens": words, "image_tokens": images},
    }


def _size_text(call: Call) -> str:
    return f"{call.size[0]}x{call.size[1]}" if call.size else "auto"
