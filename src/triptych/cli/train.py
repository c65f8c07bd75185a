"""`triptych train`: a page set in, a skill out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli import console
from triptych.cli.output import prepare_folder
from triptych.cli.training import check_name, loaded_for, telling
from triptych.errors import TrainingError
from triptych.files import parse_yaml

if TYPE_CHECKING:
    from triptych.training.recipe import Recipe

__all__ = ["add_to"]

_PageSet = Annotated[
    Path | None, typer.Argument(metavar="PAGESET", help="A folder with metadata.jsonl, such as `build` writes.")
]
_Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The skill: a file that ends in .safetensors.")]
_RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", metavar="NAME", help="A shipped recipe or a YAML file: pocket, or prefer with --prefer."),
]
_Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the recipe, such as adapter.rank=32."),
]
_HeldOut = Annotated[Path | None, typer.Option(metavar="DIR", help="A page set to measure and show, not to train on.")]
_Steps = Annotated[int | None, typer.Option(min=1, help="Steps; by default the recipe's.")]
_Backbone = Annotated[str | None, typer.Option(metavar="NAME", help="Default: the recipe's.")]
_TrainOn = Annotated[
    str | None,
    typer.Option(
        "--train-on",
        metavar="NAME",
        help="For a backbone of few steps: train on what it was distilled from, by that name or as base.",
    ),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only look for problems and say what the training will need; train nothing.")
]
_Resume = Annotated[bool, typer.Option("--resume", help="Continue from the newest checkpoint of this run.")]
_More = Annotated[
    int,
    typer.Option("--more-steps", min=0, metavar="N", help="Continue, and train N steps longer than planned."),
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start again where there is a run or a skill already.")]
_From = Annotated[
    Path | None,
    typer.Option("--from", metavar="SKILL", help="A skill to begin from, of the recipe's rank and layers."),
]
_Prefer = Annotated[
    Path | None,
    typer.Option("--prefer", metavar="PICKS", help="Tune a skill, named by --from, to what you picked."),
]
_Objective = Annotated[
    str | None, typer.Option("--objective", metavar="NAME", help="How picks teach: nft (the default) or dpo.")
]
_Pages = Annotated[
    Path | None,
    typer.Option(
        "--pages",
        metavar="DIR",
        help="With --prefer: the pages that taught the skill; by default those its run recorded.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("train", no_args_is_help=True)(train_skill)


def train_skill(
    out: _Out,
    pageset: _PageSet = None,
    recipe: _RecipeName = None,
    held_out: _HeldOut = None,
    steps: _Steps = None,
    backbone: _Backbone = None,
    train_on: _TrainOn = None,
    changes: _Changes = None,
    start: _From = None,
    prefer: _Prefer = None,
    objective: _Objective = None,
    pages: _Pages = None,
    resume: _Resume = False,
    more_steps: _More = 0,
    overwrite: _Overwrite = False,
    dry_run: _DryRun = False,
) -> None:
    """Train a skill: an adapter that makes one kind of page reliable, from about ten finished pages.

    Checkpoints, samples and the log go to FILE's folder, under FILE.run. Ctrl-C saves; --resume continues, by the
    recipe that the run began with. A second Ctrl-C stops at once, without saving. With fewer --steps the recipe's
    warm-up is shortened by the same share.

    With --prefer a skill is tuned to your picks (`triptych pick`), 15 or more, beside the pages that taught it. The
    training ends by how well held-out picks are predicted. The version before is kept beside FILE as FILE-before; where
    the skill does not get better, or teaching pages get worse, nothing is written. picks.md in FILE.run shows both.

    \b
    Examples:
      triptych train outlines --out outline.safetensors
      triptych train outlines --out outline.safetensors --held-out more --set adapter.rank=32 --steps 200
      triptych train outlines --out outline.safetensors --resume
      triptych train outlines --out outline.safetensors --more-steps 100
      triptych train outlines --out outline.safetensors --dry-run
      triptych train outlines --out outline.safetensors --recipe flux2-klein --backbone FLUX.2-klein-4B --train-on base
      triptych train --prefer out --from outline.safetensors --out better.safetensors
      triptych train --prefer out --from outline.safetensors --out better.safetensors --objective dpo --pages outlines
    """
    asked = _asked(changes, steps, backbone)
    if train_on is not None:
        asked["backbone"] = _undistilled(train_on, asked.get("backbone"))
    if recipe is None and (resume or more_steps):
        from triptych.training.claim import begun_with

        asked = begun_with(out) | asked
    if prefer is not None:
        from triptych.cli.tuning import tune

        if pageset is not None:
            raise typer.BadParameter(f"with --prefer name the pages that taught the skill with --pages {pageset}.")
        return tune(
            prefer,
            start,
            out,
            objective=objective,
            pages=pages,
            held_out=held_out,
            recipe=recipe,
            asked=asked,
            resume=resume,
            more_steps=more_steps,
            overwrite=overwrite,
            dry_run=dry_run,
        )
    if pageset is None:
        raise typer.BadParameter("name a page set to learn from, or picks with --prefer.", param_hint="PAGESET")
    if pages is not None or objective is not None:
        raise typer.BadParameter("--pages and --objective belong to --prefer.")
    from triptych.training.recipe import load_recipe

    _train(
        pageset,
        out,
        load_recipe(recipe or "pocket", asked),
        held_out=held_out,
        start=start,
        resume=resume,
        more_steps=more_steps,
        overwrite=overwrite,
        dry_run=dry_run,
    )


def _train(
    pageset: Path,
    out: Path,
    chosen: "Recipe",
    *,
    held_out: Path | None,
    start: Path | None,
    resume: bool,
    more_steps: int,
    overwrite: bool,
    dry_run: bool,
) -> None:
    from triptych.data.pagesets import load_pageset
    from triptych.skill import load_skill
    from triptych.training.claim import check_out
    from triptych.training.loop import train

    check_name(out)
    base = load_skill(start) if start else None
    check_out(out, resume=resume or more_steps > 0, overwrite=overwrite)
    _look_ahead(pageset, chosen, held_out)
    if dry_run:
        return
    pages, unseen = load_pageset(pageset), load_pageset(held_out) if held_out else ()
    prepare_folder(out.parent)
    with console.working(f"loading {chosen.backbone}"):
        loaded = loaded_for(chosen, pages)
    with telling(out, chosen.steps) as teller:
        train(
            pages,
            out,
            chosen,
            loaded,
            held_out=unseen,
            resume=resume,
            more_steps=more_steps,
            overwrite=overwrite,
            start=base,
            on_event=teller,
        )


def _look_ahead(pageset: Path, recipe: "Recipe", held_out: Path | None) -> None:
    """Print every problem, and what the training needs. Raises TrainingError where a problem forbids training."""
    from triptych.data.pagesets import load_pageset
    from triptych.models.catalog import known_card
    from triptych.models.hardware import best_device, operations_per_second
    from triptych.training.estimate import need_of
    from triptych.training.preflight import Severity, preflight

    problems = preflight(pageset, recipe, held_out=held_out, card=known_card(recipe.backbone))
    for problem in problems:
        console.say(str(problem))
    if errors := sum(problem.severity is Severity.ERROR for problem in problems):
        raise TrainingError(f"{errors} of the problems above must be fixed before {pageset} can be trained on.")
    if need := need_of(recipe, load_pageset(pageset)):
        console.say(f"{recipe.steps} steps: {need.text(operations_per_second(best_device()))}")


def _undistilled(train_on: str, backbone: object) -> str:
    """What a skill for `backbone` is trained on; says that it is for both."""
    from triptych.models.catalog import find_known

    known = find_known(str(backbone)) if backbone is not None else None
    if known is None or not known.undistilled:
        named = "name it by --backbone" if backbone is None else f"{backbone} is not known as one"
        raise typer.BadParameter(
            f"belongs to a backbone that was distilled to a few steps; {named}.", param_hint="--train-on"
        )
    chosen = known.undistilled if train_on == "base" else train_on
    console.say(f"trained on {chosen}, and samples are of it; use the skill with {known.card.name} or with both.")
    return chosen


def _asked(changes: list[str] | None, steps: int | None, backbone: str | None) -> dict[str, object]:
    """Values of the recipe that the command line gives, by dotted key."""
    asked: dict[str, object] = {}
    for change in changes or ():
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{change!r} is not a change. Write KEY=VALUE.", param_hint="--set")
        try:
            asked[key] = parse_yaml(value)
        except ValueError as error:
            raise typer.BadParameter(f"{change!r}: its value is not valid YAML: {error}.", param_hint="--set") from None
    return asked | {key: value for key, value in (("steps", steps), ("backbone", backbone)) if value is not None}
