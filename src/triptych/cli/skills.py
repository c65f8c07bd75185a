"""`triptych skills`: list and show skills, and exchange LoRAs with other programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import console
from triptych.cli.output import Overwrite, claim, prepare_folder, write_group
from triptych.errors import SkillError

__all__ = ["add_to"]

_Folder = Annotated[Path, typer.Argument(metavar="[DIR]", help="A folder of skills.")]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A skill file, or the name of a shipped skill.")]


_Keys = Annotated[
    str | None, typer.Option("--format", metavar="KEYS", help="diffusers (as without it), kohya or comfyui.")
]
_To = Annotated[
    str | None, typer.Option("--to", metavar="PROGRAM", help="comfyui: its keys, and a workflow that uses the LoRA.")
]
_ExportFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="The LoRA to write.")]
_Beside = Annotated[bool, typer.Option("--card", help="Also write README.md for the Hub and a JSON for LoRA managers.")]
_Gallery = Annotated[
    list[Path] | None,
    typer.Option(
        "--picture", metavar="PNG", help="A picture made with the skill, for the card's gallery; may be repeated."
    ),
]
_Family = Annotated[str, typer.Option(metavar="NAME", help="Family of the backbone: flux1, flux2 or pocket.")]
_Base = Annotated[str, typer.Option("--backbone", metavar="NAME", help="The backbone the LoRA was trained on.")]
_TemplateName = Annotated[
    str, typer.Option("--template", metavar="NAME", help="Prompt template of the pages it is used with.")
]
_IgnoreText = Annotated[
    bool, typer.Option("--ignore-text-encoder", help="Leave out layers of text encoders; the report counts them.")
]
_SkillOut = Annotated[Path, typer.Option("--out", metavar="FILE", help="The skill to write.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Skills: trained adapters together with the page they were trained for."
    )
    group.command("list")(list_skills)
    group.command("show")(show)
    group.command("export", no_args_is_help=True)(export)
    group.command("import", no_args_is_help=True)(import_lora)
    app.add_typer(group, name="skills")


def list_skills(folder: _Folder = Path()) -> None:
    """List the skills in a folder; other .safetensors files are named with the reason they are not skills.

    \b
    Example:
      triptych skills list trained
    """
    from triptych.skill import load_skill, shipped_skills

    if shipped := shipped_skills():
        console.say(f"in the package, by name: {', '.join(shipped)}")
    rows = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            card = load_skill(path).card
        except SkillError as error:
            console.say(str(error))
            continue
        rows.append((path.name, card.name, card.backbone, str(card.rank), str(card.pages), card.description))
    if not rows:
        raise SkillError(f"no skill in {folder}. Train one with `triptych train PAGESET --out FILE`.")
    console.table(("file", "name", "backbone", "rank", "pages", "description"), rows)


def show(file: _File) -> None:
    """Show what a skill was made for: its page, its prompt, how it was trained.

    \b
    Example:
      triptych skills show outline.safetensors
    """
    from triptych.skill import load_skill

    skill = load_skill(file)
    card = skill.card
    facts = {
        "name": card.name,
        "description": card.description,
        "backbone": f"{card.backbone} ({card.family})",
        "adapter": f"rank {card.rank}, alpha {card.alpha:g}, {len(skill.modules)} layers",
        "trained": f"{card.steps} steps on {card.pages} pages, {card.date}".rstrip(", "),
        "trigger": card.trigger,
        "overview": card.overview,
        "licence": card.licence,
        "template": card.template.title,
    }
    for key, value in facts.items():
        if value:
            console.out(f"{key:<12} {value}")
    if card.template.page is not None:
        words_of = card.instructions or ("",) * len(card.template.page.panels)
        for number, (panel, words) in enumerate(zip(card.template.page.panels, words_of, strict=True), 1):
            width, height = panel.size_px
            console.out(f"  panel {number}  {panel.role.value:<8} {width}x{height} px  {words or panel.hint}".rstrip())


def export(
    file: _File,
    out: _ExportFile,
    keys: _Keys = None,
    to: _To = None,
    card: _Beside = False,
    picture: _Gallery = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a skill as a LoRA that other programs read, and with --to as a workflow that uses it.

    \b
    Examples:
      triptych skills export outline.safetensors --to comfyui --out outline-comfyui.safetensors
      triptych skills export outline.safetensors --format kohya --out outline-kohya.safetensors
      triptych skills export outline.safetensors --out shared/outline.safetensors --card --picture cat.png
    """
    from triptych.comfyui import skill_workflow_file
    from triptych.models.keyformats import KeyFormat, advice, exported_file
    from triptych.skill import load_skill
    from triptych.training.hubcard import hub_card, sidecar

    if picture and not card:
        raise typer.BadParameter("pictures are for the card's gallery; add --card.", param_hint="--picture")

    if to not in (None, "comfyui"):
        raise typer.BadParameter(f"{to!r}: skills are exported to comfyui.", param_hint="--to")
    if to is not None and keys not in (None, to):
        raise typer.BadParameter(f"{to} reads its own keys, not {keys!r}. Leave it out.", param_hint="--format")
    keys = keys or to or "diffusers"
    if keys not in {one.value for one in KeyFormat}:
        raise typer.BadParameter(
            f"{keys!r}: choose {', '.join(one.value for one in KeyFormat)}.", param_hint="--format"
        )
    if out.suffix != ".safetensors" or out.resolve() == file.resolve():
        raise typer.BadParameter(f"{out} must be another file, ending in .safetensors.", param_hint="--out")
    claim(out, overwrite=overwrite)
    skill, shown = load_skill(file), _gallery(picture or ())
    files = {out.name: exported_file(skill, KeyFormat(keys))}
    if to:
        files[f"{out.stem}.workflow.json"] = skill_workflow_file(skill, out.name)
    if card:
        readme = hub_card(skill, [(name, words) for name, (words, _) in shown.items()], file=out.name)
        files |= {"README.md": readme.encode(), f"{out.stem}.json": json.dumps(sidecar(skill), indent=2).encode()}
    files |= {name: data for name, (_, data) in shown.items()}
    prepare_folder(out.parent)
    for path in write_group(out.parent, files, overwrite=overwrite):
        console.out(str(path))
    if told := advice(skill, KeyFormat(keys), out.name):
        console.say(told)


