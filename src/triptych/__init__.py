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
    from triptych.conditioning import Conditioning, Solver
    from triptych.data.build import build
    from triptych.data.importing import Wording
    from triptych.data.importing import composites as import_composites
    from triptych.data.importing import numbered_sets as import_sets
    from triptych.data.importing import pairs as import_pairs
    from triptych.data.pagesets import PageSet, load_pageset, save_pageset
    from triptych.data.rules import find_rule
    from triptych.data.sources import FolderSource, ShapeSource
    from triptych.errors import Cancelled, TriptychError
    from triptych.evaluation.run import evaluate
    from triptych.evaluation.suites import load_suite
    from triptych.events import CancelToken, Done, Phase, Preview, Step
    from triptych.images import load_image, save_png
    from triptych.models.adapters import Skills
    from triptych.models.backbone import Backbone
    from triptych.models.loading import load
    from triptych.models.options import LoadOptions
    from triptych.models.slot_skills import SlotSkills
    from triptych.page import Layout, NamedBox, Page, Panel, Role, condition, slot
    from triptych.pagefile import load_page, save_page
    from triptych.prompts import write_prompt
    from triptych.sampling import (
        Engine,
        MakesPictures,
        Request,
        Result,
        SkillUse,
        Timings,
        generate,
        iterate,
        open_engine,
    )
    from triptych.skill import Skill, load_skill, save_skill
    from triptych.training.loop import train
    from triptych.training.recipe import Recipe, load_recipe

__all__ = [
    "Backbone",
    "CancelToken",
    "Cancelled",
    "Conditioning",
    "Done",
    "Engine",
    "FolderSource",
    "Layout",
    "LoadOptions",
    "MakesPictures",
    "NamedBox",
    "Page",
    "PageSet",
    "Panel",
    "Phase",
    "Preview",
    "Recipe",
    "Request",
    "Result",
    "Role",
    "ShapeSource",
    "Skill",
    "SkillUse",
    "Skills",
    "SlotSkills",
    "Solver",
    "Step",
    "Timings",
    "TriptychError",
    "Wording",
    "__version__",
    "arrange",
    "build",
    "composite",
    "condition",
    "evaluate",
    "find_rule",
    "generate",
    "import_composites",
    "import_pairs",
    "import_sets",
    "iterate",
    "load",
    "load_image",
    "load_page",
    "load_pageset",
    "load_recipe",
    "load_skill",
    "load_suite",
    "open_engine",
    "save_page",
    "save_pageset",
    "save_png",
    "save_skill",
    "slot",
    "split",
    "stitch",
    "train",
    "write_prompt",
]

_ROOMS = {
    "triptych.canvas": ("arrange", "composite", "split", "stitch"),
    "triptych.data.build": ("build",),
    "triptych.data.importing": ("Wording",),
    "triptych.data.pagesets": ("PageSet", "load_pageset", "save_pageset"),
    "triptych.data.rules": ("find_rule",),
    "triptych.data.sources": ("FolderSource", "ShapeSource"),
    "triptych.conditioning": ("Conditioning", "Solver"),
    "triptych.errors": ("Cancelled", "TriptychError"),
    "triptych.events": ("CancelToken", "Done", "Phase", "Preview", "Step"),
    "triptych.images": ("load_image", "save_png"),
    "triptych.evaluation.run": ("evaluate",),
    "triptych.evaluation.suites": ("load_suite",),
    "triptych.models.adapters": ("Skills",),
    "triptych.models.backbone": ("Backbone",),
    "triptych.models.loading": ("load",),
    "triptych.models.options": ("LoadOptions",),
    "triptych.models.slot_skills": ("SlotSkills",),
    "triptych.page": ("Layout", "NamedBox", "Page", "Panel", "Role", "condition", "slot"),
    "triptych.pagefile": ("load_page", "save_page"),
    "triptych.prompts": ("write_prompt",),
    "triptych.sampling": (
        "Engine",
        "MakesPictures",
        "Request",
        "Result",
        "SkillUse",
        "Timings",
        "generate",
        "iterate",
        "open_engine",
    ),
    "triptych.skill": ("Skill", "load_skill", "save_skill"),
    "triptych.training.loop": ("train",),
    "triptych.training.recipe": ("Recipe", "load_recipe"),
}
_HOMES = {name: (room, name) for room, names in _ROOMS.items() for name in names} | {
    "import_composites": ("triptych.data.importing", "composites"),
    "import_pairs": ("triptych.data.importing", "pairs"),
    "import_sets": ("triptych.data.importing", "numbered_sets"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'triptych' has no attribute {name!r}")
    room, own = _HOMES[name]
    value = globals()[name] = getattr(import_module(room), own)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
