"""How conditions enter a backbone, and the solver that fills the slots."""

from triptych.sampling.generate import generate, iterate
from triptych.sampling.result import Preview, Result, Timings
from triptych.sampling.settings import Settings, settle

__all__ = ["Preview", "Result", "Settings", "Timings", "generate", "iterate", "settle"]
