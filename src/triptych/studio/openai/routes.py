"""The addresses `/v1/models`, `/v1/images/generations` and `/v1/images/edits`."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from triptych.studio.openai.answer import answered
from triptych.studio.openai.call import MOST_IMAGES, MOST_RESULTS, OURS, offered, read_call, whole, wrong
from triptych.studio.routes.access import TheStudio

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["openai"])
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
                        "n": {"type": "integer", "minimum": 1, "maximum": MOST_RESULTS},
                        "size": {"type": "string"},
                    },
                }
            }
        },
    }
}


@router.get("/models")
def models(studio: TheStudio) -> dict[str, Any]:
    """The backbones that are offered, and the card of each that is known before it is loaded."""
    return {"object": "list", "data": [_model(name, card) for name, card in studio.cards().items()]}


@router.get("/models/{name:path}")
def model(name: Annotated[str, Path(max_length=200)], studio: TheStudio) -> dict[str, Any]:
    """One of them."""
    return _model(offered(studio, name), studio.cards()[name])


def _model(name: str, card: dict[str, Any] | None) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "triptych", "card": card}


@router.post("/images/generations")
async def generations(body: Annotated[dict[str, Any], Body()], request: Request, studio: TheStudio) -> Any:
    """Pictures from words, or the slots of a page."""
    call = await run_in_threadpool(read_call, studio, "image_generation", body, [], None)
    return await answered(studio, call, request)


@router.post("/images/edits", openapi_extra=_FORM)
async def edits(request: Request, studio: TheStudio) -> Any:
    """Pictures from pictures and words."""
    fields: dict[str, Any] = {}
    images: list[bytes] = []
    mask: bytes | None = None
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise wrong("send multipart/form-data, with image and prompt", None)
    async with request.form(max_files=MOST_IMAGES + 2, max_fields=64) as form:
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
            fields[key] = whole(fields[key], key)
    if "stream" in fields:
        fields["stream"] = str(fields["stream"]).lower() in ("true", "1")
    for key in OURS & fields.keys():
        try:
            fields[key] = json.loads(fields[key])
        except (ValueError, RecursionError) as error:
            raise wrong(f"it is not JSON: {error}", key) from error
    if not images and not OURS & fields.keys():
        raise wrong("give at least one picture", "image")
    call = await run_in_threadpool(read_call, studio, "image_edit", fields, images, mask)
    return await answered(studio, call, request)
