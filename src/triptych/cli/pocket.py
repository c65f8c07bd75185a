"""`triptych pocket`: build the small backbone from scratch: pictures, codec, pretraining."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli import console, options
from triptych.cli.evaluate import evaluate_pocket
from triptych.cli.training import saying_where
from triptych.errors import TrainingError
from triptych.events import Event, Step, Warning

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from triptych.training.recipe import Precision

__all__ = ["add_to"]

_Recipe = Annotated[str, typer.Argument(metavar="[RECIPE]", help="A shipped recipe or a YAML file.")]
_Run = Annotated[Path, typer.Option("--run", metavar="DIR", help="Folder of the run; an unfinished run continues.")]
_Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the pictures.")]
_Packages = Annotated[
    Path | None,
    typer.Option("--packages", metavar="DIR", help="Folder with an existing node_modules."),
]
_Debs = Annotated[
    Path | None,
    typer.Option("--packages", metavar="DIR", help="Folder with the .deb files, if already downloaded."),
]
_Codec = Annotated[
    Path | None,
    typer.Option("--codec", metavar="FILE", help="A trained codec; by default --start's, else one is trained first."),
]
_CodecSteps = Annotated[int, typer.Option(min=1, help="Steps of the codec's training.")]
_Start = Annotated[Path | None, typer.Option("--start", metavar="FILE", help="An earlier pocket to begin from.")]
_Compile = Annotated[
    bool, typer.Option("--compile/--eager", help="Compile the blocks, which needs a C++ compiler; 2-3x faster.")
]
_Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps; by default the fastest.")
]
_Dtype = Annotated[
    str, typer.Option("--dtype", metavar="NAME", help="fp32, bf16, or auto: bf16 where the hardware is fast at it.")
]
_Workers = Annotated[int, typer.Option(min=1, max=64, help="Number of processes that make pages.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="The pocket backbone: its pictures, its training, its evaluation.")
    group.command("sprites")(sprites)
    group.command("pictures")(pictures)
    group.command("pretrain")(pretrain_pocket)
    group.command("finish")(finish_pocket)
    group.command("evaluate")(evaluate_pocket)
    app.add_typer(group, name="pocket")


def sprites(out: _Out = None, packages: _Packages = None) -> None:
    """Fetch the permitted picture sets with npm and render them, once. Needs Node.js, and the network for npm.

    \b
    Examples:
      triptych pocket sprites
      triptych pocket sprites --packages icons --out sprites
    """
    from triptych.data.rendering import install_packages, render_sprites
    from triptych.data.sprites import STYLES

    folder = options.sprite_folder(out)
    source = packages or folder.with_name(f"{folder.name}-packages")
    if packages is None:
        with console.working("npm install"):
            install_packages(source)
    with console.progress("styles", total=len(STYLES)) as bar:
        for style, count in render_sprites(source, folder):
            bar.advance(bar.task_ids[0])
            console.say(f"{style}: {count} objects")
    console.out(str(folder))


def pictures(
    out: _Out = None,
    packages: _Debs = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of processes that render drawings.")] = 1,
) -> None:
    """Fetch photographs and clip art with apt-get and cut them, once, beside the sprites.

    Needs Debian's tools, and the network for apt-get. Pictures whose licence does not allow it are left out: NOTICE.

    \b
    Examples:
      triptych pocket pictures
      triptych pocket pictures --packages debs --out sprites
    """
    from triptych.data.clipart import render_clip_art
    from triptych.data.debian import fetch_packages, unpack_packages
    from triptych.data.photographs import cut_photographs

    folder = options.sprite_folder(out)
    source = packages or folder.with_name(f"{folder.name}-packages") / "debian"
    if packages is None:
        with console.working("apt-get download"):
            fetch_packages(source)
    else:
        unpack_packages(source)
    with console.progress("photographs", total=1) as bar:
        counts = cut_photographs(source, folder, on_event=lambda event: console.follow(bar, event))
    console.say(", ".join(f"{kind}: {count} crops" for kind, count in counts.items()))
    with console.progress("clip art", total=1) as bar:
        count = render_clip_art(source, folder, workers=workers, on_event=lambda event: console.follow(bar, event))
    console.say(f"clip art: {count} drawings")
    console.out(str(folder))


def pretrain_pocket(
    run: _Run,
    recipe: _Recipe = "pocket",
    sprites: options.SpriteFolder = None,
    codec: _Codec = None,
    codec_steps: _CodecSteps = 6000,
    start: _Start = None,
    workers: _Workers = 1,
    device: _Device = None,
    dtype: _Dtype = "auto",
    compiled: _Compile = True,
) -> None:
    """Train the pocket backbone from scratch, on pages made on the fly. Takes hours; a stopped run continues.

    Writes DIR/pocket.safetensors, which --backbone takes, and DIR/log.jsonl. Ctrl-C ends the step and saves. For
    several GPUs: accelerate launch -m triptych.cli.main pocket pretrain ...

    \b
    Examples:
      triptych pocket pretrain --run runs/pocket
      triptych pocket pretrain my-recipe.yaml --run runs/mine --start runs/pocket/pocket.safetensors
    """
    from triptych.data.sprites import SpriteSource
    from triptych.training.pretrain.codec import train_codec
    from triptych.training.pretrain.loop import pretrain
    from triptych.training.pretrain.pictures import PictureSource
    from triptych.training.pretrain.recipe import load_recipe, mixture_of

    chosen, source = load_recipe(recipe), SpriteSource(options.sprite_folder(sprites))
    _ = source.names  # says what to do where there are no sprites, before anything is written
    mixture, arithmetic = mixture_of(chosen, source), _precision(dtype)
    if codec is None and start is None:
        pictures = PictureSource(source.folder)
        if "photos" not in pictures.kinds:
            console.say("no photographs here: the codec learns from drawings alone (`triptych pocket pictures`)")
        with console.progress("codec", total=codec_steps) as bar, saying_where("the same command"):
            codec = train_codec(
                pictures,
                run / "codec",
                steps=codec_steps,
                workers=workers,
                device=device,
                precision=arithmetic,
                on_event=_shown(bar, "codec, {gain_db:+.2f} dB over linear"),
            )
    elif codec is not None and not codec.is_file():
        raise TrainingError(f"no codec {codec}; leave --codec out to train one.")

    with console.progress("pretraining", total=chosen.steps) as bar, saying_where("the same command"):
        released = pretrain(
            chosen,
            mixture,
            source.names,
            run,
            codec=codec,
            start=start,
            workers=workers,
            compiled=compiled,
            device=device,
            precision=arithmetic,
            on_event=_shown(bar, "loss {loss:.4f}, {seconds:.2f} s a step"),
        )
    console.out(str(released))


def finish_pocket(
    start: Annotated[Path, typer.Argument(metavar="POCKET", help="A pocket file with a trained transformer.")],
    run: _Run,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME", help="Whose pages; shipped or a YAML file.")
    ] = "pocket",
    steps: Annotated[int, typer.Option(min=1, help="Batches of pages.")] = 600,
    sprites: options.SpriteFolder = None,
    workers: _Workers = 1,
    device: _Device = None,
    dtype: _Dtype = "auto",
) -> None:
    """Train the decoder of a pocket on what its transformer predicts: fewer seams, less grain. Half an hour or so.

    Writes DIR/pocket.safetensors; a stopped run continues. Transformer and words stay as they are.

    \b
    Examples:
      triptych pocket finish runs/pocket/pocket.safetensors --run runs/finished
    """
    from triptych.data.sprites import SpriteSource
    from triptych.training.pretrain.finish import finish_decoder
    from triptych.training.pretrain.recipe import load_recipe, mixture_of

    chosen, source = load_recipe(recipe), SpriteSource(options.sprite_folder(sprites))
    _ = source.names
    with console.progress("decoder", total=steps) as bar, saying_where("the same command"):
        released = finish_decoder(
            chosen,
            mixture_of(chosen, source),
            start,
            run,
            steps=steps,
            workers=workers,
            device=device,
            precision=_precision(dtype),
            on_event=_shown(bar, "error {error:.4f}"),
        )
    console.out(str(released))


def _shown(bar: "Bar", text: str) -> "Callable[[Event[Path]], None]":
    """Shows events on a bar; `text` is filled in with what was measured."""

    def hear(event: "Event[Path]") -> None:
        match event:
            case Step():
                bar.update(bar.task_ids[0], completed=event.step, description=text.format(**event.measures))
            case Warning():
                console.say(event.text)
            case _:
                pass

    return hear


def _precision(dtype: str) -> "Precision":
    from triptych.training.recipe import Precision

    try:
        return Precision(dtype)
    except ValueError:
        known = ", ".join(Precision)
        raise typer.BadParameter(f"{dtype!r} is not a precision; choose {known}.", param_hint="--dtype") from None
