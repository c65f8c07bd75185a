"""What comes out: pictures with all that is needed to make them again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from PIL.Image import Image

from triptych.models.backbone import Conditioning
from triptych.page import Page

__all__ = ["Preview", "Result", "Timings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Wall time in seconds of the batch a page was made in; `pages` counts the pages that shared it."""

    text_s: float
    conditions_s: float
    steps_s: float
    decode_s: float
    pages: int = 1

    @property
    def total_s(self) -> float:
        return self.text_s + self.conditions_s + self.steps_s + self.decode_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The slots' pictures, in order; `page` is the page as asked, its conditions being the user's own pixels."""

    images: tuple[Image, ...]
    page: Page
    seed: int
    steps: int
    conditioning: Conditioning
    backbone: str
    guidance: float | None
    size_px: tuple[int, int] | int | None
    skill: str | None
    timings: Timings
    notes: tuple[str, ...] = ()
    """What was done on the way because memory ran out."""

    @property
    def finished(self) -> Page:
        """The page with the pictures as its answers."""
        return self.page.with_answers(self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The state after a solver step. `t` is the noise level reached; `pages` are positions in the list of pages."""

    step: int
    steps: int
    t: float
    pages: tuple[int, ...]
    decode: Callable[[], tuple[tuple[Image, ...], ...]] = field(repr=False)
    """Pictures of the clean data expected at this step, for each page and slot; decoding is only paid for here."""

    @property
    def images(self) -> tuple[Image, ...]:
        """The slots of the (first) page as they are expected to come out; decoded on every access."""
        return self.decode()[0]
