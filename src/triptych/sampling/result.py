"""What comes out: pictures with all that is needed to make them again. Needs no torch."""

from dataclasses import dataclass

from PIL.Image import Image

from triptych.conditioning import Conditioning
from triptych.page import Page
from triptych.sampling.request import Request

__all__ = ["Result", "Timings"]


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
    """The slots' pictures, in order.

    `request` asks for this one result and leaves nothing open, except what a server decides and does not say;
    its page is the page as it was asked, the conditions being the user's own pixels.
    """

    request: Request
    images: tuple[Image, ...]
    timings: Timings
    read_tokens: int = 0
    """Tokens of conditions and examples, with those of the prompt where the backbone reads them together."""
    cached_tokens: int = 0
    """How many of `read_tokens` an earlier result had read, in this call or another, so that nothing was computed."""
    weights: str | None = None
    """As in `Card`: which file made it, where the request's name of the backbone is not enough."""
    notes: tuple[str, ...] = ()
    """What was done on the way: because memory ran out, or because a server works differently."""

    @property
    def page(self) -> Page:
        return self.request.page

    @property
    def seed(self) -> int:
        return self.request.seed

    @property
    def steps(self) -> int | None:
        """None where a server decided and did not say."""
        return self.request.steps

    @property
    def conditioning(self) -> Conditioning:
        assert self.request.conditioning is not None, "the request of a result is settled"
        return self.request.conditioning

    @property
    def skill(self) -> str | None:
        """The skills that were on, in words."""
        return self.request.skill

    @property
    def finished(self) -> Page:
        """The page with the pictures as its answers."""
        return self.page.with_answers(self.images)
