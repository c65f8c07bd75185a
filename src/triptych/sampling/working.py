"""The page at the sizes a backbone works at, and the way back to the sizes asked for."""

import math
from collections.abc import Hashable
from dataclasses import replace

from PIL import Image

from triptych.canvas import Placement, to_square
from triptych.errors import LayoutError
from triptych.layouts import Size
from triptych.models.backbone import Card
from triptych.page import Page, Panel

__all__ = ["layout_key", "restore", "wanted_sizes", "working_page"]


def wanted_sizes(page: Page, card: Card, size_px: Size | int | None) -> tuple[Size | None, ...]:
    """Width and height asked for each slot: its own, else its answer's, else `size_px`; None where nothing was asked.

    A backbone of a fixed side cannot work at another: there one number is the side of a square that pictures fit in.
    """
    default = size_px if isinstance(size_px, tuple) else None
    if card.fixed_side and isinstance(size_px, int) and size_px > 0:
        first = next((panel.image.size for panel in page.conditions if panel.image), (size_px, size_px))
        default = Placement(source_px=first, frame_px=(size_px, size_px)).box.size_px
    return tuple(slot.size_px or (slot.answer.size if slot.answer else default) for slot in page.slots)


def working_page(page: Page, card: Card, size_px: Size | int | None = None) -> Page:
    """The page with every picture at the size the backbone sees, answers of its own slots removed.

    Sides are multiples of `card.factor`. Conditions are shrunk to the area of a square of `card.side_px` (or of
    `size_px`, where that is one number), and enlarged only where the card wants one area for all. A slot takes the size
    asked for; where none was, the first condition's aspect at that area. Backbones of a fixed side get squares, and the
    condition of a layered one gets the size of the slots. Raises LayoutError for layers of different sizes.
    """
    side = _side(page, card, size_px)
    first = next((panel.image.size for panel in page.conditions if panel.image), (side, side))
    asked = iter(wanted_sizes(page, card, size_px))

    def refit(panel: Panel) -> Panel:
        if panel.image is not None:
            return replace(panel, image=_enter(panel.image, card, side))
        wanted = next(asked)
        if card.fixed_side:
            size = (side, side)
        elif wanted is None:
            size = _to_area(first, side, card.factor)
        elif panel.size_px is None and panel.answer is not None:
            size = _entering(wanted, card, side)
        else:
            size = _on_factor(wanted, card.factor)
        return replace(panel, answer=None, size_px=size)

    panels = tuple(refit(panel) for panel in page.panels)
    return replace(
        page,
        panels=_on_each_other(panels, card) if card.layered else panels,
        context=tuple(_working_example(example, card, side) for example in page.context),
    )


def restore(picture: Image.Image, page: Page, card: Card, wanted: Size | None) -> Image.Image:
    """A slot's decoded picture at the size asked for; without one, as it left the backbone (white borders cut off)."""
    if card.fixed_side:
        first = next((panel.image.size for panel in page.conditions if panel.image), picture.size)
        placement = Placement(source_px=wanted or first, frame_px=picture.size)
        return placement.restore(picture) if wanted else picture.crop(placement.box.corners)
    if wanted is None or wanted == picture.size:
        return picture
    return picture.resize(wanted, Image.Resampling.LANCZOS)


def layout_key(page: Page) -> Hashable:
    """Equal for working pages that can be denoised in one batch."""
    panels = tuple(
        (panel.is_slot, panel.size_px or (panel.picture.size if panel.picture else None)) for panel in page.all_panels
    )
    return panels, tuple(len(example.panels) for example in page.context), page.layout, page.gutter_px


def _side(page: Page, card: Card, size_px: Size | int | None) -> int:
    smallest = min(size_px) if isinstance(size_px, tuple) else size_px
    if smallest is not None and smallest < 1:
        raise LayoutError(f"size_px is {size_px}; sides must be at least 1 px.")
    if card.one_area and not isinstance(size_px, int):
        asked = [slot.size_px or size_px for slot in page.slots]
        size_px = round(math.sqrt(max((size[0] * size[1] for size in asked if size), default=card.side_px**2)))
    if card.fixed_side or not isinstance(size_px, int):
        return card.side_px
    return max(card.factor, round(size_px / card.factor) * card.factor)


def _on_each_other(panels: tuple[Panel, ...], card: Card) -> tuple[Panel, ...]:
    sizes = sorted({panel.size_px for panel in panels if panel.size_px})
    if len(sizes) > 1:
        told = ", ".join(f"{width}x{height}" for width, height in sizes)
        raise LayoutError(
            f"{card.name} makes layers that lie on each other, but the slots are {told} px. Give them one size."
        )

    def fitted(panel: Panel) -> Panel:
        if panel.image is None or panel.image.size == sizes[0]:
            return panel
        return replace(panel, image=panel.image.resize(sizes[0], Image.Resampling.LANCZOS))

    return tuple(map(fitted, panels))


def _working_example(example: Page, card: Card, side_px: int) -> Page:
    def refit(panel: Panel) -> Panel:
        if panel.image is not None:
            return replace(panel, image=_enter(panel.image, card, side_px))
        assert panel.answer is not None, "Page admits only answered examples"
        return replace(panel, answer=_enter(panel.answer, card, side_px), size_px=None)

    return replace(example, panels=tuple(refit(panel) for panel in example.panels))


def _enter(image: Image.Image, card: Card, side_px: int) -> Image.Image:
    if card.fixed_side:
        return to_square(image, side_px)[0]
    # A plain resize: the distortion is at most half a token, where white borders would be seen and copied.
    size = _entering(image.size, card, side_px)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _entering(size: Size, card: Card, side_px: int) -> Size:
    shrinks = size[0] * size[1] > side_px**2
    return _to_area(size, side_px, card.factor) if shrinks or card.one_area else _on_factor(size, card.factor)


def _to_area(size: Size, side_px: int, factor: int) -> Size:
    scale = side_px / math.sqrt(size[0] * size[1])
    return _on_factor((size[0] * scale, size[1] * scale), factor)


def _on_factor(size: Size | tuple[float, float], factor: int) -> Size:
    width, height = (max(factor, round(side / factor) * factor) for side in size)
    return width, height
