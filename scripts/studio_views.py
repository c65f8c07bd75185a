"""Write the pictures of the studio's views to docs/studio: three widths, light and dark, of a studio of its own."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from triptych.files import write_atomic

OUT = Path(__file__).resolve().parents[1] / "docs" / "studio"
_SIZES = ((390, 844), (900, 1100), (1600, 1000))
_SHOWN_PX = 1200
_VIEWS = ("page", "gallery", "skills", "rules")
_RULE = "outline"


def main() -> None:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with tempfile.TemporaryDirectory() as data, _studio(data) as url, sync_playwright() as play:
        _work(url)
        chromium = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for width, height in _SIZES:
            for scheme in ("light", "dark"):
                _show(chromium, url, (width, height), scheme)
        chromium.close()


@contextmanager
def _studio(data: str) -> Iterator[str]:
    command = [sys.executable, "-m", "triptych.cli.main", "studio", "--no-browser", "--port", "0", "--data", data]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split(" at ")[1].split()[0].rstrip("/")
    finally:
        server.terminate()
        server.wait(30)


def _work(url: str) -> None:
    """Fill the gallery from the starter pages."""
    with httpx.Client(base_url=url, headers={"X-Triptych": "1"}, timeout=120) as client:
        starters = client.get("/api/starters").json()["items"]
        jobs = []
        for seed in (1, 2):
            for starter in starters:
                request = {"page": starter["page"], "seed": seed, "number": 2}
                body = {"kind": "generate", "body": {"request": request}}
                jobs.append(client.post("/api/jobs", json=body).raise_for_status().json()["id"])
        while any(client.get(f"/api/jobs/{job}").json()["ended"] is None for job in jobs):
            time.sleep(0.5)
        for number, picture in enumerate(client.get("/api/pictures?limit=60").json()["items"]):
            if number % 7 == 2:
                client.patch(f"/api/pictures/{picture['id']}", json={"favourite": True})


def _show(chromium: Any, url: str, size: tuple[int, int], scheme: str) -> None:
    viewport = {"width": size[0], "height": size[1]}
    context = chromium.new_context(viewport=viewport, color_scheme=scheme, has_touch=size[0] < 500)
    tab = context.new_page()
    tab.goto(url)
    tab.locator("panel-card .made").nth(2).wait_for(timeout=60_000)
    tab.get_by_text("Saved", exact=True).wait_for()
    for view in _VIEWS:
        tab.evaluate(f"location.hash = '#/{view}'")
        if view == "rules":
            tab.get_by_label("Find a rule").fill(_RULE)
            tab.get_by_role("navigation", name="Rules").get_by_role("button", name=_RULE).first.click()
            tab.get_by_label("Find a rule").fill("")
        tab.mouse.move(1, size[1] - 1)
        tab.wait_for_timeout(2500)
        image = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
        image.thumbnail((_SHOWN_PX, 4 * _SHOWN_PX), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=82, method=6)
        write_atomic(OUT / f"{view}-{size[0]}-{scheme}.webp", buffer.getvalue())
    context.close()


if __name__ == "__main__":
    main()
