"""Whether letters and marks can still be read: each found among what else could stand in its place.

The right answer is the template, so any typeface and any mark will do and no reader of text is needed. A letter is
legible if the picture's patch correlates better with the answer's letter than with every other letter and digit drawn
into the same box; a mark, if it does so better than with the marks of other pages of the task. In both cases by at
least .5 (normalised correlation; Lewis 1995, Vision Interface, eq. 2), over shifts of up to a pixel and a half in 128.
"""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from triptych.data.rules.base import Mark, Rule
from triptych.images import opaque
from triptych.page import Page, Panel

__all__ = ["legibility", "marks_of"]

Array = np.ndarray

_LEAST = 0.5
_ALIKE = 0.8
"""Letters that correlate this well are not told apart: O and 0, or the same letter in another typeface."""
_CELL = 24
_GLYPHS = string.ascii_uppercase + string.ascii_lowercase + string.digits
_QUOTED = re.compile(r"[\"\u201c\u00ab]([^\"\u201d\u00bb]{1,40})[\"\u201d\u00bb]")
_WHOLE = Mark(box=(0.0, 0.0, 1.0, 1.0), is_text=True)


@dataclass(frozen=True, slots=True)
class _Box:
    """Pixels: rows from `top` to `bottom`, columns from `left` to `right`, ends left out."""

    top: int
    bottom: int
    left: int
    right: int

    def cut(self, picture: Array, down: int = 0, across: int = 0) -> Array:
        """The patch, moved; what lies outside repeats the rim."""
        rows = np.arange(self.top + down, self.bottom + down).clip(0, picture.shape[0] - 1)
        columns = np.arange(self.left + across, self.right + across).clip(0, picture.shape[1] - 1)
        return picture[np.ix_(rows, columns)]


def marks_of(page: Page, slot: Panel, rule: Rule | None) -> tuple[Mark, ...]:
    """Where the slot's answer carries text or a mark: as the rule says, or anywhere if the words quote a text."""
    if rule is not None and rule.marks is not None:
        return rule.marks(slot)
    return (_WHOLE,) if _quoted(page.overview, slot.instruction) else ()


def _quoted(*words: str) -> list[str]:
    return [found for text in words for found in _QUOTED.findall(text)]


def legibility(
    page: Page, pictures: Sequence[Image.Image], rule: Rule | None, others: Sequence[Sequence[Image.Image]] = ()
) -> float | None:
    """Share of the letters and marks of an answered page that `pictures` keep legible; None where it has none.

    `others` are the answers of other pages of the task, slot by slot, whose marks stand in the same places.
    """
    read: list[bool] = []
    for number, (slot, picture) in enumerate(zip(page.slots, pictures, strict=True)):
        if slot.answer is None:
            continue
        right, given = _array(slot.answer), _array(picture.resize(slot.answer.size))
        rivals = [_array(made[number].resize(slot.answer.size)) for made in others if number < len(made)]
        for mark in marks_of(page, slot, rule):
            if mark.is_text:
                words = _quoted(page.overview, slot.instruction) if mark is _WHOLE else []
                read += [_is_read(given, right, box) for box in _letters(right, mark, words)]
            else:
                read += _mark_is_known(given, right, _pixels(mark, right.shape), rivals)
    return float(np.mean(read)) if read else None


def _array(picture: Image.Image) -> Array:
    return np.asarray(opaque(picture), dtype=np.float32) / 255


def _pixels(mark: Mark, shape: tuple[int, ...]) -> _Box:
    left, top, right, bottom = mark.box
    high, wide = shape[:2]
    return _Box(round(top * high), round(bottom * high), round(left * wide), round(right * wide))


