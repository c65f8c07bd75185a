"""From a request to its result: the engine, how conditions enter, and the solver that fills the slots.

Names are imported when they are first used: requests and results need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from triptych.sampling.calls import generate, iterate
    from triptych.sampling.engine import Engine
    from triptych.sampling.opening import MakesPictures, open_engine
    from triptych.sampling.request import Request, SkillUse, request_schema
    from triptych.sampling.result import Result, Timings

__all__ = [
    "Engine",
    "MakesPictures",
    "Request",
    "Result",
    "SkillUse",
    "Timings",
    "generate",
    "iterate",
    "open_engine",
    "request_schema",
]

_HOMES = {
    "Engine": "engine",
    "MakesPictures": "opening",
    "Request": "request",
    "Result": "result",
    "SkillUse": "request",
    "Timings": "result",
    "generate": "calls",
    "iterate": "calls",
    "open_engine": "opening",
    "request_schema": "request",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
