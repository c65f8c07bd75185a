"""`/v1/images`: the image API that OpenAI's clients speak, over the same queue.

A page may stand in the field `page`, as page files say it, with images as data URIs: its slots come back as `data`.
Fields that are not known are named in `warnings`; nothing is guessed.
"""

import asyncio
import base64
import contextlib
import io
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from PIL import Image
from starlette.datastructures import UploadFile

from triptych.errors import TriptychError
from triptych.images import read_image
from triptych.pagefile import page_from_record
from triptych.studio.errors import StudioError
from triptych.studio.jobs import Kind, Lane, State
from triptych.studio.pages import page_data
from triptych.studio.routes.access import TheStudio
from triptych.studio.studio import Studio

__all__ = ["error_data", "router"]

router = APIRouter(prefix="/v1/images", tags=["openai"])
_Events = asyncio.Queue[tuple[str, Any]]

_MOST_IMAGES, _MOST_RESULTS, _MOST_PARTIAL = 16, 10, 3
_LONGEST_S = 600.0
_FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
_WORDS = ("prompt", "n", "size", "stream", "partial_images", "response_format", "page", "seed", "model", "user")
_LOOKS = ("output_format", "output_compression", "quality", "background", "moderation", "style", "input_fidelity")
_KNOWN = frozenset((*_WORDS, *_LOOKS))
_NO_EFFECT = {"quality": ("auto",), "background": ("auto", "opaque"), "style": (), "input_fidelity": ()}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["prompt"],
                    "properties": {
                        "image": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "mask": {"type": "string", "format": "binary"},
                        "prompt": {"type": "string"},
                        "n": {"type": "integer", "minimum": 1, "maximum": _MOST_RESULTS},
                        "size": {"type": "string"},
                    },
                }
            }
        },
    }
}


def error_data(error: StudioError) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"error": {"message": str(error), "type": kind, "param": error.where, "code": error.code}}


@dataclass(kw_only=True)
class _Asked:
    """What a call asks for."""

    prefix: str
    page: dict[str, Any]
    number: int
    slots: int
    size: tuple[int, int] | None
    seed: int
    format: str
    compression: int
    stream: bool
    partial: int
    original: Image.Image | None = None
    mask: Image.Image | None = None
    warnings: list[str] = field(default_factory=list)

    def request(self) -> dict[str, Any]:
        size = list(self.size) if self.size else None
        return {"page": self.page, "seed": self.seed, "number": self.number, "size_px": size}


@router.post("/generations")
async def generations(body: Annotated[dict[str, Any], Body()], request: Request, studio: TheStudio) -> Any:
    """Pictures from words, or the slots of a page."""
    asked = await run_in_threadpool(_read, studio, "image_generation", body, [], None)
    return await _answered(studio, asked, request)


@router.post("/edits", openapi_extra=_FORM)
async def edits(request: Request, studio: TheStudio) -> Any:
    """Pictures from pictures and words."""
    fields: dict[str, Any] = {}
    images: list[bytes] = []
    mask: bytes | None = None
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise _wrong("send multipart/form-data, with image and prompt", None)
    async with request.form(max_files=_MOST_IMAGES + 2, max_fields=64) as form:
        for key, value in form.multi_items():
            if isinstance(value, UploadFile):
                data = await value.read()
                if key in ("image", "image[]"):
                    images.append(data)
                elif key == "mask":
                    mask = data
                else:
                    fields[key] = "a file"
            else:
                fields[key] = value
    for key in ("n", "partial_images", "output_compression", "seed"):
        if key in fields:
            fields[key] = _whole(fields[key], key)
    if "stream" in fields:
        fields["stream"] = str(fields["stream"]).lower() in ("true", "1")
    if "page" in fields:
        try:
            fields["page"] = json.loads(fields["page"])
        except (ValueError, RecursionError) as error:
            raise _wrong(f"it is not JSON: {error}", "page") from error
    if not images and "page" not in fields:
        raise _wrong("give at least one picture", "image")
    asked = await run_in_threadpool(_read, studio, "image_edit", fields, images, mask)
    return await _answered(studio, asked, request)


