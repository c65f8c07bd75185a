"""A studio that really listens, for tests."""

import threading
import time
from pathlib import Path

import httpx
import uvicorn

from triptych.studio.app import create_app
from triptych.studio.studio import Studio


class Served:
    """A studio that listens, with its worker."""

    def __init__(self, root: Path, backbones: tuple[str, ...] = ("pocket",)) -> None:
        self.studio = Studio(root, backbones=backbones)
        config = uvicorn.Config(create_app(self.studio), port=0, log_level="warning", timeout_graceful_shutdown=2)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until = time.monotonic() + 60
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.05)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, headers={"X-Triptych": "1"}, timeout=180)

    def ended(self, job: str, seconds: float = 240) -> dict:
        """The job when it has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.client.get(f"/api/jobs/{job}").json()
            if found["ended"] is not None:
                return found
            time.sleep(0.05)
        raise AssertionError(f"the job has not ended: {found}")

    def close(self) -> None:
        self.client.close()
        self.studio.events.close()
        self.server.should_exit = True
        self.thread.join(30)
