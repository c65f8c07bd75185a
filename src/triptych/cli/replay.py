"""`triptych replay`: a generated PNG made again from what it says of itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from PIL import ImageChops

import triptych as tt
from triptych.cli import console, options
from triptych.cli.output import Overwrite, prepare_folder, write_results
from triptych.errors import OutputError, SkillError
from triptych.images import load_image, png_bytes

if TYPE_CHECKING:
    from triptych.models.adapters import Skills

__all__ = ["add_to"]

_Pictures = Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="PNG files that triptych generated.")]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the pictures made again.")]
_Other = Annotated[
    str | None, typer.Option("--backbone", metavar="NAME", help="Another backbone than the one that is recorded.")
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("replay", no_args_is_help=True)(replay)


def replay(
    pictures: _Pictures,
    out: _Out = Path("replayed"),
    backbone: _Other = None,
    skill: options.SkillFiles = None,
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
    skills = options.read_skills(skill)
    same = [_replay(path, out, backbone, skills, overwrite=overwrite) for path in pictures]
    if not all(same):
        raise typer.Exit(1)


def _replay(path: Path, out: Path, backbone_name: str | None, skill: "Skills | None", *, overwrite: bool) -> bool:
    from triptych.sampling.record import read_record, recorded_page, result_text

    recorded = read_record(path)
    target = out / path.name
    if target.resolve() == path.resolve():
        raise OutputError(f"{path} would be overwritten by its replay. Choose another --out.")
    used = skill.name if skill else None
    if used != recorded.skill:
        raise SkillError(
            f"{path} was made with the skill {recorded.skill!r}, not {used!r}. Name its file with --skill."
        )
    with console.working(f"loading {backbone_name or recorded.backbone}"):
        backbone = tt.load(backbone_name or recorded.backbone)
    with console.progress("steps", total=recorded.steps) as bar:
        result = tt.generate(
            backbone,
            recorded.page,
            seed=recorded.seed,
            steps=recorded.steps,
            conditioning=recorded.conditioning,
            guidance=recorded.guidance,
            size_px=recorded.size_px,
            skill=skill,
            on_step=lambda _: bar.advance(bar.task_ids[0]),
        )
    image = result.images[recorded.slot - 1]
    text = result_text(result, recorded.slot, recorded_page(recorded.page, backbone.card, recorded.size_px))
    (target,) = write_results(out, target.stem, {".png": png_bytes(image, text)}, overwrite=overwrite)
    before = load_image(path)
    same = before.size == image.size and ImageChops.difference(before, image).getbbox() is None
    console.out(f"{target}  {'the same pixels' if same else 'other pixels'}")
    return same
