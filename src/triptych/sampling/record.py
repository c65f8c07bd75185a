"""What a generated PNG says of itself: all that is needed to make its pixels again, in one text chunk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triptych.errors import ImageError
from triptych.images import MAX_TEXT_BYTES, read_png_text
from triptych.models.backbone import Card, Conditioning
from triptych.page import Page
from triptych.pagefile import page_from_record, page_record
from triptych.sampling.result import Result
from triptych.sampling.working import working_page
from triptych.version import __version__

__all__ = ["KEY", "Recorded", "read_record", "recorded_page", "result_text"]

KEY = "triptych"
"""Name of the text chunk."""

_ROOM_FOR_REST = 2**16


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    backbone: str
    skill: str | None
    seed: int
    steps: int = Field(ge=1)
    conditioning: Conditioning
    guidance: float | None
    size_px: tuple[int, int] | int | None
    slot: int = Field(ge=1)
    """Which of the page's slots the picture fills, from 1."""
    page: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """How a picture was made: the arguments of `generate`, and the slot it fills, from 1."""

    page: Page
    slot: int
    backbone: str
    skill: str | None
    seed: int
    steps: int
    conditioning: Conditioning
    guidance: float | None
    size_px: tuple[int, int] | int | None
    version: str


def recorded_page(page: Page, card: Card, size_px: tuple[int, int] | int | None) -> dict[str, Any]:
    """The page as data for a text chunk: its own pixels, or, where these are too many, those that the backbone sees.

    Either makes the same pictures again. Raises ImageError where even the smaller ones do not fit.
    """
    for candidate in (page, _as_seen(page, card, size_px)):
        record = page_record(candidate.without_answers())
        size = len(json.dumps(record, ensure_ascii=False).encode())
        if size + _ROOM_FOR_REST <= MAX_TEXT_BYTES:
            return record
    raise ImageError(
        f"the page's pictures take {size / 2**20:.0f} MiB, and a PNG that carries them at most "
        f"{MAX_TEXT_BYTES // 2**20} MiB. Use fewer example pages or a smaller size."
    )


def _as_seen(page: Page, card: Card, size_px: tuple[int, int] | int | None) -> Page:
    working = working_page(page, card, size_px)
    if card.fixed_side:
        # Squares on white say nothing of the aspect that answers are cut to; keep what was asked.
        sizes = [
            panel.size_px or next((c.image.size for c in page.conditions if c.image), None) for panel in page.slots
        ]
    else:
        sizes = [old.size_px or new.size_px for old, new in zip(page.slots, working.slots, strict=True)]
    queue = iter(sizes)
    panels = tuple(replace(panel, size_px=next(queue)) if panel.is_slot else panel for panel in working.panels)
    return replace(working, panels=panels)


def result_text(result: Result, slot: int, page: Mapping[str, Any]) -> dict[str, str]:
    """The text chunk of the picture in a slot (from 1); `page` is `recorded_page` of the result's page."""
    facts = _Facts(
        version=__version__,
        backbone=result.backbone,
        skill=result.skill,
        seed=result.seed,
        steps=result.steps,
        conditioning=result.conditioning,
        guidance=result.guidance,
        size_px=result.size_px,
        slot=slot,
        page=dict(page),
    )
    return {KEY: facts.model_dump_json()}


def read_record(path: str | Path) -> Recorded:
    """How the PNG file at `path` was made. Raises ImageError where it does not say and PageError for a bad page."""
    text = read_png_text(path).get(KEY)
    if text is None:
        raise ImageError(
            f"{path} does not say how it was made: it has no text chunk {KEY!r}. Was it saved by another program?"
        )
    try:
        facts = _Facts.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or KEY
        raise ImageError(f"{path}: its text chunk {KEY!r} is damaged: key {key!r}: {first['msg']}.") from error
    page = page_from_record(facts.page)
    if facts.slot > len(page.slots):
        raise ImageError(f"{path} fills slot {facts.slot} of a page that has {len(page.slots)}; the record is damaged.")
    known = {name: getattr(facts, name) for name in _Facts.model_fields if name != "page"}
    return Recorded(page=page, **known)
