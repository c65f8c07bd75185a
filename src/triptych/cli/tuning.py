"""`triptych train --prefer`: picks and a skill in, a better skill out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from triptych.cli import console
from triptych.cli.output import prepare_folder
from triptych.cli.training import check_name, loaded_for, telling
from triptych.errors import TrainingError

if TYPE_CHECKING:
    from triptych.data.pagesets import PageSet
    from triptych.skill import Skill
    from triptych.training.pickcheck import Checked
    from triptych.training.recipe import Recipe

__all__ = ["tune"]


def tune(
    place: Path,
    start: Path | None,
    out: Path,
    *,
    objective: str | None,
    pages: Path | None,
    held_out: Path | None,
    recipe: str | None,
    asked: Mapping[str, object],
    resume: bool,
    more_steps: int,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Tune the skill in the file `start` to the picks at `place`."""
    from triptych.data.pagesets import load_pageset
    from triptych.models.catalog import known_card
    from triptych.picks import load_picks
    from triptych.skill import load_skill
    from triptych.training.claim import check_out
    from triptych.training.pickcheck import check_picks
    from triptych.training.prefer import before_path, prefer
    from triptych.training.tuning import tuning_recipe

    check_name(out)
    if start is None:
        raise typer.BadParameter("picks tune a skill: name it with --from SKILL.", param_hint="--from")
    check_out(out, resume=resume or more_steps > 0, overwrite=overwrite)
    base, picks = load_skill(start), load_picks(place)
    changes = {**asked, **({"preference.kind": objective} if objective else {})}
    chosen = tuning_recipe(base, recipe, changes)
    taught = _teaching_pages(start, base, pages, chosen)
    # Few picks are refused before a large model is loaded; what is of the wrong size shows only after that.
    card = known_card(chosen.backbone)
    checked = check_picks(picks, base.card, card, chosen) if card else None
    _tell(checked, len(picks), taught)
    if dry_run:
        return
    prepare_folder(out.parent)
    with console.working(f"loading {chosen.backbone}"):
        loaded = loaded_for(chosen, taught)
    if checked is None or loaded.card != card:
        checked = check_picks(picks, base.card, loaded.card, chosen)
        _tell(checked, len(picks), taught)
    with telling(out, chosen.steps) as teller:
        prefer(
            checked.examples,
            taught,
            out,
            chosen,
            loaded,
            start=base,
            held_out=load_pageset(held_out) if held_out else (),
            resume=resume,
            more_steps=more_steps,
            overwrite=overwrite,
            on_event=teller,
        )
    console.say(f"the version before: {before_path(out)}")


def _tell(checked: "Checked | None", given: int, taught: "PageSet") -> None:
    if checked is None:
        return
    for problem in checked.problems:
        console.say(str(problem))
    checked.refuse_few(given)
    console.say(f"{len(checked.examples)} picks, beside {console.counted(len(taught), 'teaching page')}")


def _teaching_pages(start: Path, skill: "Skill", pages: Path | None, recipe: "Recipe") -> "PageSet":
    """The page set that taught the skill. Raises TrainingError where it is not known."""
    from triptych.data.pagesets import load_pageset
    from triptych.training.claim import noted_pages
    from triptych.training.tuning import taught_by

    folder = pages or noted_pages(start)
    if folder is None:
        raise TrainingError(
            f"which pages taught {start} is not known; they are one half of every batch, so that the skill "
            "does not forget them. Name their page set with --pages."
        )
    found = load_pageset(folder)
    if not taught_by(skill, found, recipe):
        console.say(f"warning: {folder} is not, or no longer, the page set that taught {start}; it is used anyway.")
    return found
