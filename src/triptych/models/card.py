"""The card of a backbone: the facts that the rest of the house plans with, and what it refuses by them."""

from dataclasses import dataclass

from triptych.conditioning import Conditioning, Reading, Words
from triptych.errors import BackboneError
from triptych.page import Page, Role

__all__ = ["Card"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The facts of a backbone that the rest of the house plans with."""

    name: str
    family: str
    conditionings: tuple[Conditioning, ...]
    """What it can do, its native way first."""
    factor: int
    """Side of a token in pixels: panel sides are resampled to multiples of this."""
    channels: int
    """Values per token."""
    side_px: int
    """Side of a square panel at which it works best."""
    steps: int
    """0 where a server decides."""
    guidance: float | None
    """Default guidance scale; None where the model takes no guidance."""
    max_text_tokens: int
    licence: str
    negative: str | None = None
    """Prompt of the second pass where guidance is classifier-free; None where it is distilled or absent."""
    fixed_side: bool = False
    """Every panel is a square of `side_px`; others are set in one on white."""
    one_area: bool = False
    """Conditions and slots have one area, as in training: what is asked of slots holds for conditions too."""
    clean_canvas: bool = False
    """By repaint, conditions stay clean at every noise level, as the network was trained to see them; where False they
    are put back at the level reached, as a text-to-picture model must see them."""
    layered: bool = False
    """It takes a picture apart: one condition, and slots that lie on it as its layers, with what is transparent. All
    have one size, and the whole is made once more beside them."""
    most_references: int | None = None
    """Conditions by reference that it was trained with, or that its authors advise; None where they name no number."""
    most_slots: int | None = None
    """Most slots on one page; None where only memory limits them."""
    sizes_px: tuple[tuple[int, int], ...] = ()
    """Widths and heights that it was trained at, where they are few; otherwise any around `side_px` squared."""

    sample_steps: int | None = None
    """Steps to a sample where `steps` lead to the mean of all right answers; None where the backbone knows one way."""

    words: Words = Words.ANY

    weights: str | None = None
    """Fingerprint of the file that its weights are from, where `name` is not enough to find them again: a pocket in a
    file of its own, or a transformer beside its base."""

    summary: str = ""
    """What it is for, in a few words, where one has to choose; empty where its name is known everywhere."""

    picture_name: str | None = None
    """How prompts call the pictures that come with them, where the network learnt such names: `{number}` counts from 1,
    `{index}` from 0. None where they are called by the tags of the page's template."""

    reads_boxes: bool = False
    """It was trained with boxes, as a table behind the words of its prompt, and conditions that enter by reference."""

    own_skills: bool = False
    """No skill of another checkpoint fits, though the layers have the same names and sizes: the tokens differ."""

    def steps_for(self, page: Page, reading: Reading | None = None) -> int:
        """Steps of a page where nobody says how many; raises BackboneError for a reading that it does not know.

        A page of words alone, or with nothing but control pictures, has many right answers: without a `reading` it gets
        a sample. Everything else says what is right, and gets the mean.
        """
        if self.sample_steps is None:
            if reading is not None:
                raise BackboneError(f"{self.name} knows no other reading than its own. Leave {reading.value!r} out.")
            return self.steps
        open_page = not page.context and all(panel.role is Role.CONTROL for panel in page.conditions)
        return self.sample_steps if (reading is Reading.SAMPLE or (reading is None and open_page)) else self.steps

    def check_boxes(self, page: Page, way: Conditioning) -> None:
        """Raise BackboneError for a page with boxes where nothing would read them."""
        if not page.has_boxes:
            return
        if not self.reads_boxes:
            raise BackboneError(
                f"the page has boxes, and {self.name} reads none. Say in words where things stand, and leave boxes out."
            )
        if way is not Conditioning.REFERENCE:
            raise BackboneError(
                f"the page has boxes, which {self.name} reads with conditions by 'reference', not by {way.value!r}."
            )

    @property
    def native(self) -> Conditioning:
        """How conditions enter where nobody asks for a way."""
        return self.conditionings[0]
