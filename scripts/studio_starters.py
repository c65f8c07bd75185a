"""Write the studio's ready pages to src/triptych/studio/starters: pages of rules in our own shapes, two of the demo."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

from PIL import Image

from triptych.canvas import arrange, fit, stitch
from triptych.cli.demo.exhibits import exhibits
from triptych.data.rules import few_shot, find_rule
from triptych.data.sources import ShapeSource
from triptych.files import write_atomic
from triptych.page import Layout, Page, Panel, Role
from triptych.pagefile import page_record

OUT = Path(__file__).resolve().parents[1] / "src" / "triptych" / "studio" / "starters"
_SIDE_PX = 256

STARTERS = (
    (
        "storyboard",
        "Storyboard",
        "One character, three shots. Change the words, or drop in a character of your own.",
        0,
        5,
    ),
    ("restyle", "Style by example", "Three pairs show the change of style; the last picture gets it.", 2, 3),
    ("mirror-line", "A rule by example", "No words at all: three pairs show the rule, and the page follows it.", 3, 4),
    ("put-there", "Put this there", "One picture is the thing, the other the place.", 0, 2),
    ("sticker", "Sticker", "A white rim around anything. Add slots for a whole set.", 2, 1),
    ("lines-to-object", "Colour in", "A drawing in lines comes back in colour.", 2, 6),
    ("duotone", "Photo filter by example", "Show the look on two pictures, and give it to a third.", 2, 7),
)
"""Rule, title, summary, example pages, seed."""


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    entries = []
    for rule, title, summary, shots, seed in STARTERS:
        page = _of_demo(title) or _of_rule(rule, shots, seed)
        words = "" if title == "A rule by example" else None
        page = replace(_plain(page, words), context=tuple(_plain(each, words) for each in page.context))
        name = f"{rule}.webp"
        write_atomic(OUT / name, _webp(_shown(page)))
        data = page_record(page.without_answers(), lambda image, rule=rule: _kept(image, rule))
        entries.append({"id": rule, "title": title, "summary": summary, "page": data, "picture": name})
    write_atomic(OUT / "starters.json", (json.dumps(entries, ensure_ascii=False, indent=1) + "\n").encode())
    print(f"{len(entries)} pages, {sum(path.stat().st_size for path in OUT.iterdir()) / 1024:.0f} KiB")


def _of_demo(title: str) -> Page | None:
    """The demo's page where it has one: objects that people know, which the pocket never saw in training."""
    style, _, storyboard, _ = exhibits()
    return {"Storyboard": storyboard.pages[0], "Style by example": style.pages[0]}.get(title)


def _of_rule(rule: str, shots: int, seed: int) -> Page:
    task = find_rule(rule).draw(Random(f"{rule}:{seed}"), ShapeSource())
    return few_shot(task, shots, Random(f"{rule}:{seed}:pages"), _SIDE_PX)


def _plain(page: Page, words: str | None) -> Page:
    panels = page.panels if words is None else [replace(panel, instruction=words) for panel in page.panels]
    return replace(page, panels=tuple(panels), rule=None, page_id="")


def _kept(image: Image.Image, rule: str) -> str:
    data = _webp(image)
    name = f"{rule}-{sum(path.name.startswith(f'{rule}-') for path in OUT.iterdir())}.webp"
    write_atomic(OUT / name, data)
    return name


def _webp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=82, method=6)
    return buffer.getvalue()


def _in_order(page: Page) -> tuple[Panel, ...]:
    return tuple(panel for each in (*page.context[:1], page) for panel in each.panels)


def _shown(page: Page) -> Image.Image:
    """The page with its answers, as one picture."""
    pictures = [panel.picture for panel in _in_order(page) if panel.picture is not None]
    panels = [Panel(role=Role.SUBJECT, image=picture) for picture in pictures[:-1]]
    last = Panel(role=Role.SLOT, answer=pictures[-1], size_px=pictures[-1].size)
    layout = Layout.GRID if page.context else Layout.AUTO
    canvas = arrange(Page(panels=(*panels, last), gutter_px=8, layout=layout))
    return stitch(canvas, [picture for picture, _ in fit(canvas, pictures)])


if __name__ == "__main__":
    main()
