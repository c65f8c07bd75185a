"""One pick: what was asked, the results that were shown, and what somebody said of each."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triptych.errors import PickError, TriptychError
from triptych.images import load_answer, load_image
from triptych.page import Page
from triptych.pagefile import confined_path
from triptych.pageschema import is_slot
from triptych.sampling.request import Request

__all__ = [
    "LEAST_PICKS",
    "VERSION",
    "Line",
    "Outcome",
    "Pick",
    "Verdict",
    "checked_line",
    "judged_page",
    "pick_id",
    "pick_schema",
    "picture_key",
]

LEAST_PICKS = 15
"""Fewer teach nothing that could be told from chance."""
VERSION = 1
_ID_CHARS = 20
_MOST_SHOWN = 1000
_JUDGED = ("answer", "rejected")


class Verdict(StrEnum):
    """What somebody said of a result."""

    KEPT = "kept"
    UNSEEN = "unseen"
    """Shown beside the others and passed over: rolled away, or not looked at."""
    REJECTED = "rejected"

    @property
    def reward(self) -> float:
        """What training gives for it, from 0 to 1."""
        match self:
            case Verdict.KEPT:
                return 1.0
            case Verdict.UNSEEN:
                return 0.5
            case Verdict.REJECTED:
                return 0.0


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Outcome(_Entry):
    """One result, and what was said of it."""

    seed: Annotated[int, Field(strict=True)] | None = None
    """Of the noise that it was made from; null where it is not known."""
    verdict: Verdict
    """Kept, unseen or rejected."""
    pictures: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)]
    """Its pictures, one a slot: paths relative to the file, named by what they hold."""


class Line(_Entry):
    """One line of picks.jsonl: results of one request that were judged at one time."""

    version: Literal[1] = VERSION
    """Version of this form."""
    pick_id: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{_ID_CHARS}}}$")]
    """Digest of the request without seed: lines of one id are one pick."""
    when: Annotated[str, Field(max_length=40)] = ""
    """ISO 8601, in UTC."""
    made_by: Annotated[str, Field(max_length=100)] = ""
    """The version of Triptych that made the pictures, or where the pick came from."""
    request: dict[str, Any]
    """The request as docs/request.schema.json has it. On its page a slot's `answer` is the first result that was kept,
    `rejected` are those that were rejected; pictures are paths relative to the file."""
    results: Annotated[tuple[Outcome, ...], Field(max_length=_MOST_SHOWN)] = ()
    """Every result that was judged; without any, the page's `answer` and `rejected` say it, and no seed is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Everything that was said of the results of one request; pictures are read when they are asked for."""

    pick_id: str
    when: str
    made_by: str
    folder: Path
    data: Mapping[str, Any]
    """The request in its published form, its page as it was asked."""
    results: tuple[Outcome, ...]

    @property
    def backbone(self) -> str:
        """Name of the model that made the results."""
        return str(self.data.get("backbone") or "pocket")

    @property
    def skills(self) -> tuple[str, ...]:
        """Names of the skills that were on."""
        return tuple(str(use["name"]) for use in self.data.get("skills") or ())

    @property
    def request(self) -> Request:
        """What was asked, its seed that of the first result. Raises PickError, PageError or ImageError."""
        asked = Request.from_record(_as_asked(self.data), resolve=self._read)
        seed = next((result.seed for result in self.results if result.seed is not None), asked.seed)
        return replace(asked, seed=seed, number=1)

    def of(self, *verdicts: Verdict) -> tuple[Outcome, ...]:
        """The results of these verdicts, in order."""
        return tuple(result for result in self.results if result.verdict in verdicts)

    @property
    def kept(self) -> tuple[Outcome, ...]:
        return self.of(Verdict.KEPT)

    @property
    def rejected(self) -> tuple[Outcome, ...]:
        return self.of(Verdict.REJECTED)

    def images(self, result: Outcome) -> tuple[Image, ...]:
        """The pictures of a result, one a slot. Raises ImageError, and PickError where their number is wrong."""
        return tuple(load_answer(self._path(name)) for name in result.pictures)

    @property
    def page(self) -> Page:
        """The page with the first kept result as its answers and the rejected ones as `rejected`."""
        return judged_page(
            self.request.page,
            [(result.verdict, self.images(result)) for result in self.results],
        )

    @property
    def words(self) -> str:
        """Overview and instructions, for people."""
        page = self.data["page"]
        texts = [page.get("overview", ""), *(panel.get("instruction", "") for panel in page["panels"])]
        return " / ".join(filter(None, texts))

    def _read(self, name: str) -> Image:
        return load_image(self._path(name))

    def _path(self, name: str) -> Path:
        return confined_path(self.folder, name, f"pick {self.pick_id}")


def _as_asked(data: Mapping[str, Any]) -> dict[str, Any]:
    """A request's data without what became of its slots."""
    page = data["page"]
    panels = [{key: value for key, value in panel.items() if key not in _JUDGED} for panel in page["panels"]]
    return {**data, "page": {**page, "panels": panels}}


def judged_page(page: Page, results: list[tuple[Verdict, tuple[Image, ...]]]) -> Page:
    """The page in its published form: the first kept result as `answer`, the rejected ones as `rejected`."""
    kept = [images for verdict, images in results if verdict is Verdict.KEPT]
    rejected = [images for verdict, images in results if verdict is Verdict.REJECTED][:64]
    panels, place = [], 0
    for panel in page.panels:
        if panel.is_slot:
            own = tuple(images[place] for images in rejected)
            panel = replace(panel, answer=kept[0][place] if kept else None, rejected=own)
            place += 1
        panels.append(panel)
    return replace(page, panels=tuple(panels))


def picture_key(image: Image) -> str:
    """Equal for pictures of equal pixels."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def pick_id(request: Request) -> str:
    """Equal for requests that differ in nothing but seed and number."""
    record = replace(request, page=request.page.without_answers(), seed=0, number=1).record(picture_key)
    text = json.dumps(record, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_CHARS]


def checked_line(data: object, where: str) -> Line:
    """`data` as a line; a PickError begins with `where`."""
    try:
        line = Line.model_validate(data)
        slots = _slots(line.request)
    except ValidationError as error:
        told = [f"key {'.'.join(map(str, one['loc']))!r}: {one['msg'].lower()}" for one in error.errors()[:3]]
        raise PickError(f"{where}: {'; '.join(told)}.") from error
    except (TypeError, KeyError, AttributeError, TriptychError) as error:
        raise PickError(f"{where}: key 'request' is no request: {error}.") from error
    for number, result in enumerate(line.results, 1):
        if len(result.pictures) != slots:
            raise PickError(
                f"{where}, result {number} has {len(result.pictures)} pictures; the page has {slots} slots."
            )
    return line if line.results else _from_page(line)


def _slots(request: Mapping[str, Any]) -> int:
    return sum(map(is_slot, request["page"]["panels"]))


def _from_page(line: Line) -> Line:
    """The results that the page itself tells."""
    slots = [panel for panel in line.request["page"]["panels"] if is_slot(panel)]
    found = []
    if all(panel.get("answer") for panel in slots):
        found.append(Outcome(verdict=Verdict.KEPT, pictures=tuple(panel["answer"] for panel in slots)))
    rows = zip(*(panel.get("rejected") or () for panel in slots), strict=False)
    found += [Outcome(verdict=Verdict.REJECTED, pictures=tuple(row)) for row in rows]
    return line.model_copy(update={"results": tuple(found)})


def pick_schema() -> dict[str, Any]:
    """The JSON schema of a line, published as docs/picks.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Line.model_json_schema()
