"""`Request`: all that decides a picture, as one frozen value with one JSON form. Needs no torch."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triptych.addresses import is_address, read_address
from triptych.conditioning import Conditioning, Reading, Solver
from triptych.errors import BackboneError, LayoutError, RequestError
from triptych.files import parse_json
from triptych.layouts import Size
from triptych.page import Page
from triptych.pagefile import page_from_entry, page_record
from triptych.pageschema import Name, PageEntry, problems

if TYPE_CHECKING:
    from triptych.models.backbone import Card

__all__ = ["MAX_NUMBER", "MAX_STEPS", "VERSION", "Request", "SkillUse", "request_schema"]

VERSION = 1
"""Of the JSON form."""
MAX_NUMBER = 1000
MAX_STEPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillUse:
    """A skill that is on: its name or file, its weight, and the one slot that it is for (from 1; None: all)."""

    name: str
    weight: float = 1.0
    slot: int | None = None

    def __str__(self) -> str:
        weighed = self.name if self.weight == 1 else f"{self.weight:g} x {self.name}"
        return weighed if self.slot is None else f"slot {self.slot}: {weighed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A page, and how it is to be made; what is None is the backbone's own.

    `number` results are made, with seeds counting up from `seed`. `size_px` is the width and height of slots that ask
    for none, or one number: the side of the square whose area panels are worked at.
    Raises RequestError for values that no backbone could use.
    """

    page: Page
    seed: int = 0
    number: int = 1
    steps: int | None = None
    reading: Reading | None = None
    """The mean of all right answers or one of them, where the backbone knows both; it decides the steps."""
    solver: Solver | None = None
    conditioning: Conditioning | None = None
    guidance: float | None = None
    size_px: Size | int | None = None
    backbone: str = "pocket"
    skills: tuple[SkillUse, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MAX_NUMBER:
            raise RequestError(f"number is {self.number}; ask for 1 to {MAX_NUMBER} results.")
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            raise RequestError(f"steps is {self.steps}; it must be from 1 to {MAX_STEPS}.")
        if self.steps is not None and self.reading is not None:
            raise RequestError(
                f"reading {self.reading.value!r} decides the steps; steps is {self.steps}. Give one of the two."
            )
        if self.guidance is not None and not 0 <= self.guidance < float("inf"):
            raise RequestError(f"guidance is {self.guidance}; it must be a number from 0 up.")
        sides = self.size_px if isinstance(self.size_px, tuple) else (self.size_px or 1,)
        if self.size_px == 0 or min(sides) < 1:
            raise LayoutError(f"size_px is {self.size_px}; sides must be at least 1 px.")
        if is_address(self.backbone):
            # A request is written into files and pictures: an address that may not be written there is refused here.
            read_address(self.backbone)
        slots = len(self.page.slots)
        for use in self.skills:
            if use.slot is not None and not 1 <= use.slot <= slots:
                raise RequestError(f"skill {use.name!r} is for slot {use.slot}; the page has {slots}.")

    @property
    def skill(self) -> str | None:
        """The skills in words, for people; None without any."""
        return " + ".join(map(str, self.skills)) or None

    def each(self) -> tuple["Request", ...]:
        """A request for each of the results."""
        return tuple(replace(self, seed=self.seed + count, number=1) for count in range(self.number))

    def settled(self, card: "Card") -> "Request":
        """The request with nothing left to the backbone. Raises BackboneError for what it cannot do."""
        if self.guidance is not None and card.guidance is None:
            raise BackboneError(f"guidance is {self.guidance:g}, but {card.name} takes none. Leave it out.")
        way = self.conditioning or card.native
        if way not in card.conditionings:
            known = ", ".join(card.conditionings)
            raise BackboneError(f"{card.name} cannot take conditions by {way.value!r}. It can by: {known}.")
        card.check_boxes(self.page, way)
        return replace(
            self,
            steps=self.steps or card.steps_for(self.page, self.reading),
            reading=None,
            solver=self.solver or Solver.EULER,
            conditioning=way,
            guidance=card.guidance if self.guidance is None else self.guidance,
            backbone=card.name,
        )

    def record(self, encode: Callable[[Image], str] | None = None) -> dict[str, Any]:
        """The request as plain JSON data: its published form.

        Pictures are included in base64, or as what `encode` makes of them, such as a name that `from_record`
        can resolve.
        """
        return {
            "version": VERSION,
            "page": page_record(self.page, encode),
            "seed": self.seed,
            "number": self.number,
            "steps": self.steps,
            "reading": self.reading,
            "solver": self.solver,
            "conditioning": self.conditioning,
            "guidance": self.guidance,
            "size_px": list(self.size_px) if isinstance(self.size_px, tuple) else self.size_px,
            "backbone": self.backbone,
            "skills": [{"name": use.name, "weight": use.weight, "slot": use.slot} for use in self.skills],
        }

    def to_json(self) -> str:
        """`record` as text."""
        return json.dumps(self.record(), ensure_ascii=False)

    @classmethod
    def from_record(cls, data: object, *, resolve: Callable[[str], Image] | None = None) -> "Request":
        """The request of a record. Raises RequestError or PageError naming panel and key.

        `resolve` makes the picture of an image that is not a data URI; without it such images are refused, and no file
        is ever read.
        """
        try:
            entry = _RequestEntry.model_validate(data)
        except ValidationError as error:
            raise RequestError(f"request: {'; '.join(list(problems(error, _RequestEntry))[:5])}.") from error
        return cls(
            page=page_from_entry(entry.page, "request", resolve),
            seed=entry.seed,
            number=entry.number,
            steps=entry.steps,
            reading=entry.reading,
            solver=entry.solver,
            conditioning=entry.conditioning,
            guidance=entry.guidance,
            size_px=entry.size_px,
            backbone=entry.backbone,
            skills=tuple(SkillUse(name=use.name, weight=use.weight, slot=use.slot) for use in entry.skills),
        )

    @classmethod
    def from_json(cls, text: str, *, resolve: Callable[[str], Image] | None = None) -> "Request":
        """As `from_record`, from text. Raises RequestError for what is not JSON."""
        try:
            data = parse_json(text)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"the request is not valid JSON: {error}.") from error
        return cls.from_record(data, resolve=resolve)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


