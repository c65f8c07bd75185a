"""How long the studio's page takes in a browser: the first picture, a keystroke, and a gallery of ten thousand.

A part of `studio.py`.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from triptych.studio.files import FileStore
from triptych.studio.folders import DataFolder
from triptych.studio.gallery import Gallery
from triptych.studio.store import Store

_FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run"]
_WATCH = """
window.seen = [];
const send = window.fetch;
window.fetch = (...what) => {
    if (String(what[0]) === '/api/jobs' && what[1]?.method === 'POST') seen.push(['asked', performance.now()]);
    return send(...what);
};
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (kind, heard) {
    listen.call(this, kind, (event) => {
        if (kind === 'preview') seen.push(['told', performance.now()]);
        heard(event);
    });
};
addEventListener('keydown', () => seen.push(['key', performance.now()]), true);
"""
_DECODED = """() => {
    const inside = (node, name) => node.querySelector(name).shadowRoot;
    const cards = inside(inside(document, 'studio-app'), 'page-view').querySelectorAll('panel-card');
    const frame = cards[1].shadowRoot.querySelector('.frame');
    let before = frame.querySelector('img')?.src;
    new MutationObserver(() => {
        const image = frame.querySelector('img');
        if (!image || image.src === before) return;
        before = image.src;
        image.decode().then(() => seen.push(['shown', performance.now()]), () => {});
    }).observe(frame, {subtree: true, childList: true, attributes: true});
}"""
_SCROLL = """async (times) => {
    const frames = [];
    let before = performance.now();
    for (let number = 0; number < times; number += 1) {
        scrollBy(0, 240);
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        frames.push(now - before);
        before = now;
    }
    return frames;
}"""
_TO_THE_END = """async (count) => {
    const app = document.querySelector('studio-app').shadowRoot;
    const chunks = () => [...app.querySelector('gallery-view').shadowRoot.querySelectorAll('gallery-chunk')];
    const there = () => chunks().reduce((sum, one) => sum + one.pictures.length, 0);
    for (const until = performance.now() + 90_000; there() < count && performance.now() < until;) {
        scrollTo(0, document.documentElement.scrollHeight);
        await new Promise((done) => setTimeout(done, 30));
    }
    return there();
}"""


def page_table(rounds: int, pictures: int) -> str:
    """A studio of its own, Chromium beside it on the same machine, and what a person waits for."""
    with tempfile.TemporaryDirectory() as data:
        fill_gallery(Path(data), pictures)
        with _studio(data) as url, _browser() as browser:
            rows = [*_page(browser, url, rounds), *_gallery(browser, url, pictures)]
    load = os.getloadavg()[0]
    lines = [f"Chromium beside the studio, {os.cpu_count()} cores with a load of {load:.1f}, {rounds} keystrokes:", ""]
    lines += ["| what | ms, median (90 %) |", "|---|---|"]
    for name, times in rows:
        high = sorted(times)[int(0.9 * (len(times) - 1))]
        lines.append(f"| {name} | {statistics.median(times):.0f}{f' ({high:.0f})' if len(times) > 1 else ''} |")
    return "\n".join(lines) + "\n"


def fill_gallery(root: Path, count: int, *, files: int = 400) -> None:
    """Put `count` pictures into a studio's gallery, of `files` different files."""
    folder = DataFolder(root=root)
    folder.make()
    store = Store(folder.database)
    keeper, gallery = FileStore(root, store, limit_bytes=2**40), Gallery(store)
    kept = []
    for number in range(files):
        image = Image.merge("RGB", [Image.effect_noise((16, 16), 20 + number % 90 + 30 * band) for band in range(3)])
        kept.append(keeper.add_image(image.resize((256, 256), Image.Resampling.BICUBIC)).id)
    request = {"page": {"panels": [{"role": "slot", "instruction": "a filled gallery"}]}, "seed": 1}
    with store.transaction():
        for number in range(count):
            words = f"picture {number} of a gallery"
            facts = {"seed": number, "backbone": "pocket", "skills": [], "words": words, "request": request}
            job = {"id": f"{number:016x}", "document": None}
            gallery.add(job, slot=0, variant=0, file=kept[number % files], facts=facts | {"size": (256, 256)})
    store.close()


@contextmanager
def _studio(data: str) -> Iterator[str]:
    command = [sys.executable, "-m", "triptych.cli.main", "studio", "--no-browser", "--port", "0", "--data", data]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split(" at ")[1].split()[0].rstrip("/")
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def _browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=_FLAGS)
        yield chromium
        chromium.close()


def _page(browser, url: str, rounds: int) -> list[tuple[str, list[float]]]:
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.set_default_timeout(120_000)
    tab.add_init_script(_WATCH)
    began = time.perf_counter()
    tab.goto(url)
    tab.locator("panel-card .made").first.wait_for()
    rows = [
        (
            "first visit: to the first picture of the starter page, worker starting",
            [1000 * (time.perf_counter() - began)],
        )
    ]
    tab.wait_for_timeout(4000)
    _ask(tab, "New page")
    _ask(tab, "Add a slot")
    words = tab.get_by_label("Instruction of panel 2")
    words.fill("a house")
    tab.wait_for_timeout(4000)
    tab.evaluate(_DECODED)
    parts: dict[str, list[float]] = {"asked": [], "told": [], "shown": []}
    for number in range(rounds):
        tab.evaluate("() => (seen.length = 0)")
        words.focus()
        tab.keyboard.type("abcdefghijklmnopqrstuvwxyz"[number % 26])
        tab.wait_for_function("() => seen.some(([name]) => name === 'shown')")
        seen = dict(reversed(tab.evaluate("() => seen")))
        for name, times in parts.items():
            times.append(seen[name] - seen["key"])
        tab.wait_for_timeout(1500)
    rows += [
        ("keystroke: to the request (the pause of typing)", parts["asked"]),
        ("keystroke: to the event that brings the picture", parts["told"]),
        ("keystroke: to the picture, decoded", parts["shown"]),
    ]
    tab.close()
    return rows


def _ask(tab, words: str) -> None:
    tab.keyboard.press("Control+k")
    tab.get_by_role("combobox", name="Find a command").fill(words)
    tab.keyboard.press("Enter")


def _gallery(browser, url: str, count: int) -> list[tuple[str, list[float]]]:
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.set_default_timeout(120_000)
    began = time.perf_counter()
    tab.goto(f"{url}/#/gallery")
    image = tab.locator("gallery-item img").first
    image.evaluate("(one) => one.decode()")
    rows = [(f"gallery of {count}: from nothing to its first picture", [1000 * (time.perf_counter() - began)])]
    tab.wait_for_timeout(2000)
    rows.append(("gallery: a frame while scrolling, first 600", tab.evaluate(_SCROLL, 600)))
    began = time.perf_counter()
    shown = tab.evaluate(_TO_THE_END, count)
    assert shown >= count, f"{shown} of {count} pictures came"
    rows.append((f"gallery: held at its end until all {count} are there", [1000 * (time.perf_counter() - began)]))
    tab.evaluate("() => scrollTo(0, document.documentElement.scrollHeight / 2)")
    tab.wait_for_timeout(2000)
    rows.append((f"gallery: a frame while scrolling, all {count} there", tab.evaluate(_SCROLL, 300)))
    tab.close()
    return rows
