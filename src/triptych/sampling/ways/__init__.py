"""The ways for conditions to enter, one file each: what is laid out for sampling, and what training compares with."""

from triptych.conditioning import Conditioning
from triptych.sampling.ways.base import Way
from triptych.sampling.ways.fill import Fill
from triptych.sampling.ways.reference import Reference
from triptych.sampling.ways.repaint import Repaint

__all__ = ["WAYS"]

WAYS: dict[Conditioning, Way] = {
    Conditioning.REFERENCE: Reference(),
    Conditioning.REPAINT: Repaint(),
    Conditioning.FILL: Fill(),
}
