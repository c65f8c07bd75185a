"""What a call is answered with: pictures in base64 once the job is done, or events while it is at work."""

import asyncio
import base64
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from PIL import Image

from triptych.images import read_image
from triptych.studio.errors import StudioError
from triptych.studio.jobs import Kind, Lane, State
from triptych.studio.openai.call import FORMATS, Call
from triptych.studio.studio import Studio

__all__ = ["answered", "error_data"]

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
    data = await run_in_threadpool(_data, studio, call, job)
    answer = {
        "created": int(time.time()),
        "data": [{"b64_json": each} for each in data],
        "background": "opaque",
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
    common = {"background": "opaque", "output_format": call.format, "quality": "auto", "size": _size_text(call)}
    with stack:
        try:
            async for preview in _until_done(studio, job, events, None):
                if shown < call.partial:
                    image = await run_in_threadpool(_preview, call, preview["url"])
                    yield _event(f"{call.prefix}.partial_image", b64_json=image, partial_image_index=shown, **common)
                    shown += 1
            more = {"warnings": call.warnings} if call.warnings else {}
            for image in await run_in_threadpool(_data, studio, call, job):
                yield _event(f"{call.prefix}.completed", b64_json=image, usage=_usage(call), **common, **more)
        except StudioError as error:
            yield f"event: error\ndata: {json.dumps({'type': 'error', **error_data(error)})}\n\n".encode()
        finally:
            # Whoever asked may have gone.
            studio.cancel(job)


def _event(kind: str, **data: object) -> bytes:
    text = json.dumps({"type": kind, "created_at": int(time.time()), **data})
    return f"event: {kind}\ndata: {text}\n\n".encode()


def _data(studio: Studio, call: Call, job: str) -> list[str]:
    """The finished pictures in base64; PNGs as they were written, with the page in them."""
    found = []
    for picture in studio.gallery.of_job(job):
        data = studio.files.path(picture["file"]).read_bytes()
        if call.format != "png" or call.mask is not None:
            data = _encoded(call, read_image(data))
        found.append(base64.b64encode(data).decode())
    return found


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
