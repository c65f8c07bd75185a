"""What a generated PNG says about itself: all that is needed to make its pixels again, in one text chunk."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triptych.canvas import Placement
from triptych.conditioning import Conditioning
from triptych.errors import ImageError
from triptych.files import parse_json
from triptych.images import MAX_TEXT_BYTES, load_image, may_be_clear, png_bytes, read_png_text
from triptych.models.backbone import Card
from triptych.page import Page, Role
from triptych.pagefile import page_from_record
from triptych.pageschema import check_entry
from triptych.sampling.inputs import FOLDER, InputEntry, Inputs, Keep, find_inputs, named_images
from triptych.sampling.request import Request, SkillUse
from triptych.sampling.result import Result
from triptych.sampling.working import wanted_sizes, working_page
from triptych.version import __version__

__all__ = ["KEY", "Kept", "Recorded", "kept_request", "read_record", "result_text", "without_inputs"]

KEY = "triptych"
"""Name of the text chunk."""

_ROOM_FOR_REST = 2**16


class _Chunk(BaseModel):
    """The text chunk: the request, in its own form, and which picture of it this is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    triptych: str
    """The version that made the picture."""
    slot: int = Field(ge=1)
    """Which of the page's slots the picture fills, from 1."""
    request: dict[str, Any]
    inputs: tuple[InputEntry, ...] = ()
    """The pictures that the request names by digest."""
    weights: str | None = None
    """Of `Result`; only there where the backbone's name is not enough."""

    def text(self) -> str:
        return self.model_dump_json(exclude={"weights"} if self.weights is None else None)