def _read(studio: Studio, prefix: str, body: Mapping[str, Any], images: list[bytes], mask: bytes | None) -> _Asked:
    """The call, checked. Raises StudioError naming the field."""
    known = {key: value for key, value in body.items() if key in _KNOWN and value is not None}
    warnings = [f"the field {key[:40]!r} is not known and was left out" for key in body if key not in _KNOWN]
    for key, plain in _NO_EFFECT.items():
        if key in known and known[key] not in plain:
            warnings.append(f"{key} {str(known[key])[:40]!r} has no effect here")
    name = known.get("model")
    if name is not None and name not in studio.backbones:
        warnings.append(f"there is no model {str(name)[:40]!r} here; {studio.backbones[0]!r} was used")
    if known.get("response_format", "b64_json") != "b64_json":
        warnings.append("response_format 'url' is not offered; b64_json was sent")
    prompt = known.get("prompt", "")
    if not isinstance(prompt, str) or (not prompt.strip() and "page" not in known):
        raise _wrong("give words", "prompt")
    if len(images) > _MOST_IMAGES:
        raise _wrong(f"{len(images)} pictures; at most {_MOST_IMAGES}", "image")
    page = _page(studio, known.get("page"), prompt, images)
    asked = _Asked(
        prefix=prefix,
        page=page,
        number=_between(known.get("n", 1), 1, _MOST_RESULTS, "n"),
        slots=sum(panel.get("role") == "slot" or "image" not in panel for panel in page["panels"]),
        size=_size(known.get("size")),
        seed=_between(known.get("seed", time.time_ns() % 2**31), 0, 2**53, "seed"),
        format=_one_of(known.get("output_format", "png"), _FORMATS, "output_format"),
        compression=_between(known.get("output_compression", 100), 0, 100, "output_compression"),
        stream=known.get("stream") is True,
        partial=_between(known.get("partial_images", 0), 0, _MOST_PARTIAL, "partial_images"),
        warnings=warnings,
    )
    if mask is not None and images:
        asked.original, asked.mask = read_image(images[0], name="image"), _mask(mask)
    return asked


def _page(studio: Studio, page: object, prompt: str, images: list[bytes]) -> dict[str, Any]:
    if page is not None:
        try:
            return page_data(page_from_record(page), studio.files)
        except TriptychError as error:
            raise _wrong(str(error), "page") from error
    panels: list[dict[str, Any]] = []
    for number, data in enumerate(images):
        role = "edit" if number == 0 else "subject"
        panels.append({"role": role, "image": f"file:{studio.files.add(data).id}"})
    return {"panels": [*panels, {"role": "slot", "instruction": prompt}]}


def _mask(data: bytes) -> Image.Image:
    """Where the picture is to be changed: white where the mask is transparent."""
    # The guarded reader lays transparency on white; it goes first, so that nothing unchecked is decoded here.
    read_image(data, name="mask")
    with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as image:
        if not image.has_transparency_data:
            raise _wrong("its transparent part says what is to be changed, and it has none", "mask")
        return image.convert("RGBA").getchannel("A").point(lambda alpha: 255 - alpha)


async def _answered(studio: Studio, asked: _Asked, request: Request) -> Any:
    if asked.stream:
        headers = {"Cache-Control": "no-store"}
        stack = contextlib.ExitStack()
        events = stack.enter_context(studio.events.tapped())
        try:
            job = await _added(studio, asked)
        except BaseException:
            stack.close()
            raise
        stream = _streamed(studio, asked, job, events, stack)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
    with studio.events.tapped() as events:
        job = await _added(studio, asked)
        async for _ in _until_done(studio, job, events, request):
            pass
    data = await run_in_threadpool(_data, studio, asked, job)
    answer = {
        "created": int(time.time()),
        "data": [{"b64_json": each} for each in data],
        "background": "opaque",
        "output_format": asked.format,
        "quality": "auto",
        "size": _size_text(asked),
        "usage": _usage(asked),
    }
    if asked.warnings:
        answer["warnings"] = asked.warnings
    headers = {"X-Triptych-Warnings": str(len(asked.warnings))} if asked.warnings else None
    return JSONResponse(answer, headers=headers)


