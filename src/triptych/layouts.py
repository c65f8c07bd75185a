"""Where panels lie: boxes on a canvas, and the ways to lay out panels of given sizes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeAlias

from triptych.errors import LayoutError
from triptych.images import MAX_PIXELS
from triptych.page import Layout

__all__ = ["Box", "Canvas", "Size", "arrange_sizes", "nearest_multiple"]

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""
_Rows: TypeAlias = list[list[int]]

_EMPTY_COST = 4.0
"""Weight of empty canvas against a long canvas: three equal panels stand in a row, five in a grid of 3 + 2."""
_UNEVEN_COST = 2.0
"""Weight of panels scaled differently against a long canvas: no panel grows to four times its neighbour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle on a canvas, from the top left corner, in pixels."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        if min(self.left_px, self.top_px) < 0 or min(self.width_px, self.height_px) < 1:
            raise LayoutError(
                f"{self} is not a valid box; it needs an origin of at least 0 and sides of at least 1 px."
            )

    @property
    def size_px(self) -> Size:
        return self.width_px, self.height_px

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom, as Pillow crops."""
        return self.left_px, self.top_px, self.left_px + self.width_px, self.top_px + self.height_px

    def moved(self, *, down_px: int) -> "Box":
        return Box(left_px=self.left_px, top_px=self.top_px + down_px, width_px=self.width_px, height_px=self.height_px)

    def overlaps(self, other: "Box") -> bool:
        left, top, right, bottom = self.corners
        other_left, other_top, other_right, other_bottom = other.corners
        return left < other_right and other_left < right and top < other_bottom and other_top < bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Where each panel lies: one box for each of `page.all_panels`, none over another."""

    width_px: int
    height_px: int
    boxes: tuple[Box, ...]

    def __post_init__(self) -> None:
        if self.width_px * self.height_px > MAX_PIXELS:
            raise LayoutError(
                f"the canvas would be {self.width_px}x{self.height_px} px; at most {MAX_PIXELS // 2**20} megapixels. "
                "Make the panels smaller."
            )
        for number, box in enumerate(self.boxes, 1):
            if box.corners[2] > self.width_px or box.corners[3] > self.height_px:
                raise LayoutError(f"panel {number} at {box.corners} leaves the canvas {self.size_px}.")
            for other, earlier in enumerate(self.boxes[: number - 1], 1):
                if box.overlaps(earlier):
                    raise LayoutError(f"panel {number} at {box.corners} overlaps panel {other} at {earlier.corners}.")

    @property
    def size_px(self) -> Size:
        return self.width_px, self.height_px


def nearest_multiple(length: int | float, multiple: int) -> int:
    """The nearest multiple; only 0 becomes 0."""
    return max(multiple, round(length / multiple) * multiple) if length else 0


def _check_strict(sizes: Sequence[Size], gutter_px: int, multiple: int) -> None:
    for number, (width, height) in enumerate(sizes, 1):
        if width % multiple or height % multiple:
            raise LayoutError(
                f"panel {number} is {width}x{height} px; sides must be multiples of {multiple}. "
                f"Try {nearest_multiple(width, multiple)}x{nearest_multiple(height, multiple)}."
            )
    if gutter_px % multiple:
        raise LayoutError(
            f"gutter_px is {gutter_px}; it must be a multiple of {multiple}. "
            f"Try {nearest_multiple(gutter_px, multiple)}."
        )


def arrange_sizes(sizes: tuple[Size, ...], layout: Layout, gutter_px: int, multiple: int, fit: bool) -> Canvas:
    """Lay out panels of the given sizes; see `triptych.canvas.arrange`."""
    if not sizes:
        raise LayoutError("there is no panel to arrange; give at least one size.")
    for number, size in enumerate(sizes, 1):
        if min(size) < 1:
            raise LayoutError(f"panel {number} is {size[0]}x{size[1]} px; both sides must be at least 1.")
    if gutter_px < 0:
        raise LayoutError(f"gutter_px is {gutter_px}; it must be 0 or more.")
    if not fit:
        _check_strict(sizes, gutter_px, multiple)
    alike = len(set(sizes)) == 1
    if fit and alike:
        sizes = tuple(
            (nearest_multiple(width, multiple), nearest_multiple(height, multiple)) for width, height in sizes
        )
    gutter_px = nearest_multiple(gutter_px, multiple)

    def build(rows: _Rows) -> Canvas:
        if fit and not alike:
            return _justified(sizes, rows, layout, gutter_px, multiple)
        return _flowing(sizes, rows, gutter_px)

    indices = list(range(len(sizes)))
    match layout:
        case Layout.ROW:
            return build([indices])
        case Layout.COLUMN:
            return build([[index] for index in indices])
        case Layout.GRID:
            cells = _in_cells(sizes, multiple) if fit and not alike else sizes
            return _table(cells, math.ceil(math.sqrt(len(sizes))), gutter_px)
        case Layout.AUTO:
            return min((build(rows) for rows in _row_breaks(sizes, alike)), key=lambda canvas: _cost(canvas, sizes))


