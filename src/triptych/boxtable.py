"""Boxes in the words of a prompt: each thing called by its name, and a table of where things stand behind the text.

The table is the one that FLUX 3 was trained with: JSON, corners as [top, left, bottom, right] on a grid of 1000 a side.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from triptych.page import NamedBox, Page
from triptych.prompts import Prompt

__all__ = ["with_boxes"]

_GRID = 1000


def with_boxes(prompt: Prompt, page: Page, names: Sequence[str]) -> Prompt:
    """The prompt with the page's boxes behind it, where it has any; `names` are what its conditions are called.

    Slots are taken for one picture, side by side. A thing that no text calls by its name is called so in a line.
    """
    if not page.has_boxes:
        return prompt
    wanted = {box.name: (box, corners) for box, corners in _in_one_picture(page)}
    given = {
        box.name: (box, name.strip("<>"))
        for name, panel in zip(names, page.conditions, strict=True)
        for box in panel.boxes
    }
    text, rows = prompt.text, []
    for name in dict.fromkeys(box.name for panel in page.panels for box in panel.boxes):
        source, goal = given.get(name), wanted.get(name)
        words = next((found[0].words for found in (goal, source) if found and found[0].words), "")
        if f"<{name}>" not in text:
            text = "\n".join(filter(None, (text, f"{words} <{name}>".strip())))
        place = _on_grid(goal[1]) if goal else None
        if names or page.context:
            start = _on_grid(source[0].corners) if source else None
            told: dict[str, Any] = {"from": source[1] if source else "target", "src_bbox": start, "tgt_bbox": place}
        else:
            told = {"bbox": place}
        rows.append({"id": name} | told | {"desc": words})
    return replace(prompt, text=f"{text} {json.dumps(rows, ensure_ascii=False)}")


def _in_one_picture(page: Page) -> list[tuple[NamedBox, Sequence[float]]]:
    """The boxes of slots, and their corners in the picture that has the slots side by side."""
    sizes = [panel.size_px or (1, 1) for panel in page.slots]
    width, height = sum(size[0] for size in sizes), max(size[1] for size in sizes)
    found, before = [], 0
    for panel, (own, tall) in zip(page.slots, sizes, strict=True):
        for box in panel.boxes:
            left, top, right, bottom = box.corners
            across = [(before + part * own) / width for part in (left, right)]
            down = [part * tall / height for part in (top, bottom)]
            found.append((box, (across[0], down[0], across[1], down[1])))
        before += own
    return found


def _on_grid(corners: Sequence[float]) -> list[int]:
    left, top, right, bottom = (round(part * _GRID) for part in corners)
    return [top, left, bottom, right]