def _letters(right: Array, mark: Mark, words: Sequence[str]) -> list[_Box]:
    """Boxes of single letters inside the mark's: pieces of ink on a plain ground, as high as letters are.

    Where only quoted words tell that there is text, rows of as many pieces as a word has letters.
    """
    area = _pixels(mark, right.shape)
    patch = area.cut(right)
    plain = _ground(patch) if words else np.median(patch, axis=(0, 1))
    ink = np.abs(patch - plain).max(axis=-1) > 0.25
    labelled, _ = ndimage.label(ink, structure=np.ones((3, 3)))  # pyright: ignore[reportGeneralTypeIssues]
    least = max(5, right.shape[0] // 32)
    boxes = []
    for rows, columns in ndimage.find_objects(labelled):
        high, wide = rows.stop - rows.start, columns.stop - columns.start
        if least <= high <= right.shape[0] * 0.45 and 1 < wide <= 2 * high:
            top, left = area.top + rows.start, area.left + columns.start
            boxes.append(_Box(top, top + high, left, left + wide))
    return _rows_of(boxes, words) if words else boxes


def _ground(patch: Array, cells: int = 48) -> Array:
    """The colour around each pixel: a median over a third of the picture, taken at a small size."""
    high, wide = patch.shape[:2]
    small = Image.fromarray((patch * 255).astype(np.uint8)).resize((cells, cells), Image.Resampling.BOX)
    around = ndimage.median_filter(np.asarray(small), (cells // 3, cells // 3, 1))
    return _array(Image.fromarray(around).resize((wide, high), Image.Resampling.BILINEAR))


def _rows_of(boxes: Sequence[_Box], words: Sequence[str]) -> list[_Box]:
    counts = {len(re.sub(r"\s", "", part)) for text in words for part in (text, *text.split())}
    found: dict[_Box, None] = {}
    for box in boxes:
        high, middle = box.bottom - box.top, (box.top + box.bottom) / 2
        row = [
            other
            for other in boxes
            if abs((other.top + other.bottom) / 2 - middle) < high / 2 and 0.5 < (other.bottom - other.top) / high < 2
        ]
        if len(row) in counts:
            found |= dict.fromkeys(row)
    return list(found)


def _ink(picture: Array, box: _Box, right: Array, down: int = 0, across: int = 0) -> Array:
    """How far each pixel has gone from the answer's ground to its ink."""
    own = box.cut(right)
    rim = np.concatenate([_grown(box).cut(right)[0], _grown(box).cut(right)[-1]])
    ground = np.median(rim, axis=0)
    far = np.abs(own - ground).sum(axis=-1)
    axis = own[far >= 0.7 * far.max()].mean(axis=0) - ground
    return (box.cut(picture, down, across) - ground) @ axis


def _grown(box: _Box) -> _Box:
    return _Box(box.top - 1, box.bottom + 1, box.left - 1, box.right + 1)


def _shifts(side_px: int) -> list[tuple[int, int]]:
    reach = max(1, round(side_px / 96))
    return [(down, across) for down in range(-reach, reach + 1) for across in range(-reach, reach + 1)]


def _correlation(first: Array, second: Array) -> float:
    a, b = first - first.mean(axis=(0, 1)), second - second.mean(axis=(0, 1))
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / scale if scale > 1e-3 else 0.0


def _is_read(given: Array, right: Array, box: _Box) -> bool:
    own = _ink(right, box, right)
    patches = [_ink(given, box, right, *shift) for shift in _shifts(right.shape[0])]
    best = max(_correlation(patch, own) for patch in patches)
    if best < _LEAST:
        return False
    rivals = (_sized(glyph, own.shape) for glyph in _glyphs())
    return all(
        max(_correlation(patch, rival) for patch in patches) < best
        for rival in rivals
        if _correlation(rival, own) < _ALIKE
    )


def _sized(glyph: Image.Image, shape: tuple[int, ...]) -> Array:
    return np.asarray(glyph.resize((shape[1], shape[0]), Image.Resampling.BOX), dtype=np.float32) / 255


@lru_cache(maxsize=1)
def _glyphs() -> tuple[Image.Image, ...]:
    """Every letter and digit, white on black, cut to its own box."""
    font, drawn = ImageFont.load_default(_CELL * 3), []
    for glyph in _GLYPHS:
        picture = Image.new("L", (_CELL * 5, _CELL * 5))
        ImageDraw.Draw(picture).text((_CELL, 0), glyph, fill=255, font=font)
        drawn.append(picture.crop(picture.getbbox()))
    return tuple(drawn)


def _mark_is_known(given: Array, right: Array, box: _Box, others: Sequence[Array]) -> list[bool]:
    """One verdict, or none where no other page shows another mark in this place."""
    own = box.cut(right)
    rivals = [rival for other in others if _correlation(rival := box.cut(other), own) < _ALIKE]
    if not rivals:
        return []
    patches = [box.cut(given, *shift) for shift in _shifts(right.shape[0])]
    best = max(_correlation(patch, own) for patch in patches)
    return [best >= _LEAST and all(max(_correlation(patch, rival) for patch in patches) < best for rival in rivals)]
