"""`triptych mcp`: tools for agents, over stdio or HTTP."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import console
from triptych.cli.studio import studio_needed

__all__ = ["add_to"]

_Http = Annotated[bool, typer.Option("--http", help="Listen for streamable HTTP at /mcp, in place of stdio.")]
_Port = Annotated[int, typer.Option(min=1, max=65535, help="Port for --http.")]
_Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The studio's folder; by default the one of `studio`.")
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("mcp")(mcp)


def mcp(http: _Http = False, port: _Port = 8421, data: _Data = None) -> None:
    """Offer generate, teach, evaluate, skills and rules to agents, through the Model Context Protocol.

    Works beside a running studio, on the same queue and gallery, or alone.

    \b
    Examples:
      triptych mcp
      triptych mcp --http --port 8421
    """
    studio_needed()
    from triptych.studio.agents import http_security, make_server
    from triptych.studio.folders import default_folder
    from triptych.studio.studio import Studio

    root = (data or default_folder()).expanduser()
    studio = Studio(root)
    with ExitStack() as stack:
        if studio.folder.running() is None:
            stack.enter_context(studio.folder.locked(""))
            stack.enter_context(studio.running())
        server = make_server(studio, local_paths=not http)
        if http:
            console.say(f"tools for agents at http://127.0.0.1:{port}/mcp  (Ctrl-C ends it)")
            server.run("streamable-http", port=port, transport_security=http_security("127.0.0.1", port))
        else:
            server.run("stdio")
