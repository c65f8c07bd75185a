"""What a request chooses by name: the way for conditions to enter, and the solver."""

from enum import StrEnum

__all__ = ["Conditioning", "Reading", "Solver", "Words"]


class Conditioning(StrEnum):
    """How conditions enter."""

    REPAINT = "repaint"
    FILL = "fill"
    REFERENCE = "reference"


class Reading(StrEnum):
    """What a backbone that knows both answers with."""

    MEAN = "mean"
    """The mean of all right answers, in one step: the answer itself where only one is right."""
    SAMPLE = "sample"
    """One of the right answers, which the seed decides."""


class Words(StrEnum):
    """What a backbone makes of instructions."""

    NONE = "none"
    """It reads none."""
    PLAIN = "plain"
    """Short and plain ones, such as it was trained with."""
    ANY = "any"
    """Whole sentences, read by a language model."""


class Solver(StrEnum):
    """How a step follows the velocity."""

    EULER = "euler"
    """Straight on: one evaluation a step."""
    HEUN = "heun"
    """The mean of the velocities at both ends: two evaluations per step, except the last."""
