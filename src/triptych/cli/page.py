"""`triptych page`: one page for other programs."""

import json
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli import console, options
from triptych.cli.output import Overwrite, file_stem, prepare_folder, write_group
from triptych.cli.request import read_request
from triptych.errors import SkillError
from triptych.images import png_bytes
from triptych.pagefile import load_page
from triptych.sampling.request import Request

if TYPE_CHECKING:
    from triptych.skill import Skill

__all__ = ["Program", "add_to"]

_ADVICE = "Put pictures into ComfyUI's folder input and LoRAs into models/loras, then open the workflow in its window."


class Program(StrEnum):
    """A program that pages and skills are exported to."""

    COMFYUI = "comfyui"


_Page = Annotated[Path, typer.Argument(metavar="PAGE", help="A page file, a request file, or a PNG of triptych.")]
_To = Annotated[Program, typer.Option("--to", help="The program.")]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write into; made if missing.")]
_Backbone = Annotated[
    str | None,
    typer.Option("--backbone", metavar="NAME", help="A model of `triptych models`, such as FLUX.2-klein-4B."),
]
_Seed = Annotated[int | None, typer.Option(help="Seed of the noise; by default the request's own.")]
_Size = Annotated[str | None, typer.Option(metavar="WxH|N", help="Size of the slots, or side of the working square.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    group = typer.Typer(no_args_is_help=True, help="One page, for other programs.")
    # A group of one command would otherwise be that command.
    group.callback()(lambda: None)
    group.command("export", no_args_is_help=True)(export)
    app.add_typer(group, name="page")


def export(
    page: _Page,
    out: _Out,
    to: _To = Program.COMFYUI,  # noqa: ARG001  there is one program so far
    backbone: _Backbone = None,
    skill: options.SkillFiles = None,
    seed: _Seed = None,
    steps: options.Steps = None,
    size: _Size = None,
    conditioning: options.ConditioningWay = None,
    guidance: options.Guidance = None,
    inputs: options.Inputs = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a page as a workflow that ComfyUI runs with its own nodes alone, and the pictures that it loads.

    Conditions are loaded, the slots are made, by reference, repaint or fill, and cut out again. Skills are written
    beside it as LoRAs.

    \b
    Examples:
      triptych page export page.yaml --to comfyui --backbone FLUX.2-klein-4B --out workflow
      triptych page export page.yaml --to comfyui --backbone FLUX.1-dev --skill sandstorm.safetensors@.8 --out workflow
    """
    from triptych.comfyui import LoRA, page_pictures, page_workflow
    from triptych.comfyui.files import card_for
    from triptych.models.keyformats import KeyFormat, check_kin, exported_file
    from triptych.skill import load_skill

    request = _request(page, tuple(inputs or ()))
    if backbone is not None and backbone != request.backbone:
        # What one model was made with says nothing of another.
        request = replace(request, steps=None, guidance=None, conditioning=None, solver=None)
    asked = {
        "backbone": backbone,
        "seed": seed,
        "steps": steps,
        "size_px": options.parse_size(size),
        "conditioning": options.parse_conditioning(conditioning),
        "guidance": guidance,
        "skills": options.skill_uses(skill) or None,
    }
    request = replace(request, **{name: value for name, value in asked.items() if value is not None})
    if any(use.slot is not None for use in request.skills):
        raise SkillError("a skill for one slot has no node in ComfyUI. Export with --skill FILE, for the whole page.")
    card, skills = card_for(request.backbone), [(load_skill(use.name), use.weight) for use in request.skills]
    pictures = page_pictures(request, card)
    names = [f"{page.stem}-condition-{number}.png" for number in range(1, len(pictures) + 1)]
    for loaded, _ in skills:
        check_kin(loaded, card)
    loras = [LoRA(file=f"{name}.safetensors", weight=use[1]) for name, use in zip(_names(skills), skills, strict=True)]
    workflow = page_workflow(request, card, pictures=names, loras=loras)
    files = {name: png_bytes(image) for name, image in zip(names, pictures, strict=True)}
    files[f"{page.stem}.workflow.json"] = json.dumps(workflow, indent=1, ensure_ascii=False).encode()
    for (loaded, _), lora in zip(skills, loras, strict=True):
        files[lora.file] = exported_file(loaded, KeyFormat.COMFYUI)
    prepare_folder(out)
    for path in write_group(out, files, overwrite=overwrite):
        console.out(str(path))
    console.say(_ADVICE)
    if request.number > 1:
        console.say(f"It makes one result a run, the first of {request.number}; count its seed up for the others.")


def _names(skills: "Sequence[tuple[Skill, float]]") -> list[str]:
    """A plain file name for each, whatever skills are called: a name is text from elsewhere, and two may be equal."""
    names: list[str] = []
    for loaded, _ in skills:
        stem = file_stem(loaded.name)
        free = (f"{stem}-{number}" if number > 1 else stem for number in count(1))
        names.append(next(name for name in free if name.lower() not in map(str.lower, names)))
    return names


def _request(path: Path, inputs: tuple[Path, ...]) -> Request:
    if path.suffix.lower() == ".png":
        from triptych.sampling.record import read_record

        return read_record(path, inputs=inputs).request
    return read_request(path) or Request(page=load_page(path))