_Side = Annotated[int, Field(strict=True, ge=1, le=16384)]
_Whole = Annotated[int, Field(strict=True)]


class _SkillEntry(_Entry):
    """A skill that is on."""

    name: Annotated[str, Field(min_length=1, max_length=4096)]
    """Name of a skill, or its file."""
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    """1 is as trained, 0 is off."""
    slot: Annotated[int, Field(strict=True, ge=1)] | None = None
    """The one slot that it is for, counted from 1; without it, all of them."""


class _RequestEntry(_Entry):
    """A page, and how it is to be made."""

    version: Literal[1] = VERSION
    """Version of this form."""
    page: PageEntry
    """The page; its images are data URIs, or names that the reader of the request knows."""
    seed: _Whole = 0
    """Of the noise: the same seed gives the same pixels."""
    number: Annotated[int, Field(strict=True, ge=1, le=MAX_NUMBER)] = 1
    """How many results, with seeds counting up."""
    steps: Annotated[int, Field(strict=True, ge=1, le=MAX_STEPS)] | None = None
    """Solver steps; without it the backbone's own number."""
    reading: Reading | None = None
    """The mean of all right answers or a sample, instead of steps; without it the page decides."""
    solver: Solver | None = None
    """How a step follows the velocity; without it euler."""
    conditioning: Conditioning | None = None
    """How conditions enter; without it the backbone's own way."""
    guidance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Guidance scale, for backbones that take one."""
    size_px: tuple[_Side, _Side] | _Side | None = None
    """Width and height of slots that ask for none, or one number: the side of the working square."""
    backbone: Name = "pocket"
    """Name of the backbone."""
    skills: Annotated[tuple[_SkillEntry, ...], Field(max_length=16)] = ()
    """Skills that are on."""


def request_schema() -> dict[str, Any]:
    """The JSON schema of requests, published as docs/request.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | _RequestEntry.model_json_schema()
