"""`triptych studio`: the web app on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from triptych.errors import TriptychError

__all__ = ["add_to", "studio_needed"]

_Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port; by default 8420, or the next one that is free.")
]
_Host = Annotated[str, typer.Option(help="Address to listen on; any other than loopback needs a token.")]
_NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")]
_Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Where everything is kept; by default ~/.local/share/triptych/studio."),
]
_Backbones = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone", metavar="NAME", help="A model to offer besides the pockets; may be given several times."
    ),
]
_Names = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="A host name to open the page by; may be given several times."),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("studio")(studio)


def studio(
    port: _Port = None,
    host: _Host = "127.0.0.1",
    no_browser: _NoBrowser = False,
    data: _Data = None,
    backbone: _Backbones = None,
    allow_host: _Names = None,
) -> None:
    """Open the studio: a page in the browser for making pictures, teaching skills and trying rules.

    It also answers OpenAI's image API under /v1 (docs/studio.md).

    \b
    Examples:
      triptych studio
      triptych studio --port 9000 --no-browser --data ~/pictures/studio
      triptych studio --host 0.0.0.0
    """
    studio_needed()
    from triptych.studio.folders import default_folder
    from triptych.studio.serve import OFFERED, serve

    serve(
        (data or default_folder()).expanduser(),
        host=host,
        port=port,
        backbones=tuple(dict.fromkeys((*OFFERED, *(backbone or ())))),
        names=tuple(allow_host or ()),
        browser=not no_browser,
        say=_say,
    )


def _say(text: str) -> None:
    # Flushed at once, as another program may read the address.
    print(text, flush=True)


def studio_needed() -> None:
    """Raise TriptychError where the extra is not installed."""
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise TriptychError(
            f"the studio needs {error.name}, which is not installed. Run: pip install 'triptych[studio]'"
        ) from error
