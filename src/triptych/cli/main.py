"""The command line's entry: all commands, and the one place where errors become messages and exit codes."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from triptych import __version__
from triptych.cli import generate, replay
from triptych.cli.console import complain
from triptych.errors import TriptychError

__all__ = ["app", "run"]

_ERROR, _INTERRUPTED = 2, 130


class _Edge(TyperGroup):
    """Turns the errors that a user can cause into one message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TriptychError as error:
            complain(str(error))
            raise typer.Exit(_ERROR) from error
        except KeyboardInterrupt:
            complain("stopped by Ctrl-C; files that were finished are whole, nothing else was written.")
            raise typer.Exit(_INTERRUPTED) from None


app = typer.Typer(
    name="triptych",
    cls=_Edge,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"triptych {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Pages in, pictures out: in-context image generation.

    A page holds pictures (conditions), empty places (slots) and words. The model fills the slots.

    \b
    Try it:
      triptych demo
      triptych generate --condition fox.png "<Leo> the fox" --slot "wide shot, on a beach at dusk"
    """


generate.add_to(app)
replay.add_to(app)


def run() -> None:
    """The console script."""
    app(prog_name="triptych")


if __name__ == "__main__":
    run()
