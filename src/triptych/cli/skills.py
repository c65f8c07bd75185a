"""`triptych skills`: which skills lie in a folder, and what one says of itself."""

from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import console
from triptych.errors import SkillError

__all__ = ["add_to"]

_Folder = Annotated[Path, typer.Argument(metavar="[DIR]", help="A folder of skills.")]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A skill.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Skills: trained adapters with the page that they were made for.")
    group.command("list")(list_skills)
    group.command("show")(show)
    app.add_typer(group, name="skills")


def list_skills(folder: _Folder = Path()) -> None:
    """List the skills in a folder; files that are none are named with the reason.

    \b
    Example:
      triptych skills list trained
    """
    from triptych.skill import load_skill

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
    """Tell what a skill was made for: its page, its prompt, how it was trained.

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
        "licence": card.licence,
        "template": card.template.title,
    }
    for key, value in facts.items():
        if value:
            console.out(f"{key:<12} {value}")
    if card.template.page is not None:
        for number, panel in enumerate(card.template.page.panels, 1):
            width, height = panel.size_px
            console.out(f"  panel {number}  {panel.role.value:<8} {width}x{height} px  {panel.hint}".rstrip())