def _gallery(pictures: Sequence[Path]) -> dict[str, tuple[str, bytes]]:
    """Words and bytes of each picture by its name in the gallery. Raises ImageError where it records none."""
    from triptych.sampling.record import without_inputs

    return {f"images/{number}.png": without_inputs(path) for number, path in enumerate(pictures, 1)}


def import_lora(
    file: Annotated[Path, typer.Argument(metavar="LORA", help="A LoRA of another program, .safetensors.")],
    out: _SkillOut,
    family: _Family,
    backbone: _Base,
    template: _TemplateName = "panels",
    ignore_text_encoder: _IgnoreText = False,
    overwrite: Overwrite = False,
) -> None:
    """Make a skill from a LoRA of diffusers, PEFT, kohya, OneTrainer, ComfyUI, XLabs, BFL, fal or DiffSynth.

    All of it is imported or nothing: a report lists matched, unmatched and unusable keys. The scale is each
    layer's own alpha, else what PEFT's adapter_config.json beside the file says.

    \b
    Example:
      triptych skills import sandstorm.safetensors --out sandstorm-skill.safetensors --family flux1 \\
          --backbone black-forest-labs/FLUX.1-dev --template sandstorm-visual-effect
    """
    from triptych.models.keyformats import read_lora
    from triptych.prompts import find_template
    from triptych.skill import save_skill

    claim(out, overwrite=overwrite)
    prepare_folder(out.parent)
    skill, report = read_lora(
        file,
        family=family,
        backbone=backbone,
        template=find_template(template),
        ignore_text_encoder=ignore_text_encoder,
    )
    save_skill(skill, out)
    console.say(str(report))
    console.out(str(out))
