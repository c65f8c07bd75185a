"""How conditions enter a backbone, and the solver that fills the slots."""

from triptych.sampling.generate import generate, iterate
from triptych.sampling.result import Preview, Result, Timings

__all__ = ["Preview", "Result", "Timings", "generate", "iterate"]