class _Chunk01(BaseModel):
    """The text chunk of triptych 0.1."""

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
    page: dict[str, Any]

    def now(self) -> _Chunk:
        """The same in today's form."""
        request = Request(
            page=page_from_record(self.page),
            seed=self.seed,
            steps=self.steps,
            conditioning=self.conditioning,
            guidance=self.guidance,
            size_px=self.size_px,
            backbone=self.backbone,
            skills=_uses01(self.skill),
        )
        return _Chunk(triptych=self.version, slot=self.slot, request=request.record())


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """How a picture was made: the request, the slot it fills (from 1), and the version that made it."""

    request: Request
    slot: int
    version: str
    keep: Keep
    """How it keeps the pictures that it was made from."""
    weights: str | None = None
    """Of `Result`: the fingerprint of the file that made it, where the backbone's name is not enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A request as text chunks hold it; `files` are pictures to be written beside, by name."""

    request: Mapping[str, Any]
    inputs: tuple[InputEntry, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


def kept_request(request: Request, card: Card, keep: Keep = Keep.BESIDE) -> Kept:
    """A request as data for text chunks.

    Its pictures are named by digest, and `files` hold them as they were read, to be written into `inputs` beside what
    was made; or nothing holds them; or they are inside: the page's own pixels, or, where these are too many, those that
    the backbone sees. All of them make the same pictures again. Raises ImageError where even the smaller ones do not
    fit.
    """
    if keep is Keep.INSIDE:
        return Kept(request=_with_pictures(request, card))
    inputs = Inputs()
    record = replace(request, page=request.page.without_answers()).record(inputs.encode)
    files = {f"{FOLDER}/{name}": data for name, data in inputs.files.items()} if keep is Keep.BESIDE else {}
    return Kept(request=record, inputs=tuple(inputs.entries.values()), files=files)


def _with_pictures(request: Request, card: Card) -> dict[str, Any]:
    size = 0
    for page in (request.page, _as_seen(request.page, card, request.size_px)):
        record = replace(request, page=page.without_answers()).record()
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
        # Squares on white say nothing of the aspect that answers are cut to; keep what was asked, or what it comes to.
        frame = (card.side_px, card.side_px)
        first = next((c.image.size for c in page.conditions if c.image), frame)
        cut = Placement(source_px=first, frame_px=frame).box.size_px
        sizes = [wanted or cut for wanted in wanted_sizes(page, card, size_px)]
    else:
        sizes = [old.size_px or new.size_px for old, new in zip(page.slots, working.slots, strict=True)]
    queue = iter(sizes)
    panels = tuple(replace(panel, size_px=next(queue)) if panel.is_slot else panel for panel in working.panels)
    return replace(working, panels=panels)


def result_text(result: Result, slot: int, kept: Kept) -> dict[str, str]:
    """The text chunk of the picture in a slot (from 1).

    `kept` is what `kept_request` made of the result's request, or of one that differs in the seed only.
    """
    chunk = _Chunk(
        triptych=__version__,
        slot=slot,
        request={**kept.request, "seed": result.seed},
        inputs=kept.inputs,
        weights=result.weights,
    )
    return {KEY: chunk.text()}


def read_record(
    path: str | Path, *, inputs: Sequence[Path] = (), find: Callable[[str], Path | None] = lambda _: None
) -> Recorded:
    """How the PNG file at `path` was made, by this version or by 0.1.

    Pictures that it names but does not hold are what `find` gives for their digests, or are sought in `inputs` (files
    and folders), in the folder `inputs` beside it, and in its own folder. Raises ImageError where it does not say how
    it was made, MissingInputsError where a picture is not found, and RequestError or PageError for a damaged request.
    """
    for place in inputs:
        if not place.exists():
            raise ImageError(f"{place} does not exist. Check the path.")
    folder = Path(path).parent
    chunk = _read_chunk(path)
    check_entry(chunk.request.get("page"), f"{path}: its page")
    known = [kept for entry in chunk.inputs if (kept := find(entry.sha256)) is not None]
    places = [*known, *inputs, folder / FOLDER, folder]
    found = find_inputs(chunk.request["page"], chunk.inputs, places, str(path))
    request = Request.from_record(chunk.request, resolve=lambda text: _picked(found, text))
    _check_slot(path, chunk.slot, len(request.page.slots))
    keep = Keep.BESIDE if chunk.inputs else Keep.INSIDE
    return Recorded(request=request, slot=chunk.slot, version=chunk.triptych, keep=keep, weights=chunk.weights)


def without_inputs(path: str | Path) -> tuple[str, bytes]:
    """A PNG that names the pictures it was made from but holds none, and its words: the overview and the slot's.

    Raises ImageError where it does not say how it was made.
    """
    chunk = _read_chunk(path)
    page = check_entry(chunk.request.get("page"), f"{path}: its page")
    slots = [panel for panel in page.panels if panel.role is Role.SLOT or panel.image is None]
    _check_slot(path, chunk.slot, len(slots))
    words = " ".join(filter(None, (page.overview, slots[chunk.slot - 1].instruction)))
    if not any(text.startswith("data:") for _, text in named_images(chunk.request["page"])):
        return words, Path(path).read_bytes()
    inputs = Inputs()
    record = Request.from_record(chunk.request).record(inputs.encode)
    bare = chunk.model_copy(update={"request": record, "inputs": tuple(inputs.entries.values())})
    return words, png_bytes(load_image(path, keep_alpha=may_be_clear(path)), {KEY: bare.text()})


def _check_slot(path: str | Path, slot: int, slots: int) -> None:
    if slot > slots:
        raise ImageError(f"{path} fills slot {slot} of a page that has {slots}; the record is damaged.")


def _picked(found: Mapping[str, Image], text: str) -> Image:
    if text not in found:
        raise ImageError(f"the record names a picture {text[:80]!r}, which is not a digest; the record is damaged.")
    return found[text]


def _read_chunk(path: str | Path) -> _Chunk:
    text = read_png_text(path).get(KEY)
    if text is None:
        raise ImageError(
            f"{path} does not say how it was made: it has no text chunk {KEY!r}. Was it saved by another program?"
        )
    try:
        data = parse_json(text)
        is_old = isinstance(data, dict) and "request" not in data
        chunk = _Chunk01.model_validate(data).now() if is_old else _Chunk.model_validate(data)
        return chunk if isinstance(data, dict) and "inputs" in data else _as_it_was(chunk)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or KEY
        raise ImageError(f"{path}: its text chunk {KEY!r} is damaged: key {key!r}: {first['msg']}.") from error
    except ValueError as error:
        raise ImageError(f"{path}: its text chunk {KEY!r} is damaged: {error}.") from error


def _as_it_was(chunk: _Chunk) -> _Chunk:
    """A record from before the pocket obeyed a size that is one number: it makes the same picture without."""
    request = chunk.request
    if request.get("backbone") != "pocket" or not isinstance(request.get("size_px"), int):
        return chunk
    return chunk.model_copy(update={"request": {**request, "size_px": None}})


def _uses01(text: str | None) -> tuple[SkillUse, ...]:
    """Skills as 0.1 wrote them: `one`, `0.5 x one + two`, and `one | -` for one skill per slot."""
    if text is None:
        return ()
    if " | " in text:
        lanes = enumerate(text.split(" | "), 1)
        return tuple(SkillUse(name=name, slot=number) for number, name in lanes if name != "-")
    uses = []
    for part in text.split(" + "):
        match = re.fullmatch(r"(-?[\d.e+-]+) x (.+)", part)
        uses.append(SkillUse(name=match[2], weight=float(match[1])) if match else SkillUse(name=part))
    return tuple(uses)
