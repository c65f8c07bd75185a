"""IC-LoRA: a stitched picture a page with a .txt prompt of the same name, and a card to take it apart again."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from triptych.canvas import arrange, panel_sizes, split, stitch
from triptych.data.folders import note_unread
from triptych.data.interchange.rows import boxes_from, picture_at, save_picture
from triptych.data.lazy import LazyPages
from triptych.errors import PageError
from triptych.files import new_folder, read_json, read_text, write_atomic
from triptych.images import load_image
from triptych.page import Layout, Page, Panel, Role
from triptych.pagefile import box_records
from triptych.prompts import read_prompt, write_prompt

__all__ = ["read", "write"]

_CARD = "triptych.json"


def write(pages: Iterable[Page], folder: Path) -> None:
    """Write `NAME.png` and `NAME.txt` for every answered page, with all panels' texts in the prompt.

    `triptych.json` keeps what a composite does not show (roles, sizes, boxes, template); trainers do not read it.
    """
    cards: dict[str, Any] = {}
    with new_folder(folder) as out:
        for number, page in enumerate(pages, 1):
            if page.context or not page.is_answered:
                raise PageError(
                    f"page {number} ({page.page_id!r}) is not a single finished page; composites hold those."
                )
            # Panels lie on the composite as they are: a size that is asked of a slot is for answers yet to be made.
            page = replace(page, panels=tuple(replace(panel, size_px=None) for panel in page.panels))
            stem = re.sub(r"[^A-Za-z0-9._+-]", "_", page.page_id)[:80] or "page"
            name = f"{number:06d}-{stem}"
            pictures = [panel.picture for panel in page.panels]
            save_picture(stitch(arrange(page), pictures), out, f"{name}.png")
            write_atomic(out / f"{name}.txt", write_prompt(page).text.encode())
            boxes = {"boxes": [box_records(panel) for panel in page.panels]} if page.has_boxes else {}
            cards[name] = boxes | {
                "page_id": page.page_id,
                "roles": [panel.role.value for panel in page.panels],
                "sizes_px": [list(size) for size in panel_sizes(page)],
                "layout": page.layout.value,
                "gutter_px": page.gutter_px,
                "template": page.template,
                "rule": page.rule,
            }
        write_atomic(out / _CARD, json.dumps(cards, indent=1).encode())


def read(folder: Path) -> LazyPages:
    """The pages that `write` made, with their roles. Composites of others are read by `importing.composites`."""
    card = folder / _CARD
    if not card.is_file():
        raise PageError(f"{card} does not exist; composites without it are imported with --format composites.")
    cards = read_json(card, error=PageError)
    if not isinstance(cards, dict):
        raise PageError(f"{card} is not a card of pages: it has no names.")
    for name in cards:
        if not (folder / f"{name}.txt").is_file():
            raise PageError(f"{folder / name}.txt does not exist; it is the prompt of {name}.png.")
    note_unread(folder, [folder / f"{name}.png" for name in cards])
    return LazyPages(partial(_page, folder, name, facts) for name, facts in cards.items())


def _page(folder: Path, name: str, card: dict[str, Any]) -> Page:
    where = f"{folder / _CARD}, {name}"
    try:
        layout, gutter = Layout(card["layout"]), int(card["gutter_px"])
        canvas = arrange([(int(w), int(h)) for w, h in card["sizes_px"]], layout, gutter)
        roles = [Role(role) for role in card["roles"]]
        boxes = boxes_from(card.get("boxes"), len(roles), where)
        shell = Page(
            panels=(Panel(role=Role.SLOT),),
            layout=layout,
            gutter_px=gutter,
            template=card["template"],
            page_id=card["page_id"],
            rule=card["rule"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PageError(f"{where} is not a card of a page: {error!r}.") from error
    pictures = split(canvas, load_image(picture_at(folder, f"{name}.png", where)))
    overview, texts = read_prompt(read_text(folder / f"{name}.txt", error=PageError).rstrip("\n"), shell.template)
    texts = (*texts, *[""] * (len(roles) - len(texts)))
    panels = tuple(
        Panel(role=role, answer=picture, instruction=text, boxes=own)
        if role is Role.SLOT
        else Panel(role=role, image=picture, instruction=text, boxes=own)
        for role, picture, text, own in zip(roles, pictures, texts, boxes, strict=True)
    )
    return replace(shell, panels=panels, overview=overview)
