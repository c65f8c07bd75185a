"""Where pictures are made: engines, and decoded conditions, kept from one request to the next."""

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PIL import Image

import triptych as tt
from triptych.addresses import is_address
from triptych.conditioning import Reading, Words
from triptych.errors import Cancelled
from triptych.images import png_bytes
from triptych.page import MAX_CONDITIONS, MAX_SLOTS, Role
from triptych.sampling.inputs import InputEntry, reference
from triptych.sampling.request import Request
from triptych.skill import Skill
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore
from triptych.studio.requests import request_of
from triptych.studio.shelf import Shelf
from triptych.studio.worker.job import StopJob

if TYPE_CHECKING:
    from triptych.models.backbone import Backbone, Card
    from triptych.sampling.opening import MakesPictures
    from triptych.sampling.result import Result
    from triptych.sampling.skills import SkillFiles

__all__ = ["MOST_SIDE_PX", "Maker", "card_data", "webp_url"]

MOST_SIDE_PX = 2048
"""Conditions enter no larger than this; backbones work at half of it."""
_IMAGES_KEPT = 96


class Maker:
    """Loaded models and decoded pictures. Engines are safe to share; so is this."""

    def __init__(self, shelf: Shelf, files: FileStore, known: tuple[str, ...]) -> None:
        self._shelf, self._files, self._known = shelf, files, known
        self._engines: dict[str, MakesPictures] = {}
        self._images: OrderedDict[str, tuple[Image.Image, InputEntry]] = OrderedDict()
        self._skills: SkillFiles | None = None
        self._spare: dict[str, Backbone] = {}
        self._lock = threading.RLock()

    def engine(self, name: str) -> "MakesPictures":
        """The engine of a backbone. Of the large ones only the last is kept."""
        with self._lock:
            if name not in self._engines:
                if name not in self._known:
                    raise StudioError(
                        f"the studio does not offer the backbone {name!r}; it offers {', '.join(self._known)}. "
                        "Start it with --backbone to add one.",
                        code="unknown_backbone",
                        status=422,
                    )
                for other in [each for each in self._engines if not (_is_small(each) or _is_small(name))]:
                    del self._engines[other]
                self._engines[name] = tt.open_engine(name, find_skill=self.skill)
            return self._engines[name]

    @contextmanager
    def lent(self, name: str) -> "Iterator[Backbone]":
        """A backbone that a job may put skills into: a second copy of a small one, the one and only of a large one.

        The copy is kept for the next job, unless this one broke off where nobody stopped it.
        """
        if not _is_small(name):
            engine = self.engine(name)
            assert isinstance(engine, tt.Engine), "what is not small is loaded here"
            yield engine.backbone
            return
        # A server has no weights here, which `load` says.
        backbone = self._spare.pop(name, None) or tt.load(name)
        try:
            yield backbone
        except (Cancelled, StopJob):
            self._spare[name] = backbone
            raise
        self._spare[name] = backbone

    def skill(self, name: str) -> Skill:
        """A skill of the shelf by its id; one that did not change is the same object, so that contexts are found."""
        from triptych.sampling.skills import SkillFiles

        with self._lock:
            self._skills = self._skills or SkillFiles()
            return self._skills(str(self._shelf.path(name)))

    def read(self, file: str) -> Image.Image:
        """A picture of the store, at most `MOST_SIDE_PX` wide and high."""
        with self._lock:
            if file in self._images:
                self._images.move_to_end(file)
                return self._images[file][0]
        image = self._files.read(file)
        size = image.size
        if max(size) > MOST_SIDE_PX:
            image.thumbnail((MOST_SIDE_PX, MOST_SIDE_PX), Image.Resampling.LANCZOS)
        entry = self._entry_of(file, size).model_copy(update={"shrunk_px": None if image.size == size else image.size})
        with self._lock:
            self._images[file] = image, entry
            while len(self._images) > _IMAGES_KEPT:
                self._images.popitem(last=False)
        return image

    def request(self, data: Mapping[str, Any]) -> Request:
        """A job's request with its pictures."""
        return request_of(data, self.read)

    def stream(self, request: Request, cancel: tt.CancelToken) -> Iterator[Any]:
        """The events of making it; between two of them the engine is free for others."""
        return self.engine(request.backbone).stream(request, cancel=cancel)

    def png(self, result: "Result", slot: int) -> bytes:
        """The picture of a slot (from 0) as a PNG that says how it was made; its inputs stay in the store."""
        from triptych.sampling.record import Kept, result_text

        entries: dict[str, InputEntry] = {}

        def encode(image: Image.Image) -> str:
            entry = self._entry(image)
            entries[entry.sha256] = entry
            return reference(entry.sha256)

        record = replace(result.request, page=result.page.without_answers()).record(encode)
        kept = Kept(request=record, inputs=tuple(entries.values()))
        return png_bytes(result.images[slot], result_text(result, slot + 1, kept))

    def _entry(self, image: Image.Image) -> InputEntry:
        """Which file of the store a picture is."""
        with self._lock:
            known = next((entry for kept, entry in self._images.values() if kept is image), None)
        return known or self._entry_of(self._files.add_image(image).id, image.size)

    def _entry_of(self, file: str, size: tuple[int, int]) -> InputEntry:
        return InputEntry(sha256=file, bytes=self._files.path(file).stat().st_size, size_px=size)


def _is_small(name: str) -> bool:
    """Whether it takes no memory to speak of."""
    from triptych.models.catalog import find_shipped

    return find_shipped(name) is not None or is_address(name)


def card_data(name: str, card: "Card", *, is_loaded: bool) -> dict[str, Any]:
    """What a backbone can do, for the page to show before it is tried; `name` is what it is offered by."""
    sizes = [list(size) for size in card.sizes_px]
    smaller = card.side_px if card.one_area else card.side_px // 2
    return {
        "name": name,
        "checkpoint": card.name,
        "family": card.family,
        "summary": card.summary,
        "is_loaded": is_loaded,
        "conditionings": [way.value for way in card.conditionings],
        "side_px": card.side_px,
        "sizes": sizes or ([card.side_px] if card.fixed_side else [smaller, 2 * smaller]),
        "max_conditions": MAX_CONDITIONS,
        "trained_conditions": card.most_references,
        "max_slots": min(MAX_SLOTS, card.most_slots or MAX_SLOTS),
        "roles": [role.value for role in Role if role is not Role.SLOT],
        "follows_words": card.words is not Words.NONE,
        "words": card.words.value,
        "max_text_tokens": card.max_text_tokens,
        "reads_boxes": card.reads_boxes,
        "steps": card.steps,
        "readings": [reading.value for reading in Reading] if card.sample_steps is not None else [],
        "guidance": card.guidance,
        "licence": card.licence,
    }


def webp_url(image: Image.Image, side_px: int = 512) -> str:
    """A small picture as a data URL."""
    if max(image.size) > side_px:
        image = image.copy()
        image.thumbnail((side_px, side_px))
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=80, method=0)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
