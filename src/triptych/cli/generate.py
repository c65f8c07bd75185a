"""`triptych generate`: fill the slots of a page with pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

import triptych as tt
from triptych.addresses import is_address
from triptych.canvas import arrange, composite
from triptych.cli import console, options
from triptych.cli.output import Overwrite, claim, file_stem, free_path, keep_inputs, prepare_folder, write_results
from triptych.cli.panels import CARRIER, PanelCommand, panel_from_word
from triptych.cli.request import read_request, requested_page
from triptych.conditioning import Reading
from triptych.errors import BackboneError
from triptych.events import CancelToken, Event, Preview, ctrl_c_cancels
from triptych.files import write_atomic
from triptych.images import opaque, png_bytes, save_png
from triptych.page import Page
from triptych.sampling.inputs import Keep
from triptych.sampling.request import MAX_NUMBER, Request

__all__ = ["add_to"]

_PageFile = Annotated[
    Path | None,
    typer.Argument(metavar="PAGE", help="A page file (.yaml, .yml or .json), or a whole request (.json)."),
]
_Panels = Annotated[list[str] | None, typer.Option(CARRIER, hidden=True)]
# The parser never sees these five: PanelCommand makes panels of them. They are declared for --help.
_Condition = Annotated[
    list[str] | None,
    typer.Option("--condition", metavar="FILE [TEXT]", help="A panel with a picture, and its text."),
]
_Slot = Annotated[
    list[str] | None, typer.Option("--slot", metavar="[TEXT]", help="A panel to be made, and what it should show.")
]
_As = Annotated[
    list[str] | None,
    typer.Option("--as", metavar="TEXT", help="The text of the preceding panel, even if it starts with dashes."),
]
_Role = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="ROLE", help="Role of the preceding condition: subject, edit, control or example."),
]
_Box = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="NAME=L,T,R,B [WORDS]",
        help="Where a thing stands in the preceding panel, from 0 to 1, and what it is; for models that read boxes.",
    ),
]
_Overview = Annotated[str | None, typer.Option(metavar="TEXT", help="The text about the whole page.")]
_Template = Annotated[str | None, typer.Option(metavar="NAME", help="Prompt template, such as film-storyboard.")]
_Examples = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A page set whose pages show the task, in front of the page.")
]
_Shots = Annotated[int | None, typer.Option(min=1, max=16, help="How many of the example pages; by default all.")]
_Size = Annotated[str | None, typer.Option(metavar="WxH|N", help="Size of the slots, or side of the working square.")]
_Seed = Annotated[
    int | None,
    typer.Option(help="Seed of the noise: the same seed gives the same pixels. By default 0, or the request's."),
]
_Number = Annotated[
    int | None,
    typer.Option(
        min=1, max=MAX_NUMBER, help="How many results, with seeds counting up. By default 1, or the request's."
    ),
]
_Backbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="The model: pocket, a hub name, a folder, a file, or http://host:port/v1#model. By default pocket, or the "
        "request's.",
    ),
]
_Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="NAME",
        help="Where the text encoder and codec come from when --backbone is a transformer alone (safetensors or GGUF).",
    ),
]
_RequestOut = Annotated[
    Path | None,
    typer.Option("--save-request", metavar="FILE", help="Also write the request as one JSON file."),
]
_Preview = Annotated[bool, typer.Option("--preview", help="After every step, write a picture of the progress so far.")]
_Canvas = Annotated[bool, typer.Option("--canvas", help="Also write all panels as one picture, and its mask.")]
_NoInputs = Annotated[
    bool, typer.Option("--no-inputs", help="Keep no copy of the pictures given, neither beside the PNG nor inside it.")
]
_Inside = Annotated[
    bool, typer.Option("--inputs-inside", help="Keep the pictures given inside each PNG, for whoever gets it.")
]
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
    box: _Box = None,  # noqa: ARG001
    overview: _Overview = None,
    out: options.OutFolder = Path("out"),
    examples: _Examples = None,
    shots: _Shots = None,
    seed: _Seed = None,
    number: _Number = None,
    steps: options.Steps = None,
    sample: options.Sample = None,
    solver: options.SolverName = None,
    size: _Size = None,
    layout: options.CanvasLayout = None,
    template: _Template = None,
    conditioning: options.ConditioningWay = None,
    guidance: options.Guidance = None,
    backbone: _Backbone = None,
    base: _Base = None,
    skill: options.SkillFiles = None,
    step_cache: options.StepCacheName = None,
    preview: _Preview = False,
    canvas: _Canvas = False,
    no_inputs: _NoInputs = False,
    inputs_inside: _Inside = False,
    overwrite: Overwrite = False,
    dry_run: _DryRun = False,
    save_request: _RequestOut = None,
) -> None:
    """Fill the slots of a page with pictures.

    The page is a file, or is written on the command line, panel by panel, in reading order. Existing pictures are
    kept: a new one gets a free name, which is printed.

    Each PNG carries the words, the settings and the seed, so that `triptych replay` can make it again. The pictures
    given are not inside: it names them by digest, and they are kept unchanged in the folder inputs beside it.

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
    if no_inputs and inputs_inside:
        raise typer.BadParameter("--no-inputs and --inputs-inside exclude each other.")
    keep = Keep.NOWHERE if no_inputs else Keep.INSIDE if inputs_inside else Keep.BESIDE
    uses, size_px = options.skill_uses(skill), options.parse_size(size)
    request = read_request(page)
    if request is None or panels:
        request = Request(
            page=requested_page(
                page,
                [panel_from_word(word) for word in panels or ()],
                overview=overview,
                layout=layout,
                template=template,
                examples=examples,
                shots=shots,
                skill=uses[0].name if uses and _is_here(uses[0].name, backbone) else None,
                size_px=size_px,
            )
        )
    elif overview or layout or template or examples:
        raise typer.BadParameter(f"{page} is a request and has its page; --overview and its like are for page files.")
    if base and not backbone:
        raise typer.BadParameter("--base belongs to a file given with --backbone.", param_hint="--base")
    asked = {
        "seed": seed,
        "number": number,
        "steps": steps,
        "reading": None if sample is None else Reading.SAMPLE if sample else Reading.MEAN,
        "solver": solver,
        "size_px": size_px,
        "conditioning": options.parse_conditioning(conditioning),
        "guidance": guidance,
        "backbone": f"{backbone}@{base}" if backbone and base else backbone,
        "skills": uses or None,
    }
    request = replace(request, **{name: value for name, value in asked.items() if value is not None})
    if save_request is not None:
        claim(save_request, overwrite=overwrite, option="--save-request")
        write_atomic(save_request, request.to_json().encode())
        console.say(f"the request is in {save_request}")
    if dry_run:
        from triptych.cli.dry_run import print_plan

        return print_plan(request)
    prepare_folder(out)
    stem = file_stem(request.page.page_id or (page.stem if page else "page"))
    with console.working(f"loading {request.backbone}"):
        engine = options.open_engine(request.backbone, step_cache)
    _make(engine, request, out=out, stem=stem, keep=keep, preview=preview, canvas=canvas, overwrite=overwrite)