async def _added(studio: Studio, asked: _Asked) -> str:
    job = await run_in_threadpool(studio.add_job, Kind.GENERATE, {"request": asked.request()}, lane=Lane.LIVE)
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
            raise StudioError("it took too long, or nobody waits any more.", code="timeout", status=504)


async def _streamed(
    studio: Studio, asked: _Asked, job: str, events: _Events, stack: contextlib.ExitStack
) -> AsyncIterator[bytes]:
    shown = 0
    common = {"background": "opaque", "output_format": asked.format, "quality": "auto", "size": _size_text(asked)}
    with stack:
        try:
            async for preview in _until_done(studio, job, events, None):
                if shown < asked.partial:
                    image = await run_in_threadpool(_preview, asked, preview["url"])
                    yield _event(f"{asked.prefix}.partial_image", b64_json=image, partial_image_index=shown, **common)
                    shown += 1
            more = {"warnings": asked.warnings} if asked.warnings else {}
            for image in await run_in_threadpool(_data, studio, asked, job):
                yield _event(f"{asked.prefix}.completed", b64_json=image, usage=_usage(asked), **common, **more)
        except StudioError as error:
            yield f"event: error\ndata: {json.dumps({'type': 'error', **error_data(error)})}\n\n".encode()
        finally:
            # Whoever asked may have gone.
            studio.cancel(job)


def _event(kind: str, **data: object) -> bytes:
    text = json.dumps({"type": kind, "created_at": int(time.time()), **data})
    return f"event: {kind}\ndata: {text}\n\n".encode()


def _data(studio: Studio, asked: _Asked, job: str) -> list[str]:
    """The finished pictures in base64; PNGs as they were written, with the page in them."""
    found = []
    for picture in studio.gallery.of_job(job):
        data = studio.files.path(picture["file"]).read_bytes()
        if asked.format != "png" or asked.mask is not None:
            data = _encoded(asked, read_image(data))
        found.append(base64.b64encode(data).decode())
    return found


def _preview(asked: _Asked, url: str) -> str:
    image = read_image(base64.b64decode(url.partition(",")[2]))
    return base64.b64encode(_encoded(asked, image)).decode()


def _encoded(asked: _Asked, image: Image.Image) -> bytes:
    if asked.mask is not None and asked.original is not None:
        kept = asked.original.resize(image.size, Image.Resampling.LANCZOS)
        image = Image.composite(image, kept, asked.mask.resize(image.size, Image.Resampling.BILINEAR))
    buffer = io.BytesIO()
    options = {} if asked.format == "png" else {"quality": max(1, min(95, asked.compression))}
    image.save(buffer, format=_FORMATS[asked.format], **options)
    return buffer.getvalue()


def _usage(asked: _Asked) -> dict[str, Any]:
    words = sum(len(panel.get("instruction", "").split()) for panel in asked.page["panels"])
    images = len(asked.page["panels"]) - asked.slots
    made = asked.number * asked.slots
    return {
        "input_tokens": words + images,
        "output_tokens": made,
        "total_tokens": words + images + made,
        "input_tokens_details": {"text_tokens": words, "image_tokens": images},
    }


def _size_text(asked: _Asked) -> str:
    return f"{asked.size[0]}x{asked.size[1]}" if asked.size else "auto"


def _size(value: object) -> tuple[int, int] | None:
    if value is None or value == "auto":
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value) if isinstance(value, str) else None
    if match is None or not all(16 <= int(side) <= 4096 for side in match.groups()):
        raise _wrong("write 1024x1024 or auto; sides from 16 to 4096", "size")
    return int(match[1]), int(match[2])


def _whole(value: object, name: str) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,15}", value):
        raise _wrong("it must be a whole number", name)
    return int(value)


def _between(value: object, low: int, high: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(f"it must be a whole number from {low} to {high}", name)
    return value


def _one_of(value: object, known: Mapping[str, Any], name: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise _wrong(f"it must be one of {', '.join(known)}", name)
    return value


def _wrong(what: str, name: str | None) -> StudioError:
    return StudioError(f"{name or 'request'}: {what}.", code="invalid_value", status=400, where=name)
