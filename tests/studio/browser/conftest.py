"""The real studio with the real pocket, and a real browser in front of it."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from page_in_browser import command

_FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE_MS = 30_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory) -> Path:
    """Where the studio keeps what it has."""
    return tmp_path_factory.mktemp("studio") / "data"


@pytest.fixture(scope="session")
def studio(data_folder) -> Iterator[str]:
    """The address of a studio with an empty data folder."""
    pytest.importorskip("fastapi", reason="the studio needs its extra: pip install 'triptych[studio]'")
    process, url = _start(data_folder, _free_port())
    yield url
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="session")
def boxed_studio(tmp_path_factory) -> Iterator[str]:
    """The address of a studio that offers FLUX 3 at toy size beside the pockets: it reads boxes, and they do not."""
    pytest.importorskip("fastapi", reason="the studio needs its extra: pip install 'triptych[studio]'")
    from tiny_flux3 import write_flux3

    folder = tmp_path_factory.mktemp("boxed")
    write_flux3(folder / "flux3", distilled=True)
    process, url = _start(folder / "data", _free_port(), f"{folder / 'flux3'}/")
    yield url
    process.terminate()
    process.wait(30)


@pytest.fixture
def mortal(tmp_path) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """The address of a studio of the test's own, what kills it, and what starts it again in the same place."""
    pytest.importorskip("fastapi", reason="the studio needs its extra: pip install 'triptych[studio]'")
    port = _free_port()
    running = [_start(tmp_path / "data", port)]

    def kill() -> None:
        running[-1][0].kill()
        running[-1][0].wait(30)

    yield running[0][1], kill, lambda: running.append(_start(tmp_path / "data", port))
    running[-1][0].terminate()
    running[-1][0].wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(data: Path, port: int, *backbones: str) -> tuple[subprocess.Popen, str]:
    """A studio that is ready, and its address."""
    command = [sys.executable, "-m", "triptych.cli.main", "studio", "--no-browser", "--port", str(port)]
    command += [part for name in backbones for part in ("--backbone", name)]
    log = data.parent / "log"
    with log.open("a") as written:
        process = subprocess.Popen([*command, "--data", str(data)], stdout=written, stderr=written)
    try:
        _wait(f"http://127.0.0.1:{port}/api/health", process, log)
    except BaseException:
        process.kill()
        raise
    return process, f"http://127.0.0.1:{port}"


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, f"the studio ended: {log.read_text()[-2000:]}"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if json.load(answer)["worker"] == "ready":
                    return
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail(f"the studio did not get ready: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def browser():
    """Chromium, as Debian packages it."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="browser tests need playwright: pip install playwright"
    )
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no browser here; install one: apt-get install chromium")
    playwright.expect.set_options(timeout=_PATIENCE_MS)
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, studio):
    """A first visit, its starter page there; fails where the page has an error or asks another host."""
    yield from _visit(browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce"), studio)


@pytest.fixture
def phone(browser, studio):
    """The same on a telephone: narrow, worked with a finger."""
    look = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    yield from _visit(browser.new_context(**look, reduced_motion="reduce"), studio)


def _visit(context, studio: str):
    tab = context.new_page()
    tab.set_default_timeout(_PATIENCE_MS)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    elsewhere: list[str] = []
    context.on("request", lambda asked: asked.url.startswith((studio, "data:", "blob:")) or elsewhere.append(asked.url))
    tab.goto(studio)
    tab.wait_for_selector("html[data-ready=true]")
    yield tab
    context.close()
    assert errors == []
    assert elsewhere == []


@pytest.fixture
def blank(page):
    """The studio with an empty page that waits to be asked."""
    command(page, "New page")
    page.get_by_role("switch", name="Live").click()
    page.get_by_role("article").nth(0).wait_for()
    return page
