"""Graph200K: photographs with their edges, depth, masks, styles and edits.

Li et al. 2025, arXiv:2504.07960. Read in both forms in which it is had: the folder of the Hub (`dataset_dict.json` and
a folder of arrow files a split; needs the package datasets), and what the authors' `processing.py` makes of it
(`data.json` and a folder of pictures a kind). Its restoration tasks are left out: they need the authors' program that
spoils the pictures.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image, ImageOps

from triptych.errors import SourceError
from triptych.files import read_json
from triptych.images import load_image
from triptych.page import Page, Role, condition, slot

__all__ = ["GRAPH_TASKS", "GraphTask", "find_graph_tasks", "graph_pages"]

_CONTROLS: Mapping[str, str] = {
    "canny": "its Canny edges",
    "depth": "its depth",
    "hed": "its soft edges",
    "normal": "its surface normals",
    "mlsd": "its straight lines",
    "openpose": "the pose of the people in it",
    "sam2_mask": "its segments",
    "uniformer": "its semantic segments",
    "mask": "its objects as masks",
}
_WORDS: Mapping[str, str] = {
    **_CONTROLS,
    "target": "the photograph",
    "reference": "the subject alone",
    "foreground": "its foreground on black",
    "background": "its background alone",
    "DepthEdit": "the photograph before the edit",
    "FillEdit": "the photograph before the edit",
    "InstantStyle": "the same picture in the style of the picture beside it",
    "ReduxStyle": "a picture in the style of the picture beside it",
    "style": "the style",
}
_STYLES = ("InstantStyle", "ReduxStyle")
_COLUMNS: Mapping[str, str] = {"reference": "ref", "mask": "qwen_2_5_mask", "bbox": "qwen_2_5_bounding_box"}
"""Kinds that the Hub's columns call otherwise."""
_EDITS, _STYLED = 5, 3
_CONSISTENT = 3
"""The least `objectConsistency` of a subject that is used, as published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTask:
    """Kinds of pictures that are given, and the one that is asked for."""

    given: tuple[str, ...]
    asked: str

    @property
    def name(self) -> str:
        return f"{'+'.join(self.given)}-to-{self.asked}"


def _published() -> Iterator[GraphTask]:
    """The tasks of the published test, in its order, without restoration."""
    plain = list(_CONTROLS)
    for kind in (*plain, "foreground", "background"):
        yield GraphTask(given=(kind,), asked="target")
    for kind in (*plain, "background"):
        yield GraphTask(given=("reference", kind), asked="target")
    for style in _STYLES:
        yield from (GraphTask(given=(kind,), asked=style) for kind in plain)
    yield GraphTask(given=("reference",), asked="target")
    yield GraphTask(given=("target",), asked="reference")
    yield from (GraphTask(given=("target",), asked=style) for style in _STYLES)
    yield GraphTask(given=("reference",), asked="InstantStyle")
    yield from (GraphTask(given=("reference", kind), asked="InstantStyle") for kind in plain)
    for edit in ("DepthEdit", "FillEdit"):
        yield GraphTask(given=(edit,), asked="target")
    for edit in ("DepthEdit", "FillEdit"):
        yield GraphTask(given=("reference", edit), asked="target")
    yield from (GraphTask(given=("target",), asked=kind) for kind in plain if kind != "mask")


GRAPH_TASKS: Mapping[str, GraphTask] = {task.name: task for task in _published()}
"""By name, such as `depth-to-target`."""


def find_graph_tasks(names: Sequence[str]) -> tuple[GraphTask, ...]:
    """Tasks by name, all for none. Raises SourceError for an unknown one."""
    for name in names:
        if name not in GRAPH_TASKS:
            close = [known for known in GRAPH_TASKS if name.split("-to-")[0] in known][:6]
            raise SourceError(f"Graph200K has no task {name!r}; try {', '.join(close or list(GRAPH_TASKS)[:6])}.")
    return tuple(GRAPH_TASKS[name] for name in names) or tuple(GRAPH_TASKS.values())


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the Hub's table; its columns of pictures are decoded when they are asked for."""

    facts: Mapping[str, Any]

    def picture(self, kind: str, number: int | None = None, part: str = "image") -> Image.Image | None:
        column = _COLUMNS.get(kind, kind) if number is None else f"{kind}_{part}_{number}"
        found = self.facts.get(column)
        return found.convert("RGB") if isinstance(found, Image.Image) else None


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of `data.json`, whose paths were absolute on the machine that wrote them."""

    facts: Mapping[str, Any]
    folder: Path

    def picture(self, kind: str, number: int | None = None, part: str = "image") -> Image.Image | None:
        found = self.facts.get("condition", {}).get(kind)
        if number is not None:
            paths = found.get("style_path" if part == "ref" else "image_path", ()) if isinstance(found, dict) else ()
            found = paths[number] if number < len(paths) else None
        if not isinstance(found, str):
            return None
        return load_image(self.folder.joinpath(*Path(found).parts[-2:]))


_Item = _Row | _Entry


def _items(folder: Path, split: str) -> tuple[int, Callable[[int], _Item]]:
    """How many photographs there are, and what gives one of them."""
    for place in (folder, folder / split):
        if (place / "data.json").is_file():
            return _processed(place)
    for place in (folder / split, folder):
        if (place / "state.json").is_file():
            return _saved(place)
    raise SourceError(
        f"{folder} is not a Graph200K: neither data.json nor {split}/state.json is there. Give the folder of the Hub's "
        "snapshot, or the one that the authors' processing.py wrote."
    )


def _processed(folder: Path) -> tuple[int, Callable[[int], _Item]]:
    entries = read_json(folder / "data.json", error=SourceError)
    return len(entries), lambda index: _Entry(entries[index], folder)


def _saved(folder: Path) -> tuple[int, Callable[[int], _Item]]:
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise SourceError(f"{folder} is read by the package datasets; pip install 'triptych[data]'.") from error
    table = datasets.load_from_disk(str(folder))
    return len(table), lambda index: _Row(table[index])


def graph_pages(
    folder: Path, tasks: Sequence[GraphTask], *, split: str = "test", count: int | None = None, seed: int = 0
) -> list[Page]:
    """Answered pages, `count` of each task (all if None): the first photographs that have all of a task's pictures.

    Pages of one task are each other's examples, as published; `page.rule` is the task's name.
    """
    length, item = _items(folder, split)
    pages: list[Page] = []
    for task in tasks:
        made = 0
        for index in range(length):
            if made == count:
                break
            page = _page(item(index), task, Random(f"{seed}:{index}:{task.name}"))
            if page is not None:
                pages.append(replace(page, page_id=f"{task.name}-{index:05d}", rule=task.name))
                made += 1
    if not pages:
        names = ", ".join(task.name for task in tasks[:5])
        raise SourceError(f"{folder} has no photograph with the pictures of {names}.")
    return pages


def _page(item: _Item, task: GraphTask, rng: Random) -> Page | None:
    """None where the photograph lacks one of the task's pictures."""
    given = [_kind(item, kind, rng) for kind in task.given]
    asked = _styled(item, task.asked, rng) if task.asked in _STYLES else [_kind(item, task.asked, rng)]
    if asked is None or any(picture is None for picture in (*given, *asked)):
        return None
    shown = [
        condition(picture, _WORDS[kind], role=Role.SUBJECT if kind == "reference" else Role.CONTROL)
        for kind, picture in zip((*task.given, "style"), (*given, *asked[:-1]), strict=False)
        if picture is not None
    ]
    facts = item.facts.get("description")
    told = [facts.get(key) or "" for key in ("item", "description_0")] if isinstance(facts, dict) else []
    overview = " ".join(filter(None, told)) if task.asked == "target" else ""
    return Page(panels=(*shown, slot(_WORDS[task.asked], answer=asked[-1])), overview=overview)


