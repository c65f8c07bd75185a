"""Bodies of requests to the API."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from triptych.picks import Verdict
from triptych.studio.jobs import Kind, Lane

__all__ = [
    "BuildBody",
    "DeletePictures",
    "DocumentBody",
    "DocumentChange",
    "EvaluateBody",
    "Export",
    "GenerateBody",
    "JobBody",
    "Marks",
    "Move",
    "PickBody",
    "PictureIds",
    "Preflight",
    "RulePages",
    "SkillChange",
    "TrainBody",
]

_Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w-]+$")]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_MOST_IDS = 10_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JobBody(_Body):
    """A job to be done."""

    kind: Kind
    lane: Lane = Lane.BATCH
    replaces: _Id | None = None
    document: _Id | None = None
    body: dict[str, Any]


class GenerateBody(_Body):
    """A request, and which of its panels to fill."""

    request: dict[str, Any]
    slots: Annotated[list[Annotated[int, Field(ge=0, le=64)]], Field(min_length=1, max_length=8)] | None = None


class TrainBody(_Body):
    """Finished pages, and the name of the skill to make of them."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    pages: Annotated[list[dict[str, Any]], Field(max_length=200)] = []
    backbone: _Name | None = None
    steps: Annotated[int, Field(ge=1, le=100_000)] | None = None
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    continues: _Id | None = None
    """A training that ended: it goes on from its newest checkpoint with the same pages."""
    more_steps: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Steps beyond its planned end."""
    prefer: _Id | None = None
    """A skill of the shelf, to be tuned to what was picked here, beside the pages that taught it."""


class EvaluateBody(_Body):
    """A rule or a page set, and what to evaluate on it."""

    backbone: _Name | None = None
    skills: Annotated[list[dict[str, Any]], Field(max_length=16)] = []
    rule: _Name | None = None
    page_set: _Id | None = None
    count: Annotated[int, Field(ge=1, le=1000)] = 12


class BuildBody(_Body):
    """A rule, and how many pages to make by it."""

    rule: _Name
    count: Annotated[int, Field(ge=1, le=10_000)] = 10
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0


class Move(_Body):
    """The job to stand in front of; None for the end."""

    before: _Id | None = None


class DocumentBody(_Body):
    """A page that somebody works on."""

    title: Annotated[str, Field(max_length=200)] = ""
    page: dict[str, Any]
    settings: dict[str, Any] = {}


class DocumentChange(DocumentBody):
    """The same, changed from `revision`."""

    revision: Annotated[int, Field(ge=0, le=2**53)]


class Marks(_Body):
    """Marks of a picture."""

    favourite: bool | None = None
    rejected: bool | None = None


class PickBody(_Body):
    """What was done with a picture."""

    verdict: Verdict


class PictureIds(_Body):
    """Some pictures."""

    ids: Annotated[list[_Id], Field(max_length=_MOST_IDS)]


class DeletePictures(_Body):
    """Some pictures, or all that are not favourites."""

    ids: Annotated[list[_Id], Field(max_length=_MOST_IDS)] = []
    all_but_favourites: bool = False


class SkillChange(_Body):
    """What a skill is called."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    summary: Annotated[str, Field(max_length=2000)] | None = None


class Export(_Body):
    """The program whose keys to write, or the workflow that loads what is written for ComfyUI."""

    to: Literal["diffusers", "kohya", "comfyui", "comfyui-workflow"]


class Preflight(_Body):
    """Pages to learn from."""

    pages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=200)]
    backbone: _Name | None = None
    steps: Annotated[int, Field(ge=1, le=100_000)] | None = None
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None


class RulePages(_Body):
    """Which pages of a rule to make."""

    seed: Annotated[int, Field(ge=0, le=2**31)] = 0
    count: Annotated[int, Field(ge=1, le=24)] = 4
    size_px: Annotated[int, Field(ge=32, le=512)] = 128
