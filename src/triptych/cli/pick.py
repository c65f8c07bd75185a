"""`triptych pick`: say which results you keep and which you reject."""

from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import console, options

__all__ = ["add_to"]

_Places = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="A folder that `generate` wrote into, or PNG files of it.")
]
_Keep = Annotated[
    str | None, typer.Option("--keep", metavar="NUMBERS", help="Results that you keep: 3, or 1,2, or 1-4, or rest.")
]
_Reject = Annotated[
    str | None, typer.Option("--reject", metavar="NUMBERS", help="Results that you reject, in the same way.")
]
_To = Annotated[
    Path | None,
    typer.Option("--to", metavar="DIR", help="Folder of the picks; by default the results' own folder."),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("pick", no_args_is_help=True)(pick)


def pick(
    places: _Places, keep: _Keep = None, reject: _Reject = None, to: _To = None, inputs: options.Inputs = None
) -> None:
    """Say which results you keep and which you reject, for `triptych train --prefer` to learn from.

    Results are counted from 1, in the order of their names; without --keep and --reject they are listed with their
    numbers. Results of the same request that neither names are recorded as passed over. Picks are added to picks.jsonl,
    their pictures to the folder picks beside it. A later verdict on a result replaces the first, which stays in
    the file.

    \b
    Examples:
      triptych pick out/
      triptych pick out/ --keep 3 --reject 1,2
      triptych pick out/ --keep 2 --reject rest --to my-picks
      triptych pick out/fox-seed3-1.png --keep 1
    """
    from triptych.picks.found import find_results, judged
    from triptych.picks.store import add_picks, picks_path

    results = find_results(places, inputs=inputs or ())
    if keep is None and reject is None:
        rows = [
            (str(number), result.name, str(result.request.seed), result.group[:8])
            for number, result in enumerate(results, 1)
        ]
        return console.table(("number", "result", "seed", "request"), rows)
    shown = judged(results, keep=keep, reject=reject)
    first = places[0]
    folder = to or (first if first.is_dir() else first.parent)
    for note in add_picks(folder, shown, made_by=results[0].made_by):
        console.say(note)
    counts = {one.verdict: sum(other.verdict is one.verdict for other in shown) for one in shown}
    console.out(str(picks_path(folder)))
    console.say(", ".join(f"{count} {verdict.value}" for verdict, count in sorted(counts.items(), reverse=False)))
