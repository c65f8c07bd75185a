"""`triptych replay`: make a generated PNG again from the request recorded in it."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from PIL import ImageChops

import triptych as tt
from triptych.cli import console, options
from triptych.cli.output import Overwrite, prepare_folder, write_results
from triptych.errors import OutputError, SkillError
from triptych.events import CancelToken, ctrl_c_cancels
from triptych.images import load_image, png_bytes
from triptych.sampling.request import SkillUse

__all__ = ["add_to"]

_Pictures = Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="PNG files that triptych generated.")]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the pictures made again.")]
_Other = Annotated[
    str | None, typer.Option("--backbone", metavar="NAME", help="A backbone other than the recorded one.")
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("replay", no_args_is_help=True)(replay)


def replay(
    pictures: _Pictures,
    out: _Out = Path("replayed"),
    backbone: _Other = None,
    skill: options.SkillFiles = None,
    step_cache: options.StepCacheName = None,
    overwrite: Overwrite = False,
) -> None:
    """Make pictures again from the page and the seed that they carry, and compare the pixels.

    Exit code 1 if one comes out differently: another machine, another version, other weights.

    \b
    Examples:
      triptych replay out/page-seed7-1.png
      triptych replay out/*.png --out again
    """
    prepare_folder(out)
    uses = options.skill_uses(skill)
    same = [_replay(path, out, backbone, uses, step_cache=step_cache, overwrite=overwrite) for path in pictures]
    if not all(same):
        raise typer.Exit(1)


def _replay(
    path: Path,
    out: Path,
    other: str | None,
    given: tuple[SkillUse, ...],
    *,
    step_cache: str | None,
    overwrite: bool,
) -> bool:
    from triptych.sampling.record import read_record, recorded_request, result_text

    recorded = read_record(path)
    target = out / path.name
    if target.resolve() == path.resolve():
        raise OutputError(f"{path} would be overwritten by its replay. Choose another --out.")
    asked = recorded.request
    request = replace(asked, backbone=other or asked.backbone, skills=_found(path, asked.skills, given))
    with console.working(f"loading {request.backbone}"):
        engine = tt.Engine(options.load_backbone(request.backbone, step_cache))
    with console.progress("steps", total=request.steps or 1) as bar, ctrl_c_cancels(CancelToken()) as cancel:
        (result,) = engine.generate(request, cancel=cancel, on_event=lambda event: console.advance(bar, event))
    if result.skill != asked.skill:
        raise SkillError(f"{path} was made with the skill {asked.skill!r}, not {result.skill!r}.")
    image = result.images[recorded.slot - 1]
    text = result_text(result, recorded.slot, recorded_request(result.request, engine.backbone.card))
    (target,) = write_results(out, target.stem, {".png": png_bytes(image, text)}, overwrite=overwrite)
    before = load_image(path)
    same = before.size == image.size and ImageChops.difference(before, image).getbbox() is None
    console.out(f"{target}  {'the same pixels' if same else 'other pixels'}")
    return same


def _found(path: Path, asked: tuple[SkillUse, ...], given: tuple[SkillUse, ...]) -> tuple[SkillUse, ...]:
    """The skills of the record, each with the file that was named for it; those in the package need none."""
    from triptych.skill import load_skill, shipped_skills

    files = {load_skill(use.name).name: use.name for use in given}
    needless = sorted(set(files) - {use.name for use in asked})
    missing = [use.name for use in asked if use.name not in files and use.name not in shipped_skills()]
    if missing or needless:
        used = " + ".join(map(str, asked)) or None
        named = " + ".join(files) or None
        raise SkillError(f"{path} was made with the skill {used!r}, not {named!r}. Name its file with --skill.")
    return tuple(replace(use, name=files.get(use.name, use.name)) for use in asked)
