"""Options that several commands share, and how their values are read."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.conditioning import Conditioning, Solver
from triptych.page import Layout
from triptych.sampling.request import SkillUse

if TYPE_CHECKING:
    from triptych.models.adapters import Skills
    from triptych.models.options import LoadOptions
    from triptych.sampling import MakesPictures

__all__ = [
    "BackboneName",
    "CanvasLayout",
    "ConditioningWay",
    "Guidance",
    "Inputs",
    "OutFolder",
    "Sample",
    "Seed",
    "SkillFiles",
    "SolverName",
    "SpriteFolder",
    "StepCacheName",
    "Steps",
    "load_options",
    "open_engine",
    "parse_conditioning",
    "parse_size",
    "read_skills",
    "skill_uses",
    "sprite_folder",
]

BackboneName = Annotated[
    str,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="The model: pocket, pocket-2, a hub name, a folder, a file, or http://host:port/v1#model.",
    ),
]
CanvasLayout = Annotated[Layout | None, typer.Option(help="How panels are arranged on the canvas.")]
ConditioningWay = Annotated[
    str | None,
    typer.Option("--conditioning", metavar="WAY", help="How conditions enter: reference, repaint or fill."),
]
Guidance = Annotated[float | None, typer.Option(min=0, help="Guidance scale, for backbones that take one.")]
Inputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--inputs", metavar="PATH", help="A picture that it was made from, or a folder of them; may be repeated."
    ),
]
OutFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write into; made if missing.")]
Seed = Annotated[int, typer.Option(help="Seed of the noise: the same seed gives the same pixels.")]
SkillFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--skill", metavar="FILE[@WEIGHT]", help="A skill made by `triptych train`; may be given several times."
    ),
]
Sample = Annotated[
    bool | None,
    typer.Option(
        "--sample/--mean",
        help="One of many right answers by the seed, or their mean; without it the page decides (pocket 2).",
        show_default=False,
    ),
]
SolverName = Annotated[
    Solver | None,
    typer.Option("--solver", help="How steps are taken: heun is more exact and costs two evaluations per step."),
]
SpriteFolder = Annotated[
    Path | None,
    typer.Option(
        "--sprites", metavar="DIR", help="Rendered picture sets; by default those of `triptych pocket sprites`."
    ),
]
Steps = Annotated[int | None, typer.Option(min=1, max=1000, help="Solver steps; by default the backbone's own.")]


StepCacheName = Annotated[
    str | None,
    typer.Option(
        "--step-cache",
        metavar="NAME",
        help="Leave out work between steps, which changes the picture: first-block, taylorseer or magcache.",
    ),
]


def load_options(step_cache: str | None) -> "LoadOptions | None":
    """How to load, with the step cache asked for; None where nothing was."""
    if step_cache is None:
        return None
    from triptych.models.options import LoadOptions, StepCache

    known = [one.value for one in StepCache]
    if step_cache not in known:
        raise typer.BadParameter(f"{step_cache!r} is not one of {', '.join(known)}.", param_hint="--step-cache")
    return LoadOptions(step_cache=StepCache(step_cache))


def open_engine(name: str, step_cache: str | None = None) -> "MakesPictures":
    """What makes pictures by that name, with the step cache asked for. Raises BackboneError."""
    import triptych as tt

    return tt.open_engine(name, load_options(step_cache))


def parse_size(text: str | None) -> tuple[int, int] | int | None:
    """`512x384` as width and height, `512` as the side of a square whose area panels are worked at."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    sides = [int(side) for side in match.groups() if side] if match else []
    if not sides or not all(16 <= side <= 8192 for side in sides):
        raise typer.BadParameter(
            f"{text!r} is not a size. Write 512x384 or 512; sides from 16 to 8192 px.", param_hint="--size"
        )
    return (sides[0], sides[1]) if len(sides) == 2 else sides[0]


def parse_conditioning(text: str | None) -> Conditioning | None:
    """`reference`, `repaint` or `fill`."""
    if text is None:
        return None
    ways = [way.value for way in Conditioning]
    if text not in ways:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(ways)}.", param_hint="--conditioning")
    return Conditioning(text)


def read_skills(texts: Sequence[str] | None) -> "Skills | None":
    """Skill files, each perhaps with `@WEIGHT` behind its name. Raises SkillError."""
    if not texts:
        return None
    from triptych.models.adapters import Skills
    from triptych.skill import load_skill

    files, weights = zip(*map(_weighted, texts), strict=True)
    return Skills([load_skill(file) for file in files], weights=weights)


def skill_uses(texts: Sequence[str] | None) -> tuple[SkillUse, ...]:
    """As `read_skills`, by name only: no file is read."""
    return tuple(SkillUse(name=name, weight=weight) for name, weight in map(_weighted, texts or ()))


def _weighted(text: str) -> tuple[str, float]:
    """A file and its weight; an `@` inside a folder's or a file's name is part of the name."""
    file, mark, weight = text.rpartition("@")
    if not mark or Path(text).exists() or re.search(r"[/\\]|\.safetensors$", weight):
        return text, 1.0
    try:
        return file, float(weight)
    except ValueError:
        raise typer.BadParameter(
            f"{weight!r} in {text!r} is not a weight. Write FILE@WEIGHT with a number, such as {file}@0.8.",
            param_hint="--skill",
        ) from None


def sprite_folder(named: Path | None) -> Path:
    """The folder named, or the one in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return named or Path(cache).expanduser() / "triptych" / "sprites"
