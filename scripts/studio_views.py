"""Write the pictures of the studio's views to docs/studio: three widths, light and dark, of a studio of its own.

    python scripts/studio_views.py [--out docs/studio] [--all]

`--all` adds dialogs, menus and states that the docs do not show, to be looked at.
"""

import argparse
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
_BLUR = """() => {
    let one = document.activeElement;
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    one?.blur();
}"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with tempfile.TemporaryDirectory() as data, _studio(data) as url, sync_playwright() as play:
        _work(url)
        chromium = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for width, height in _SIZES:
            for scheme in ("light", "dark"):
                _show(chromium, url, (width, height), scheme, options.out)
                if options.all:
                    _show_more(chromium, url, (width, height), scheme, options.out)
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
        for seed in (1, 2, 3):
            for starter in starters:
                request = {"page": starter["page"], "seed": seed}
                body = {"kind": "generate", "body": {"request": request}}
                jobs.append(client.post("/api/jobs", json=body).raise_for_status().json()["id"])
        while any(client.get(f"/api/jobs/{job}").json()["ended"] is None for job in jobs):
            time.sleep(0.5)
        for number, picture in enumerate(client.get("/api/pictures?limit=60").json()["items"]):
            if number % 7 == 2:
                client.patch(f"/api/pictures/{picture['id']}", json={"favourite": True})


def _open(chromium: Any, url: str, size: tuple[int, int], scheme: str) -> Any:
    """The studio as a first visit finds it, its starter page filled."""
    viewport = {"width": size[0], "height": size[1]}
    context = chromium.new_context(viewport=viewport, color_scheme=scheme, has_touch=size[0] < 500)
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    tab.goto(url)
    tab.locator("panel-card .made").nth(2).wait_for()
    tab.get_by_text("Saved", exact=True).wait_for()
    _forget_visits(url)
    return tab


def _forget_visits(url: str) -> None:
    """Bin what visits made live of the starter page, and their pages: each view shows the same work."""
    with httpx.Client(base_url=url, headers={"X-Triptych": "1"}, timeout=120) as client:
        pictures = client.get("/api/pictures?limit=500").json()["items"]
        live = {one["id"] for one in client.get("/api/jobs").json()["items"] if one["lane"] == "live"}
        drafts = [one["id"] for one in pictures if one["job"] in live]
        client.post("/api/pictures/delete", json={"ids": drafts}).raise_for_status()
        for old in client.get("/api/documents").json()["items"][1:]:
            client.delete(f"/api/documents/{old['id']}").raise_for_status()


def _show(chromium: Any, url: str, size: tuple[int, int], scheme: str, out: Path) -> None:
    tab = _open(chromium, url, size, scheme)
    for view in _VIEWS:
        tab.evaluate(f"location.hash = '#/{view}'")
        if view == "rules":
            tab.get_by_label("Find a rule").fill(_RULE)
            tab.get_by_role("navigation", name="Rules").get_by_role("button", name=_RULE).first.click()
            tab.get_by_label("Find a rule").fill("")
        tab.evaluate(_BLUR)
        tab.mouse.move(1, size[1] - 1)
        tab.wait_for_timeout(2500)
        _keep(tab, out / f"{view}-{size[0]}-{scheme}.webp")
    tab.context.close()


_MORE = {
    "starters": "Pages to start from",
    "teach": "Teach a skill",
    "queue": "Show the queue",
    "documents": "Open a page of before",
    "tray": "Show pictures made before",
}


def _show_more(chromium: Any, url: str, size: tuple[int, int], scheme: str, out: Path) -> None:
    tab = _open(chromium, url, size, scheme)

    def keep(name: str) -> None:
        tab.wait_for_timeout(1200)
        _keep(tab, out / f"more-{name}-{size[0]}-{scheme}.webp")

    def ask(words: str) -> None:
        tab.keyboard.press("Control+k")
        tab.get_by_role("combobox", name="Find a command").fill(words)
        tab.keyboard.press("Enter")

    tab.keyboard.press("Control+k")
    keep("palette")
    tab.keyboard.press("Escape")
    tab.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    keep("foot")
    tab.get_by_role("button", name="More settings").click()
    keep("settings")
    tab.get_by_role("button", name="More settings").click()
    for name, words in _MORE.items():
        ask(words)
        keep(name)
        if name in ("queue", "tray"):
            ask(words)
        else:
            tab.keyboard.press("Escape")
        tab.evaluate("location.hash = '#/page'")
    ask("Start: Style by example")
    keep("examples")
    tab.get_by_role("button", name="More for panel 1").click()
    keep("menu")
    tab.keyboard.press("Escape")
    ask("New page")
    keep("blank")
    ask("Go to the gallery")
    tab.locator("gallery-item .look").first.click()
    keep("picture")
    tab.keyboard.press("Escape")
    tab.get_by_label("Search by words").fill("nothing of this kind")
    keep("nothing")
    tab.context.close()


def _keep(tab: Any, path: Path) -> None:
    image = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    image.thumbnail((_SHOWN_PX, 4 * _SHOWN_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=82, method=6)
    write_atomic(path, buffer.getvalue())


if __name__ == "__main__":
    main()
