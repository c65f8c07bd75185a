"""Suites as data: which rules, which objects, how many examples, which controls, and what is aimed at."""

from enum import StrEnum
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from triptych.data.mixture import Words
from triptych.data.photosource import PictureKind
from triptych.data.rules import Rule, find_rule, rule_names
from triptych.errors import SourceError
from triptych.files import read_yaml
from triptych.pageschema import problems

__all__ = ["Arm", "Control", "Goals", "Kind", "Objects", "Row", "Suite", "load_suite", "rules_of", "suite_names"]


class Control(StrEnum):
    """What is made wrong on purpose, so that the gain of the right thing can be seen."""

    OTHER_RULE = "other-rule"
    """The examples show another rule."""
    SHUFFLED = "shuffled"
    """Each example's answer is that of another object."""
    COPIED = "copied"
    """Each example's answer is its input."""
    NO_TEXT = "no-text"
    """All words are taken away."""
    OTHER_WORDS = "other-words"
    """The instruction is that of another task, or where no task has the shape, of another page."""
    SWAPPED = "swapped"
    """Each slot takes the next slot's instruction, and its answer: right, but moved."""


_NEEDS_EXAMPLES = frozenset({Control.OTHER_RULE, Control.SHUFFLED, Control.COPIED})


class Kind(StrEnum):
    """What is scored besides the distances that every row has."""

    PICTURES = "pictures"
    STORYBOARD = "storyboard"
    SWAP = "swap"


class Objects(StrEnum):
    """Which objects a row's pages show."""

    HELD_OUT = "held-out"
    TRAINING = "training"
    ANY = "any"


class Arm(BaseModel):
    """One way of asking a page: with `shots` examples, and perhaps something made wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    shots: int = Field(ge=0)
    control: Control | None = None
    seeds: int = Field(default=0, ge=0)
    """Samples of each page, a seed each, where the backbone knows how to sample; 0 asks for what it answers with."""

    @property
    def name(self) -> str:
        sampled = f", {self.seeds} samples" if self.seeds else ""
        return f"{self.shots} shots" + (f", {self.control.value}" if self.control else "") + sampled


class Goals(BaseModel):
    """What a row must reach; None where nothing is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    gain_db: float | None = None
    """PSNR over the better of copying the input and white."""
    top1: float | None = None
    swap: float | None = None
    place: float | None = None
    framing: float | None = None
    over_none: bool = False
    """Significantly better with examples than without."""
    over_wrong: bool = False
    """Significantly better with right examples than with another rule's."""


