"""Listening: a port, the address to open, and an orderly end."""

import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterable
from pathlib import Path

import uvicorn

from triptych.addresses import is_loopback
from triptych.studio.app import create_app
from triptych.studio.errors import StudioError
from triptych.studio.folders import DataFolder
from triptych.studio.studio import Studio

__all__ = ["OFFERED", "PORT", "serve"]

PORT = 8420
OFFERED = ("pocket", "pocket-2")
"""Models that are always there: those inside the package. Their catalogue is not asked, as it loads torch."""
_TRIED = 20


class _Server(uvicorn.Server):
    """Ends the event streams first; they would keep it from ending."""

    def __init__(self, config: uvicorn.Config, studio: Studio, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._studio, self._on_ready = studio, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._studio.events.close()
        await super().shutdown(sockets)


def serve(
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    backbones: tuple[str, ...] = OFFERED,
    names: Iterable[str] = (),
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Run the studio in the folder `root` until Ctrl-C. Raises StudioError where it cannot listen or be alone there."""
    folder = DataFolder(root=root)
    folder.make()
    if (running := folder.running()) is not None:
        if not running:
            raise StudioError(
                f"another program holds {root}. Stop it, or name another folder with --data.", code="locked"
            )
        say(f"a studio works in {root} already: {running}")
        if browser:
            webbrowser.open(running)
        return
    listening = _listen(host, port)
    token = None if is_loopback(host) else os.environ.get("TRIPTYCH_STUDIO_TOKEN") or secrets.token_urlsafe(24)
    shown = "127.0.0.1" if is_loopback(host) else host if host not in ("0.0.0.0", "::") else socket.gethostname()
    shown = f"[{shown}]" if ":" in shown else shown
    url = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
    with folder.locked(url):
        studio = Studio(root, backbones=backbones)
        app = create_app(studio, host=host, names=(*names, socket.gethostname()), token=token)

        def on_ready() -> None:
            say(f"the studio is at {url}  (Ctrl-C ends it)")
            if browser:
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=3, server_header=False, lifespan="on"
        )
        _Server(config, studio, on_ready).run(sockets=[listening])


def _listen(host: str, port: int | None) -> socket.socket:
    """A bound socket: on `port`, or on the first free one from the default on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    tried = [port] if port is not None else [*range(PORT, PORT + _TRIED), 0]
    reason: OSError | None = None
    for each in tried:
        # asyncio sends small packets at once only where the protocol is named; without, each answer waits 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, each))
            listening.listen(256)
            listening.setblocking(False)
        except OSError as error:
            listening.close()
            reason = error
            continue
        return listening
    raise StudioError(
        f"{host}:{tried[0]} cannot be listened on: {reason}. Choose another --port or --host.", code="port"
    )
