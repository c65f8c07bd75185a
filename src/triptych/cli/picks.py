"""`triptych picks`: look at picks, and exchange them as data sets of pairs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import console
from triptych.errors import PickError

__all__ = ["add_to"]

_Place = Annotated[Path, typer.Argument(metavar="PICKS", help="A folder with picks.jsonl, or the file.")]
_Id = Annotated[str, typer.Argument(metavar="ID", help="The pick's id, or its beginning, as `list` shows it.")]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write; must be new.")]
_Source = Annotated[Path, typer.Argument(metavar="DIR", help="A data set: a folder of parquet files, or one of them.")]
_Into = Annotated[Path, typer.Option("--out", metavar="PICKS", help="The picks to add to; made if missing.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Picks: what you kept and rejected, for training to learn from.")
    group.command("list", no_args_is_help=True)(list_picks)
    group.command("show", no_args_is_help=True)(show)
    group.command("export", no_args_is_help=True)(export)
    group.command("import", no_args_is_help=True)(import_pairs)
    app.add_typer(group, name="picks")


def list_picks(place: _Place) -> None:
    """List picks: one line for each request, with how many of its results were kept, rejected and passed over.

    A studio's data folder has picks too.

    \b
    Examples:
      triptych picks list out
      triptych picks list ~/.local/share/triptych/studio
    """
    from triptych.picks import Verdict, load_picks

    picks = load_picks(place)
    rows = [
        (
            pick.pick_id[:8],
            str(len(pick.kept)),
            str(len(pick.rejected)),
            str(len(pick.of(Verdict.UNSEEN))),
            pick.when[:16].replace("T", " "),
            pick.backbone,
            " + ".join(pick.skills) or "-",
            pick.words[:60],
        )
        for pick in picks
    ]
    console.table(("pick", "kept", "rejected", "unseen", "when", "backbone", "skills", "words"), rows)
    console.say(console.counted(len(picks), "pick"))


def show(place: _Place, name: _Id) -> None:
    """Show one pick: every result with its seed, the verdict on it, and its pictures.

    \b
    Example:
      triptych picks show out 3f2a91c0
    """
    from triptych.picks import load_picks

    found = [pick for pick in load_picks(place) if pick.pick_id.startswith(name)]
    if len(found) != 1:
        raise PickError(f"{len(found)} picks begin with {name!r}. `triptych picks list {place}` shows them.")
    (pick,) = found
    facts = {
        "pick": pick.pick_id,
        "when": pick.when,
        "made by": f"{pick.backbone}, {pick.made_by}",
        "skills": " + ".join(pick.skills),
        "words": pick.words,
        "settings": json.dumps({key: pick.data.get(key) for key in ("steps", "conditioning", "guidance", "size_px")}),
    }
    for key, value in facts.items():
        if value:
            console.out(f"{key:<10} {value}")
    for result in pick.results:
        seed = "no seed" if result.seed is None else f"seed {result.seed}"
        console.out(f"  {result.verdict.value:<9} {seed:<12} {' '.join(str(pick.folder / n) for n in result.pictures)}")


def export(place: _Place, out: _Out) -> None:
    """Write picks as pairs that `datasets.load_dataset` reads: prompt, chosen, rejected, and how both were made.

    Each kept result is paired with each rejected one of its request, one row per slot.

    \b
    Example:
      triptych picks export out --out pairs
    """
    from triptych.picks import load_picks
    from triptych.picks.exchange import write_pairs

    written = write_pairs(load_picks(place), out)
    console.out(str(out))
    left = f"; {written.left_out} without a kept and a rejected result are left out" if written.left_out else ""
    console.say(f"{console.counted(written.rows, 'pair')} of {console.counted(written.picks, 'pick')}{left}")


def import_pairs(source: _Source, out: _Into) -> None:
    """Add the pairs of a data set to picks: what `export` wrote, or columns as other data sets have them.

    Reads prompt (or caption, text) with chosen and rejected, or with jpg_0, jpg_1 and label_0. Pictures from
    elsewhere have no seed: training draws their noise.

    \b
    Example:
      triptych picks import pairs --out my-picks
    """
    from triptych.picks import add_picks, picks_path
    from triptych.picks.exchange import read_pairs

    shown = read_pairs(source)
    for note in add_picks(out, shown, made_by=f"import of {source.name}"[:100]):
        console.say(note)
    console.out(str(picks_path(out)))
    console.say(f"{console.counted(len(shown), 'result')} added")