def _row_breaks(sizes: Sequence[Size], alike: bool) -> Iterator[_Rows]:
    """Ways to break panels into rows of about equal length, one row first."""
    count = len(sizes)
    ends = list(accumulate(width / height for width, height in sizes))
    for rows in range(1, count + 1):
        if alike:
            columns = math.ceil(count / rows)
            yield [list(range(start, min(start + columns, count))) for start in range(0, count, columns)]
            continue
        breaks: dict[int, list[int]] = {}
        for index, (start, end) in enumerate(pairwise([0.0, *ends])):
            breaks.setdefault(min(rows - 1, int((start + end) / 2 / ends[-1] * rows)), []).append(index)
        yield list(breaks.values())


def _cost(canvas: Canvas, sizes: Sequence[Size]) -> float:
    """Low for a canvas near a square, with little of it empty and all panels scaled alike."""
    used = sum(box.width_px * box.height_px for box in canvas.boxes)
    scales = [math.log(box.height_px / height) for box, (_, height) in zip(canvas.boxes, sizes, strict=True)]
    empty = canvas.width_px * canvas.height_px / used - 1
    return (
        abs(math.log(canvas.width_px / canvas.height_px))
        + _EMPTY_COST * empty
        + _UNEVEN_COST * (max(scales) - min(scales))
    )


def _flowing(sizes: Sequence[Size], rows: _Rows, gutter_px: int) -> Canvas:
    """Rows of panels at their own sizes, each row as high as its highest panel."""
    boxes: list[Box] = []
    top = 0
    for row in rows:
        left = 0
        for width, height in (sizes[index] for index in row):
            boxes.append(Box(left_px=left, top_px=top, width_px=width, height_px=height))
            left += width + gutter_px
        top += max(sizes[index][1] for index in row) + gutter_px
    return _around(boxes)


def _table(sizes: Sequence[Size], columns: int, gutter_px: int) -> Canvas:
    """Panels at their own sizes in cells: columns as wide and rows as high as their largest panel."""
    rows = [sizes[start : start + columns] for start in range(0, len(sizes), columns)]
    widths = [max(size[0] for size in sizes[column::columns]) for column in range(columns)]
    heights = [max(size[1] for size in row) for row in rows]
    lefts = list(accumulate((width + gutter_px for width in widths), initial=0))
    tops = list(accumulate((height + gutter_px for height in heights), initial=0))
    return _around(
        [
            Box(left_px=left, top_px=top, width_px=width, height_px=height)
            for row, top in zip(rows, tops, strict=False)
            for (width, height), left in zip(row, lefts, strict=False)
        ]
    )


def _around(boxes: Sequence[Box]) -> Canvas:
    return Canvas(
        width_px=max(box.corners[2] for box in boxes),
        height_px=max(box.corners[3] for box in boxes),
        boxes=tuple(boxes),
    )


def _in_cells(sizes: Sequence[Size], multiple: int) -> tuple[Size, ...]:
    """Panels scaled, aspect kept, into cells of the size of the largest panel."""
    largest = max(sizes, key=lambda size: size[0] * size[1])
    cell_width, cell_height = (nearest_multiple(side, multiple) for side in largest)
    scaled = []
    for width, height in sizes:
        scale = min(cell_width / width, cell_height / height)
        scaled.append(
            (
                min(cell_width, nearest_multiple(width * scale, multiple)),
                min(cell_height, nearest_multiple(height * scale, multiple)),
            )
        )
    return tuple(scaled)


def _justified(sizes: Sequence[Size], rows: _Rows, layout: Layout, gutter_px: int, multiple: int) -> Canvas:
    """Rows of equal width whose panels share a height, aspects kept to the nearest multiple.

    A row takes the height of its highest panel, a column the width of its widest; otherwise all panels together
    keep their area.
    """
    aspects = [width / height for width, height in sizes]
    shares = [sum(aspects[index] for index in row) for row in rows]
    match layout:
        case Layout.ROW:
            ideal = shares[0] * max(height for _, height in sizes)
        case Layout.COLUMN:
            ideal = max(width for width, _ in sizes)
        case _:
            ideal = math.sqrt(sum(width * height for width, height in sizes) / sum(1 / share for share in shares))
    gutters = [gutter_px * (len(row) - 1) for row in rows]
    least = max(len(row) * multiple + gutter for row, gutter in zip(rows, gutters, strict=True))
    width = max(least, nearest_multiple(ideal, multiple) + max(gutters))
    boxes: list[Box] = []
    top = 0
    for row, share, gutter in zip(rows, shares, gutters, strict=True):
        height = nearest_multiple((width - gutter) / share, multiple)
        left = 0
        for count in _apportioned([aspects[index] for index in row], (width - gutter) // multiple):
            boxes.append(Box(left_px=left, top_px=top, width_px=count * multiple, height_px=height))
            left += count * multiple + gutter_px
        top += height + gutter_px
    return _around(boxes)


def _apportioned(weights: Sequence[float], units: int) -> list[int]:
    """Whole numbers of at least 1 that sum to `units`, near to the weights' shares; `units` is at least their count."""
    total, ends = sum(weights), [0]
    for index, reached in enumerate(accumulate(weights)):
        left_over = len(weights) - 1 - index
        ends.append(min(max(round(units * reached / total), ends[-1] + 1), units - left_over))
    return [end - start for start, end in pairwise(ends)]
