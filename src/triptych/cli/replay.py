"""`triptych replay`: make a generated PNG again from the request recorded in it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from triptych.addresses import is_address
from triptych.cli import console, options
from triptych.cli.output import Overwrite, keep_inputs, prepare_folder, write_results
from triptych.errors import BackboneError, OutputError, SkillError
from triptych.events import CancelToken, ctrl_c_cancels
from triptych.images import load_image, png_bytes
from triptych.sampling.inputs import Keep
from triptych.sampling.request import SkillUse

__all__ = ["add_to"]

_Pictures = Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="PNG files that triptych generated.")]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the pictures made again.")]
_Other = Annotated[
    str | None, typer.Option("--backbone", metavar="NAME", help="A backbone other than the recorded one.")
]


_NoInputs = Annotated[
    bool,
    typer.Option(
        "--no-inputs", help="Keep no copy of the pictures that it was made from, neither beside the PNG nor inside it."
    ),
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
    inputs: options.Inputs = None,
    no_inputs: _NoInputs = False,
    overwrite: Overwrite = False,
) -> None:
    """Make pictures again from the page and the seed that they carry, and compare the pixels.

    Pictures that a PNG was made from are in the folder inputs beside it; where they are elsewhere, name them or
    their folder with --inputs. They are known by their bytes, whatever their names.

    Exit code 1 if one comes out differently: another machine, another version, other weights.

    \b
    Examples:
      triptych replay out/page-seed7-1.png
      triptych replay out/*.png --out again
      triptych replay sent/page-seed7-1.png --inputs ~/photographs
    """
    prepare_folder(out)
    again = _Again(
        out=out,
        backbone=backbone,
        skills=options.skill_uses(skill),
        step_cache=step_cache,
        inputs=tuple(inputs or ()),
        no_inputs=no_inputs,
        overwrite=overwrite,
    )
    same = [again.replay(path) for path in pictures]
    if not all(same):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Again:
    """How pictures are to be made again."""

    out: Path
    backbone: str | None
    skills: tuple[SkillUse, ...]
    step_cache: str | None
    inputs: tuple[Path, ...]
    no_inputs: bool
    overwrite: bool

    def replay(self, path: Path) -> bool:
        """Make one again; whether it has the same pixels."""
        from triptych.sampling.record import kept_request, read_record, result_text

        recorded = read_record(path, inputs=self.inputs)
        target = self.out / path.name
        if target.resolve() == path.resolve():
            raise OutputError(f"{path} would be overwritten by its replay. Choose another --out.")
        asked = recorded.request
        if recorded.weights is not None and self.backbone is None and not is_address(asked.backbone):
            raise BackboneError(
                f"{path} was made with weights from a file (its fingerprint is {recorded.weights}), and the name "
                f"{asked.backbone!r} does not say which. Name that file with --backbone."
            )
        skills = _found(path, asked.skills, self.skills)
        request = replace(asked, backbone=self.backbone or asked.backbone, skills=skills)
        with console.working(f"loading {request.backbone}"):
            engine = options.open_engine(request.backbone, self.step_cache)
        if engine.card.weights != recorded.weights:
            console.say(f"{path} was made with other weights than {request.backbone} has")
        with console.progress("steps", total=engine.steps_of(request)) as bar, ctrl_c_cancels(CancelToken()) as cancel:
            (result,) = engine.generate(request, cancel=cancel, on_event=lambda event: console.advance(bar, event))
        if result.skill != asked.skill:
            raise SkillError(f"{path} was made with the skill {asked.skill!r}, not {result.skill!r}.")
        image = result.images[recorded.slot - 1]
        kept = kept_request(result.request, engine.card, Keep.NOWHERE if self.no_inputs else recorded.keep)
        keep_inputs(self.out, kept.files)
        png = png_bytes(image, result_text(result, recorded.slot, kept))
        (target,) = write_results(self.out, target.stem, {".png": png}, overwrite=self.overwrite)
        before = load_image(path, keep_alpha=image.mode == "RGBA")
        same = (before.mode, before.size, before.tobytes()) == (image.mode, image.size, image.tobytes())
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
