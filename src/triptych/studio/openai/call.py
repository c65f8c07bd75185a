"""What a call asks for: its fields, checked one by one; what is not known is named in a warning."""

import io
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from triptych.errors import TriptychError
from triptych.images import read_image
from triptych.pagefile import page_from_record
from triptych.pageschema import is_slot
from triptych.sampling.request import Request
from triptych.studio.errors import StudioError
from triptych.studio.pages import page_data
from triptych.studio.requests import request_data
from triptych.studio.studio import Studio

__all__ = ["FORMATS", "MOST_IMAGES", "MOST_RESULTS", "OURS", "Call", "offered", "read_call", "whole", "wrong"]

MOST_IMAGES, MOST_RESULTS, _MOST_PARTIAL = 16, 10, 3
FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
"""What Pillow calls the formats of answers."""
OURS = frozenset({"page", "request"})
"""Fields that hold what is to be made, pictures and all."""
_WORDS = ("prompt", "n", "size", "stream", "partial_images", "response_format", "seed", "model", "user")
_LOOKS = ("output_format", "output_compression", "quality", "background", "moderation", "style", "input_fidelity")
_KNOWN = frozenset((*_WORDS, *OURS, *_LOOKS))
_NO_EFFECT = {"quality": ("auto",), "background": ("auto", "opaque"), "style": (), "input_fidelity": ()}


@dataclass(kw_only=True)
class Call:
    """What a call asks for."""

    prefix: str
    page: dict[str, Any]
    number: int
    slots: int
    size: tuple[int, int] | None
    seed: int
    backbone: str
    asked: dict[str, Any] | None
    """The whole request, where the call has one."""
    format: str
    compression: int
    stream: bool
    partial: int
    original: Image.Image | None = None
    mask: Image.Image | None = None
    warnings: list[str] = field(default_factory=list)

    def request(self) -> dict[str, Any]:
        """The body of a job."""
        size = list(self.size) if self.size else None
        plain = {"page": self.page, "seed": self.seed, "number": self.number, "size_px": size}
        return {**(self.asked or plain), "backbone": self.backbone}


def read_call(studio: Studio, prefix: str, body: Mapping[str, Any], images: list[bytes], mask: bytes | None) -> Call:
    """The call, checked. Raises StudioError naming the field."""
    known = {key: value for key, value in body.items() if key in _KNOWN and value is not None}
    warnings = [f"the field {key[:40]!r} is not known and was left out" for key in body if key not in _KNOWN]
    for key, plain in _NO_EFFECT.items():
        if key in known and known[key] not in plain:
            warnings.append(f"{key} {str(known[key])[:40]!r} has no effect here")
    asked = _request(studio, known)
    backbone = asked["backbone"] if asked else known.get("model", studio.backbones[0])
    if backbone not in studio.backbones:
        warnings.append(f"there is no model {str(backbone)[:40]!r} here; {studio.backbones[0]!r} was used")
        backbone = studio.backbones[0]
    if known.get("response_format", "b64_json") != "b64_json":
        warnings.append("response_format 'url' is not offered; b64_json was sent")
    prompt = known.get("prompt", "")
    if not isinstance(prompt, str) or (not prompt.strip() and not OURS & known.keys()):
        raise wrong("give words", "prompt")
    if len(images) > MOST_IMAGES:
        raise wrong(f"{len(images)} pictures; at most {MOST_IMAGES}", "image")
    page = asked["page"] if asked else _page(studio, known.get("page"), prompt, images)
    call = Call(
        prefix=prefix,
        page=page,
        number=asked["number"] if asked else _between(known.get("n", 1), 1, MOST_RESULTS, "n"),
        slots=sum(map(is_slot, page["panels"])),
        size=_size(known.get("size")),
        seed=_between(known.get("seed", time.time_ns() % 2**31), 0, 2**53, "seed"),
        backbone=backbone,
        asked=asked,
        format=_one_of(known.get("output_format", "png"), FORMATS, "output_format"),
        compression=_between(known.get("output_compression", 100), 0, 100, "output_compression"),
        stream=known.get("stream") is True,
        partial=_between(known.get("partial_images", 0), 0, _MOST_PARTIAL, "partial_images"),
        warnings=warnings,
    )
    if mask is not None and images:
        call.original, call.mask = read_image(images[0], name="image"), _mask(mask)
    return call


def _page(studio: Studio, page: object, prompt: str, images: list[bytes]) -> dict[str, Any]:
    if page is not None:
        try:
            return page_data(page_from_record(page), studio.files)
        except TriptychError as error:
            raise wrong(str(error), "page") from error
    panels: list[dict[str, Any]] = []
    for number, data in enumerate(images):
        role = "edit" if number == 0 else "subject"
        panels.append({"role": role, "image": f"file:{studio.files.add(data).id}"})
    return {"panels": [*panels, {"role": "slot", "instruction": prompt}]}


def _request(studio: Studio, known: Mapping[str, Any]) -> dict[str, Any] | None:
    """The request in the field of that name, as jobs keep it; None without. The model is that of the call, if any."""
    if "request" not in known:
        return None
    try:
        request = Request.from_record(known["request"])
    except TriptychError as error:
        raise wrong(str(error), "request") from error
    data = request_data(request, studio.files, studio.shelf)
    return {**data, "backbone": offered(studio, known.get("model", request.backbone))}


def offered(studio: Studio, name: object) -> str:
    """The name, which must be that of a backbone. Raises StudioError."""
    if not isinstance(name, str) or name not in studio.backbones:
        raise StudioError(
            f"there is no model {str(name)[:80]!r} here; there are {', '.join(studio.backbones)}.",
            code="model_not_found",
            status=404,
            where="model",
        )
    return name


def _mask(data: bytes) -> Image.Image:
    """Where the picture is to be changed: white where the mask is transparent."""
    # The guarded reader lays transparency on white; it goes first, so that nothing unchecked is decoded here.
    read_image(data, name="mask")
    with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as image:
        if not image.has_transparency_data:
            raise wrong("its transparent part says what is to be changed, and it has none", "mask")
        return image.convert("RGBA").getchannel("A").point(lambda alpha: 255 - alpha)


def _size(value: object) -> tuple[int, int] | None:
    if value is None or value == "auto":
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value) if isinstance(value, str) else None
    if match is None or not all(16 <= int(side) <= 4096 for side in match.groups()):
        raise wrong("write 1024x1024 or auto; sides from 16 to 4096", "size")
    return int(match[1]), int(match[2])


def whole(value: object, name: str) -> int:
    """A number that a form sends as text."""
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,15}", value):
        raise wrong("it must be a whole number", name)
    return int(value)


def _between(value: object, low: int, high: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise wrong(f"it must be a whole number from {low} to {high}", name)
    return value


def _one_of(value: object, known: Mapping[str, Any], name: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise wrong(f"it must be one of {', '.join(known)}", name)
    return value


def wrong(what: str, name: str | None) -> StudioError:
    """An error of the field `name`."""
    return StudioError(f"{name or 'request'}: {what}.", code="invalid_value", status=400, where=name)
