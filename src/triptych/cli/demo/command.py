"""`triptych demo`: make the exhibits and write the page."""

import os
import platform
import time
from pathlib import Path
from typing import Annotated

import typer

import triptych as tt
from triptych.cli import console, options
from triptych.cli.output import prepare_folder, write_results

__all__ = ["add_to"]

_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for demo.html; made if missing.")]
_Backbone = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Make every page with this model; by default with the package's own two."),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("demo")(demo)


def demo(
    out: _Out = Path("demo-out"),
    backbone: _Backbone = None,
    seed: options.Seed = 7,
    steps: options.Steps = None,
) -> None:
    """Show what it does, from pictures in the package: filters on photographs, a style, a rule, a storyboard.

    Writes one HTML page with inputs, outputs, prompts and timings. Takes under two minutes on two cores, and no
    network.

    \b
    Examples:
      triptych demo
      triptych demo --out show --seed 1
    """
    from triptych.cli.demo.exhibits import exhibits
    from triptych.cli.demo.report import Shown, render_report

    began = time.perf_counter()
    prepare_folder(out)
    found = exhibits()
    with console.working("loading"):
        names = dict.fromkeys(backbone or each.backbone for each in found)
        engines = {name: tt.Engine(tt.load(name)) for name in names}
    loading_s = time.perf_counter() - began
    shown: list[Shown] = []
    with console.progress("pages", total=sum(len(exhibit.pages) for exhibit in found)) as bar:
        for exhibit in found:
            engine, results = engines[backbone or exhibit.backbone], []
            for page in exhibit.pages:
                results += engine.generate(
                    tt.Request(page=page, seed=seed, steps=steps, size_px=_side_px(page, engine))
                )
                bar.advance(bar.task_ids[0])
            shown.append(Shown(exhibit=exhibit, results=tuple(results)))
    device = next(iter(engines.values())).backbone.device
    facts = (
        ("models" if len(names) > 1 else "model", ", ".join(engine.backbone.card.name for engine in engines.values())),
        *((("steps", str(steps)),) if steps else ()),
        ("seed", str(seed)),
        ("machine", f"{platform.machine()}, {os.cpu_count()} cores, no GPU" if device.type == "cpu" else "GPU"),
        ("loading", f"{loading_s:.1f} s"),
        ("version", tt.__version__),
    )
    (path,) = write_results(out, "demo", {".html": render_report(tuple(shown), facts=facts).encode()})
    console.out(str(path.resolve()))
    pictures = sum(len(result.images) for each in shown for result in each.results)
    console.say(
        f"{pictures} pictures in {sum(s.seconds for s in shown):.1f} s; all took {time.perf_counter() - began:.1f} s"
    )


def _side_px(page: "tt.Page", engine: "tt.Engine") -> int | None:
    """The side of the page's answers, where the model has a choice and is not at home in larger ones."""
    answer, card = page.slots[0].answer, engine.backbone.card
    assert answer is not None, "the demo's pages are finished"
    return None if card.fixed_side or card.side_px > answer.width else answer.width
