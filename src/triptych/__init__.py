"""In-context image generation: pages of pictures and words in, the missing pictures out.

Names are imported when they are first used: `import triptych` reads no torch, so that the command line answers at once.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from triptych.version import __version__

# Read when torch is loaded: its threads wait without spinning, which beside other work is many times faster and alone
# no slower (docs/pocket/start.md). A setting of the user's own stays.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from triptych.canvas import arrange, composite, split, stitch
    from triptych.conditioning import Conditioning
    from triptych.errors import Cancelled, TriptychError
    from triptych.events import CancelToken, Done, Phase, Preview, Step
    from triptych.images import load_image, save_png
    from triptych.models.backbone import Backbone
    from triptych.models.loading import load
    from triptych.page import Layout, Page, Panel, Role, condition, slot
    from triptych.pagefile import load_page, save_page
    from triptych.prompts import write_prompt
    from triptych.sampling import Engine, Request, Result, SkillUse, Timings, generate, iterate

__all__ = [
    "Backbone",
    "CancelToken",
    "Cancelled",
    "Conditioning",
    "Done",
    "Engine",
    "Layout",
    "Page",
    "Panel",
    "Phase",
    "Preview",
    "Request",
    "Result",
    "Role",
    "SkillUse",
    "Step",
    "Timings",
    "TriptychError",
    "__version__",
    "arrange",
    "composite",
    "condition",
    "generate",
    "iterate",
    "load",
    "load_image",
    "load_page",
    "save_page",
    "save_png",
    "slot",
    "split",
    "stitch",
    "write_prompt",
]

_ROOMS = {
    "triptych.canvas": ("arrange", "composite", "split", "stitch"),
    "triptych.conditioning": ("Conditioning",),
    "triptych.errors": ("Cancelled", "TriptychError"),
    "triptych.events": ("CancelToken", "Done", "Phase", "Preview", "Step"),
    "triptych.images": ("load_image", "save_png"),
    "triptych.models.backbone": ("Backbone",),
    "triptych.models.loading": ("load",),
    "triptych.page": ("Layout", "Page", "Panel", "Role", "condition", "slot"),
    "triptych.pagefile": ("load_page", "save_page"),
    "triptych.prompts": ("write_prompt",),
    "triptych.sampling": ("Engine", "Request", "Result", "SkillUse", "Timings", "generate", "iterate"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'triptych' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