def _is_here(skill: str, backbone: str | None) -> bool:
    """Whether a skill is for this machine to find; a server's own is known to that server alone, its page too."""
    from triptych.skill import shipped_skills

    return not is_address(backbone or "") or Path(skill).exists() or skill in shipped_skills()


def _make(
    engine: "tt.MakesPictures",
    request: Request,
    *,
    out: Path,
    stem: str,
    keep: Keep,
    preview: bool,
    canvas: bool,
    overwrite: bool,
) -> None:
    from triptych.sampling.record import kept_request, result_text

    if preview and not engine.shows_previews:
        raise BackboneError(f"{engine.card.name} shows no pictures before they are done. Leave --preview out.")
    card, kept = engine.card, None
    steps = engine.steps_of(request) * request.number
    with console.progress("steps", total=steps) as bar, ctrl_c_cancels(CancelToken()) as cancel:
        # One by one, so that each is on disk as soon as it is made.
        for one in request.each():
            name = f"{stem}-seed{one.seed}"
            film = _Film(free_path(out / f"{name}-preview.png", overwrite=overwrite)) if preview else None

            def hear(event: Event, film: "_Film | None" = film) -> None:
                console.advance(bar, event)
                if film is not None and isinstance(event, Preview):
                    film.add(event.images)

            (result,) = engine.generate(one, cancel=cancel, on_event=hear)
            if kept is None:
                kept = kept_request(result.request, card, keep)
                keep_inputs(out, kept.files)
            files = {
                f"-{number}.png": png_bytes(image, result_text(result, number, kept))
                for number, image in enumerate(result.images, 1)
            }
            if canvas:
                files |= _canvas_files(result.finished)
            for path in write_results(out, name, files, overwrite=overwrite):
                console.out(str(path))
            steps = f", {console.counted(result.steps, 'step')}" if result.steps else ""
            console.say(f"seed {result.seed}: {result.timings.total_s:.2f} s{steps}, {result.conditioning.value}")


def _canvas_files(page: Page) -> dict[str, bytes]:
    picture, mask = composite(page, arrange(page, fit=True))
    return {"-canvas.png": png_bytes(picture), "-mask.png": png_bytes(mask)}


class _Film:
    """The slots after every step so far: one row per slot, one column per step."""

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
                strip.paste(opaque(picture), (column * width, top))
                top += picture.height
        save_png(strip, self._path)
