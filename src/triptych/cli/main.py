"""The command line's entry: all commands, and the one place where errors become messages and exit codes."""

import logging
import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from triptych.cli import (
    batch,
    build,
    evaluate,
    generate,
    models,
    page,
    pages,
    pick,
    picks,
    pocket,
    replay,
    rules,
    skills,
    train,
    yardstick,
)
from triptych.cli import mcp as mcp_command
from triptych.cli import studio as studio_command
from triptych.cli.console import complain, remarks
from triptych.cli.demo import command as demo
from triptych.errors import Cancelled, TriptychError
from triptych.version import __version__

__all__ = ["app", "run"]

_ERROR, _INTERRUPTED = 2, 130
_EXTRAS = {
    "matplotlib": "evaluate,train",
    "prodigyopt": "train",
    "ray": "ray",
    "schedulefree": "train",
    "scipy": "evaluate",
    "skimage": "evaluate",
}
"""Which extra of the package holds a module that the light core does without."""


class _Edge(TyperGroup):
    """Turns the errors that a user can cause into one message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TriptychError as error:
            complain(str(error))
            raise typer.Exit(_ERROR) from error
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            complain(f"this command needs the package {error.name}: pip install 'triptych[{extra}]'.")
            raise typer.Exit(_ERROR) from error
        except (Cancelled, KeyboardInterrupt):
            complain("stopped by Ctrl-C; finished files are complete, nothing else was written.")
            raise typer.Exit(_INTERRUPTED) from None


app = typer.Typer(
    name="triptych",
    cls=_Edge,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


_CHATTY = ("accelerate", "diffusers", "huggingface_hub", "peft", "torch.utils._pytree", "torchao", "transformers")


def _quiet(verbose: bool) -> None:
    """Say what our own modules log; of the libraries' remarks, only errors."""
    log = logging.getLogger("triptych")
    log.handlers = [remarks()]
    log.setLevel(logging.INFO)
    if verbose:
        return
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # These two set their own levels when they are imported.
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"triptych {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Also show messages from the libraries underneath.")
    ] = False,
) -> None:
    """Pages in, pictures out: in-context image generation.

    A page holds pictures (conditions), empty places (slots) and words. The model fills the slots.

    \b
    Try it:
      triptych demo
      triptych generate --condition fox.png "<Leo> the fox" --slot "wide shot, on a beach at dusk"
    """
    _quiet(verbose)


_COMMANDS = (
    generate,
    batch,
    replay,
    studio_command,
    mcp_command,
    demo,
    build,
    rules,
    page,
    pages,
    pick,
    picks,
    train,
    skills,
    evaluate,
    yardstick,
    models,
    pocket,
)

for command in _COMMANDS:
    command.add_to(app)


def run() -> None:
    """The console script."""
    app(prog_name="triptych")


if __name__ == "__main__":
    run()
