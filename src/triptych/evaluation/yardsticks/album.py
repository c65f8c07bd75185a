"""Pictures of a yardstick's pages on disk: what was painted once is not painted again."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from triptych.errors import OutputError
from triptych.events import Event, Step
from triptych.files import read_json, write_atomic
from triptych.images import load_image, save_png
from triptych.models.backbone import Adapter, Backbone
from triptych.page import Page
from triptych.sampling import generate

__all__ = ["begin", "paint"]

_CHUNK_PAGES = 8


def begin(folder: Path, settings: Mapping[str, object]) -> None:
    """Note what decides the pictures in `settings.json`, or check that it is what is noted. Raises OutputError."""
    path = folder / "settings.json"
    text = json.dumps(settings, indent=1, sort_keys=True)
    if not path.exists():
        write_atomic(path, text.encode())
    elif (there := read_json(path, error=OutputError)) != json.loads(text):
        differ = sorted(key for key in settings.keys() | there.keys() if settings.get(key) != there.get(key))
        raise OutputError(
            f"{folder} holds another run: it differs in {', '.join(differ)}. Choose another folder or remove it."
        )


def paint(
    backbone: Backbone,
    pages: Sequence[Page],
    folder: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    skill: Adapter | None = None,
    on_event: Callable[[Event], None] = lambda _: None,
) -> list[tuple[Image.Image, ...]]:
    """The pictures of every page, painted or read from `folder/PAGE_ID-SLOT.png`; page ids must differ."""
    names = [[_file(folder, page, number) for number in range(1, len(page.slots) + 1)] for page in pages]
    missing = [index for index, paths in enumerate(names) if not all(path.is_file() for path in paths)]
    on_event(Step(step=len(pages) - len(missing), steps=len(pages)))
    for start in range(0, len(missing), _CHUNK_PAGES):
        chunk = missing[start : start + _CHUNK_PAGES]
        asked = [pages[index].without_answers() for index in chunk]
        for index, result in zip(chunk, generate(backbone, asked, seed=seed, steps=steps, skill=skill), strict=True):
            for path, picture in zip(names[index], result.images, strict=True):
                save_png(picture, path)
        on_event(Step(step=len(pages) - len(missing) + start + len(chunk), steps=len(pages)))
    return [tuple(load_image(path) for path in paths) for paths in names]


def _file(folder: Path, page: Page, number: int) -> Path:
    return folder / f"{re.sub(r'[^A-Za-z0-9._+-]', '_', page.page_id)}-{number}.png"
