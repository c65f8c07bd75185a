"""The page: panels, roles and layout as frozen values. The one description of a task, from data to saved skill."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from PIL.Image import Image

from triptych.errors import PageError

__all__ = ["MAX_CONDITIONS", "MAX_SLOTS", "Layout", "NamedBox", "Page", "Panel", "Role", "condition", "slot"]

MAX_CONDITIONS = 16
MAX_SLOTS = 8
_BOX_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LEAST_SIDE = 0.01


class Role(StrEnum):
    """What a panel is for: four roles of conditions, and the slot to be generated."""

    SUBJECT = "subject"
    EDIT = "edit"
    CONTROL = "control"
    EXAMPLE = "example"
    SLOT = "slot"


class Layout(StrEnum):
    """How panels are arranged on a canvas; `AUTO` chooses by count and aspect."""

    AUTO = "auto"
    ROW = "row"
    COLUMN = "column"
    GRID = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBox:
    """Where one thing stands: in a slot, where it is wanted; in a condition, where it is.

    Instructions speak of it as `<name>`. One name in a condition and in a slot is one thing, which moves.
    """

    name: str
    """A letter, then letters, digits and underscores, such as `cup_1`."""
    corners: tuple[float, float, float, float]
    """Left, top, right and bottom, as parts of the picture's width and height from 0 to 1."""
    words: str = ""
    """What stands there."""

    def __post_init__(self) -> None:
        if not _BOX_NAME.fullmatch(self.name):
            raise PageError(
                f"box {self.name!r}: a name is a letter, then letters, digits and underscores, such as cup_1."
            )
        left, top, right, bottom = self.corners
        inside = all(0 <= part <= 1 for part in self.corners)
        if not inside or right - left < _LEAST_SIDE or bottom - top < _LEAST_SIDE:
            raise PageError(
                f"box {self.name!r} has corners {list(self.corners)}; left, top, right and bottom are from 0 to 1, "
                f"and its sides are at least {_LEAST_SIDE} of the picture's."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One cell of a page.

    A condition has an `image`. A slot has none; its `answer` is the right picture where one is known (page sets,
    examples) and is never shown to the model that fills the slot; `rejected` are pictures that somebody preferred the
    answer to. Images are RGB; answers may be RGBA, as the layers of a picture are, and lie on white wherever a model
    or a canvas sees RGB.
    """

    role: Role
    image: Image | None = None
    answer: Image | None = None
    instruction: str = ""
    size_px: tuple[int, int] | None = None
    """Width and height wanted of a slot; None takes the page's size."""
    rejected: tuple[Image, ...] = ()
    boxes: tuple[NamedBox, ...] = ()
    """Where things stand in its picture, for backbones that read boxes."""

    def __post_init__(self) -> None:
        if self.is_slot and self.image is not None:
            raise PageError("a slot cannot have an image; give it a condition's role, or pass the picture as `answer`.")
        if not self.is_slot and self.image is None:
            raise PageError(f"a panel of role {self.role.value!r} needs an image; an empty panel has the role 'slot'.")
        if not self.is_slot and (self.answer is not None or self.size_px is not None):
            raise PageError("only a slot can have an answer or a size; a condition has the size of its image.")
        if self.rejected and not self.is_slot:
            raise PageError("only a slot can have rejected pictures; a condition already has its picture.")
        rejected = (("rejected", picture) for picture in self.rejected)
        for name, picture in (("image", self.image), ("answer", self.answer), *rejected):
            held = ("RGB",) if name == "image" else ("RGB", "RGBA")
            if picture is not None and picture.mode not in held:
                raise PageError(
                    f"{name} has mode {picture.mode!r}; it must be {' or '.join(held)}. Read files with "
                    "triptych.images, which lays what is transparent on white."
                )
        _refuse_twice(self.boxes, "the panel")
        if self.size_px is not None and min(self.size_px) < 1:
            raise PageError(f"slot size {self.size_px[0]}x{self.size_px[1]} px; both sides must be at least 1.")

    @property
    def is_slot(self) -> bool:
        return self.role is Role.SLOT

    @property
    def picture(self) -> Image | None:
        """The image of a condition, the answer of a slot."""
        return self.answer if self.is_slot else self.image


def _refuse_twice(boxes: Sequence[NamedBox], where: str) -> None:
    name, count = Counter(box.name for box in boxes).most_common(1)[0] if boxes else ("", 0)
    if count > 1:
        raise PageError(f"{where} has {count} boxes named {name!r}; give each thing its own name.")


def condition(
    image: Image, instruction: str = "", *, role: Role = Role.SUBJECT, boxes: tuple[NamedBox, ...] = ()
) -> Panel:
    """A panel whose image is given."""
    return Panel(role=role, image=image, instruction=instruction, boxes=boxes)


def slot(
    instruction: str = "",
    *,
    answer: Image | None = None,
    size_px: tuple[int, int] | None = None,
    boxes: tuple[NamedBox, ...] = (),
) -> Panel:
    """A panel to be generated."""
    return Panel(role=Role.SLOT, answer=answer, instruction=instruction, size_px=size_px, boxes=boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole request: an overview, panels in reading order, and example pages (`context`) in front of them."""

    panels: tuple[Panel, ...]
    overview: str = ""
    context: tuple["Page", ...] = ()
    layout: Layout = Layout.AUTO
    gutter_px: int = 0
    template: str = "panels"
    """Name of the prompt template (see `triptych.prompts`)."""
    page_id: str = ""
    rule: str | None = None
    """Name of the rule that made the page, where one did."""

    def __post_init__(self) -> None:
        count, slots = len(self.conditions), len(self.slots)
        if count > MAX_CONDITIONS:
            raise PageError(f"the page has {count} conditions; at most {MAX_CONDITIONS} fit.")
        if not 1 <= slots <= MAX_SLOTS:
            raise PageError(f"the page has {slots} slots; it needs 1 to {MAX_SLOTS}.")
        if self.gutter_px < 0:
            raise PageError(f"gutter_px is {self.gutter_px}; it must be 0 or more.")
        for panels, kind in ((self.conditions, "conditions"), (self.slots, "slots")):
            _refuse_twice([box for panel in panels for box in panel.boxes], f"the page, among its {kind},")
        for number, example in enumerate(self.context, 1):
            if example.has_boxes:
                raise PageError(f"example page {number} has boxes; only the page's own panels can have them.")
            if example.context:
                raise PageError(f"example page {number} has example pages of its own; examples do not nest.")
            if not example.is_answered:
                raise PageError(f"example page {number} has a slot without an answer; examples show finished pages.")

    @property
    def conditions(self) -> tuple[Panel, ...]:
        return tuple(panel for panel in self.panels if not panel.is_slot)

    @property
    def slots(self) -> tuple[Panel, ...]:
        return tuple(panel for panel in self.panels if panel.is_slot)

    @property
    def has_boxes(self) -> bool:
        return any(panel.boxes for panel in self.panels)

    @property
    def is_answered(self) -> bool:
        """True when every slot's right picture is known."""
        return all(panel.answer is not None for panel in self.slots)

    @property
    def rejections(self) -> tuple[tuple[Image, ...], ...]:
        """Pictures for all slots that were rejected together; a slot with fewer than another has its answer there."""
        most = max(len(panel.rejected) for panel in self.slots)
        rows = [(panel.rejected + (panel.answer,) * most)[:most] for panel in self.slots if panel.answer]
        return tuple(zip(*rows, strict=True))

    @property
    def all_panels(self) -> tuple[Panel, ...]:
        """The page's own panels, then those of its example pages, in order."""
        return self.panels + tuple(panel for example in self.context for panel in example.panels)

    def with_context(self, *examples: "Page") -> "Page":
        """The same page behind `examples`, whose slots must be answered."""
        return replace(self, context=tuple(replace(example, context=()) for example in examples))

    def without_answers(self) -> "Page":
        """The page as it is asked: the slots' answers removed, the examples kept."""
        return replace(self, panels=tuple(replace(panel, answer=None, rejected=()) for panel in self.panels))

    def with_answers(self, images: Iterator[Image] | tuple[Image, ...] | list[Image]) -> "Page":
        """The page with `images` as the answers of its slots, in order."""
        pictures = list(images)
        if len(pictures) != len(self.slots):
            raise PageError(f"{len(pictures)} pictures for {len(self.slots)} slots; give one for each slot.")
        queue = iter(pictures)
        return replace(
            self, panels=tuple(replace(panel, answer=next(queue)) if panel.is_slot else panel for panel in self.panels)
        )
