"""`triptych generate`: a page in, its pictures out."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from PIL import Image

import triptych as tt
from triptych.canvas import arrange, composite
from triptych.cli import console, options
from triptych.cli.output import Overwrite, file_stem, free_path, prepare_folder, write_results
from triptych.cli.panels import CARRIER, PanelCommand, panel_from_word
from triptych.cli.request import requested_page
from triptych.images import png_bytes, save_png
from triptych.page import Page

if TYPE_CHECKING:
    from triptych.models.adapters import Skills

__all__ = ["add_to"]

_PageFile = Annotated[Path | None, typer.Argument(metavar="PAGE", help="A page file: .yaml, .yml or .json.")]
_Panels = Annotated[list[str] | None, typer.Option(CARRIER, hidden=True)]
# The parser never sees these four: PanelCommand makes panels of them. They are declared for --help.
_Condition = Annotated[
    list[str] | None,
    typer.Option("--condition", metavar="FILE [TEXT]", help="A panel with a picture, and what is said of it."),
]
_Slot = Annotated[
    list[str] | None, typer.Option("--slot", metavar="[TEXT]", help="A panel to be made, and what it should show.")
]
_As = Annotated[
    list[str] | None, typer.Option("--as", metavar="TEXT", help="The text of the panel before it, dashes and all.")
]
_Role = Annotated[
    list[str] | None,
    typer.Option(
        "--role", metavar="ROLE", help="What the condition before it is for: subject, edit, control, example."
    ),
]
_Overview = Annotated[str | None, typer.Option(metavar="TEXT", help="The text about the whole page.")]
_Template = Annotated[str | None, typer.Option(metavar="NAME", help="Prompt template, such as film-storyboard.")]
_Examples = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A page set whose pages show the task, in front of the page.")
]
_Shots = Annotated[int | None, typer.Option(min=1, max=16, help="How many of the example pages; by default all.")]
_Size = Annotated[str | None, typer.Option(metavar="WxH|N", help="Size of the slots, or side of the working square.")]
_Number = Annotated[int, typer.Option(min=1, max=1000, help="How many results, with seeds counting up.")]
_Preview = Annotated[bool, typer.Option("--preview", help="After every step write a picture of how far it is.")]
_Canvas = Annotated[bool, typer.Option("--canvas", help="Also write all panels as one picture, and its mask.")]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print layout, prompt, tokens, expected memory and time; make nothing.")
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("generate", cls=PanelCommand)(generate)


def generate(
    page: _PageFile = None,
    panels: _Panels = None,
    condition: _Condition = None,  # noqa: ARG001
    slot: _Slot = None,  # noqa: ARG001
    as_: _As = None,  # noqa: ARG001
    role: _Role = None,  # noqa: ARG001
    overview: _Overview = None,
    out: options.OutFolder = Path("out"),
    examples: _Examples = None,
    shots: _Shots = None,
    seed: options.Seed = 0,
    number: _Number = 1,
    steps: options.Steps = None,
    size: _Size = None,
    layout: options.CanvasLayout = None,
    template: _Template = None,
    conditioning: options.ConditioningWay = None,
    guidance: options.Guidance = None,
    backbone: options.BackboneName = "pocket",
    skill: options.SkillFiles = None,
    preview: _Preview = False,
    canvas: _Canvas = False,
    overwrite: Overwrite = False,
    dry_run: _DryRun = False,
) -> None:
    """Fill the slots of a page with pictures.

    The page is a file, or is written on the command line, panel by panel, in reading order. Each picture carries
    the whole page and the seed, so that `triptych replay` makes it again. A picture that is there already is kept:
    the new one gets a free name, which is said.

    \b
    Examples:
      triptych generate page.yaml --seed 7
      triptych generate --condition fox.png "<Leo> the fox" --slot "wide shot, on a beach at dusk" \\
          --slot "close-up, laughing" --overview "a storyboard of this character" --out story
      triptych generate --condition cat.png --slot --examples line-drawings --shots 3
      triptych generate --condition fox.png --skill storyboard.safetensors
      triptych generate --slot "a red fox in flat style" --number 4
      triptych generate page.yaml --dry-run
    """
    skills = options.read_skills(skill)
    size_px = options.parse_size(size)
    asked = requested_page(
        page,
        [panel_from_word(word) for word in panels or ()],
        overview=overview,
        layout=layout,
        template=template,
        examples=examples,
        shots=shots,
        skill=skills.skills[0] if skills else None,
        size_px=size_px,
    )
    settings: dict[str, Any] = {
        "steps": steps,
        "size_px": size_px,
        "conditioning": options.parse_conditioning(conditioning),
        "guidance": guidance,
    }
    if dry_run:
        from triptych.cli.dry_run import print_plan

        return print_plan(asked, backbone, settings, skill=skills)
    prepare_folder(out)
    stem = file_stem(asked.page_id or (page.stem if page else "page"))
    _make(
        asked,
        backbone,
        range(seed, seed + number),
        settings,
        skill=skills,
        out=out,
        stem=stem,
        preview=preview,
        canvas=canvas,
        overwrite=overwrite,
    )


def _make(
    page: Page,
    backbone_name: str,
    seeds: range,
    asked: dict[str, Any],
    *,
    skill: "Skills | None",
    out: Path,
    stem: str,
    preview: bool,
    canvas: bool,
    overwrite: bool,
) -> None:
    from triptych.sampling import settle
    from triptych.sampling.record import recorded_page, result_text

    with console.working(f"loading {backbone_name}"):
        backbone = tt.load(backbone_name)
    settings = settle(backbone.card, **asked)
    record = recorded_page(page, backbone.card, settings.size_px)
    with console.progress("steps", total=settings.steps * len(seeds)) as bar:
        for seed in seeds:
            name = f"{stem}-seed{seed}"
            film = _Film(free_path(out / f"{name}-preview.png", overwrite=overwrite)) if preview else None
            follow = _follower(bar.advance, bar.task_ids[0], film)
            result = tt.generate(backbone, page, seed=seed, skill=skill, on_step=follow, **asdict(settings))
            files = {
                f"-{number}.png": png_bytes(image, result_text(result, number, record))
                for number, image in enumerate(result.images, 1)
            }
            if canvas:
                files |= _canvas_files(result.finished)
            for path in write_results(out, name, files, overwrite=overwrite):
                console.out(str(path))
            steps = console.counted(result.steps, "step")
            console.say(f"seed {seed}: {result.timings.total_s:.2f} s, {steps}, {result.conditioning.value}")


def _canvas_files(page: Page) -> dict[str, bytes]:
    picture, mask = composite(page, arrange(page, fit=True))
    return {"-canvas.png": png_bytes(picture), "-mask.png": png_bytes(mask)}


def _follower(advance: Callable[[Any], None], task: Any, film: "_Film | None") -> "Callable[[tt.Preview], None]":
    def follow(reached: "tt.Preview") -> None:
        advance(task)
        if film is not None:
            film.add(reached.images)

    return follow


class _Film:
    """The slots after every step so far: one row a slot, one column a step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[tuple[Image.Image, ...]] = []

    def add(self, images: tuple[Image.Image, ...]) -> None:
        self._columns.append(images)
        width = max(image.width for image in images)
        strip = Image.new("RGB", (width * len(self._columns), sum(image.height for image in images)), "white")
        for column, pictures in enumerate(self._columns):
            top = 0
            for picture in pictures:
                strip.paste(picture, (column * width, top))
                top += picture.height
        save_png(strip, self._path)