class Row(BaseModel):
    """One line of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    note: str = ""
    rules: tuple[str, ...]
    """Names; in a file also a group of `rule_names`, such as `maps`, which becomes the names it stands for."""
    styles: tuple[tuple[str, str], ...] = ()
    """Directed pairs for `restyle`; empty takes what the source offers."""
    objects: Objects = Objects.HELD_OUT
    source: PictureKind = PictureKind.SPRITES
    """Which pictures the pages are made of."""
    same_style: bool = False
    """Objects of one task are all of one style, so that candidates differ by object only."""
    shots: tuple[int, ...] = (0,)
    words: Words | None = None
    """None: no words where there are examples to read or controls on them."""
    controls: tuple[Control, ...] = ()
    control_shots: tuple[int, ...] | None = None
    """Example counts that controls are asked at; None takes every count above 0, or 0 where that is all."""
    samples: int = Field(default=0, ge=0)
    """Samples of each page besides the backbone's own answer: scored alike, and how far they differ is told."""
    kind: Kind = Kind.PICTURES
    pixels: bool = True
    """False where the answer is one of many right pictures: only object and style are then judged."""
    nearest: bool = False
    """Score the nearest training answer as well; costs the making of training pages."""
    size_px: int | None = Field(default=None, ge=32)
    """Side of the pages' pictures; None takes the suite's."""
    pages: int | None = Field(default=None, ge=1)
    spread_over: int | None = Field(default=None, ge=1)
    """Pages of the longer row that these are taken from, evenly over its tasks; None where they are the whole row."""
    pages_per_task: int = Field(default=2, ge=1)
    goals: Goals = Goals()
    _trusted: bool = PrivateAttr(default=False)

    @field_validator("rules", mode="before")
    @classmethod
    def _named(cls, rules: Any) -> Any:
        if not isinstance(rules, str):
            return rules
        if (names := rule_names(rules)) is None:
            raise ValueError(
                f"{rules!r} is not a group of rules; write maps, photo-maps, families, held-out, held-out-families, "
                "held-out-chains, held-out-family-chains, all or a list"
            )
        return names

    @property
    def trusts_files(self) -> bool:
        """Whether rules in Python files may run; said by whoever loads the suite, never by the suite itself."""
        return self._trusted

    @model_validator(mode="after")
    def _controls_fit(self) -> "Row":
        needy = [control.value for control in self.controls if control in _NEEDS_EXAMPLES]
        if needy and not any(self.shots):
            raise ValueError(f"row {self.name!r}: control {needy[0]!r} needs examples; give `shots` above 0.")
        return self

    @property
    def keeps(self) -> Words:
        """The words that pages of this row show."""
        return self.words or (Words.NONE if any(self.shots) else Words.ALL)

    @property
    def main(self) -> Arm:
        """The arm that goals are judged on: the most examples, nothing wrong."""
        return Arm(shots=max(self.shots))

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All arms, those without a control first."""
        plain = [Arm(shots=shots) for shots in self.shots]
        where = self.control_shots or tuple(shots for shots in self.shots if shots) or (0,)
        asked = [
            Arm(shots=shots, control=control)
            for control in self.controls
            for shots in where
            if shots or control not in _NEEDS_EXAMPLES
        ]
        sampled = (self.main.model_copy(update={"seeds": self.samples}),) if self.samples else ()
        return (*plain, *sampled, *asked)

    def tasks(self, pages: int) -> dict[int, int]:
        """How many pages are made of each task, by its number, where the row has `pages` in all.

        A shorter row asks the same pages as the longer one: every task is left its first before any keeps its second.
        """
        size, whole = self.pages_per_task, max(pages, self.spread_over or pages)
        count = -(-whole // size)
        if pages == whole:
            return {number: min(size, pages - number * size) for number in range(count)}
        chosen = [index * count // min(pages, count) for index in range(min(pages, count))]
        each, more = divmod(pages, len(chosen))
        return {number: each + (index < more) for index, number in enumerate(chosen)}


class Suite(BaseModel):
    """Rows with their common sizes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str
    pages: int = Field(default=200, ge=1)
    control_pages: int | None = Field(default=None, ge=1)
    """Pages of a row that are asked wrongly as well, or a few more: as many of each task; None takes all."""
    candidates: int = Field(default=50, ge=2)
    size_px: int = Field(default=128, ge=32)
    rows: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> "Suite":
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError(f"row names must differ; they are {', '.join(names)}.")
        return self

    def shortened(self, count: int) -> "Suite":
        """The suite with `count` pages a row, or as many as a row has that names fewer itself."""
        rows = []
        for row in self.rows:
            pages = min(count, row.pages) if row.pages else count
            rows.append(row.model_copy(update={"pages": pages, "spread_over": row.pages or self.pages}))
        return self.model_copy(update={"pages": count, "rows": tuple(rows)})

    def only(self, names: tuple[str, ...]) -> "Suite":
        """The suite with the rows named. Raises SourceError for an unknown name."""
        known = {row.name: row for row in self.rows}
        for name in names:
            if name not in known:
                raise SourceError(f"the suite has no row {name!r}; it has {', '.join(known)}.")
        return self.model_copy(update={"rows": tuple(known[name] for name in names)})


def suite_names() -> tuple[str, ...]:
    """Suites shipped with the package."""
    folder = files("triptych.evaluation") / "suites"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_suite(name_or_path: str, *, trust_rules: bool = False) -> Suite:
    """A suite shipped with the package by name, or the YAML file at a path.

    A suite may name rules in Python files; they run only with `trust_rules`. Raises SourceError.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = Path(str(files("triptych.evaluation") / "suites" / f"{name_or_path}.yaml"))
    if not path.exists():
        raise SourceError(f"no suite {name_or_path!r}; name a shipped one ({', '.join(suite_names())}) or a YAML file.")
    try:
        suite = Suite.model_validate(read_yaml(path, error=SourceError))
    except ValidationError as error:
        raise SourceError(f"suite {path} cannot be used: {'; '.join(islice(problems(error, Suite), 5))}.") from error
    for row in suite.rows:
        row._trusted = trust_rules
        rules_of(row)
    return suite


def rules_of(row: Row) -> tuple[Rule, ...]:
    """The rules a row's pages are made by; `outline+mirror` names a chain. Raises SourceError for an unknown name."""
    try:
        return tuple(find_rule(name, trust_files=row.trusts_files) for name in row.rules)
    except SourceError as error:
        raise SourceError(f"row {row.name!r}: {error}") from error