def _kind(item: _Item, kind: str, rng: Random) -> Image.Image | None:
    match kind:
        case "reference":
            quality = item.facts.get("quality_assessment")
            consistent = isinstance(quality, dict) and (quality.get("objectConsistency") or 0) >= _CONSISTENT
            return item.picture(kind) if consistent else None
        case "foreground" | "background":
            return _cut_out(item, kind)
        case "FillEdit":
            edits = [item.picture(kind, number) for number in range(_EDITS)]
            return None if None in edits else rng.choice(edits)
        case _:
            return item.picture(kind)


def _cut_out(item: _Item, kind: str) -> Image.Image | None:
    photograph, mask = item.picture("target"), item.picture("foreground")
    if photograph is None or mask is None:
        return None
    inside = mask.convert("L").resize(photograph.size).point([255 * (level > 127) for level in range(256)])
    keep = inside if kind == "foreground" else ImageOps.invert(inside)
    return Image.composite(photograph, Image.new("RGB", photograph.size), keep)


def _styled(item: _Item, style: str, rng: Random) -> list[Image.Image | None] | None:
    """The style's picture and the picture in it, of one of the three; None where any of them is missing."""
    pairs = [[item.picture(style, number, part) for part in ("ref", "image")] for number in range(_STYLED)]
    return None if any(None in pair for pair in pairs) else rng.choice(pairs)
