"""What may be wrong with page sets from the user's own pictures, each finding with its reason and its numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image, ImageChops

from triptych.images import opaque
from triptych.page import Page

__all__ = ["Finding", "Problem", "Survey", "find_leaks", "find_problems", "survey"]

_SIDE = 128
_JUMP = 40
"""Of 255: what counts as a line between two pixels."""
_BITS = 4
"""Most bits in which the hashes of one picture differ."""


class Problem(StrEnum):
    """Kinds of findings. They are suspicions: look at the pages before removing any."""

    SHIFT = "alignment shift"
    DUPLICATE = "duplicate"
    LEAK = "leak between splits"
    SWAPPED = "swapped direction"
    UNCHANGED = "answer nearly identical"
    SEAM = "seam or border"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One suspicion about one page."""

    page: int
    """Number of the page in its set, from 1."""
    page_id: str
    problem: Problem
    reason: str


def _fingerprint(grey: Image.Image) -> int:
    """Difference hash of 64 bits: small changes of size, colour and compression leave it nearly alone."""
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (small[:, 1:] > small[:, :-1]).reshape(-1)
    return int("".join("1" if bit else "0" for bit in bits), 2)


@dataclass(frozen=True, slots=True)
class _Mark:
    """What is kept of a picture to know it again."""

    fingerprint: int
    colours: np.ndarray
    """32x32 pixels, 8 bits."""

    def is_like(self, other: "_Mark") -> bool:
        """Same picture up to compression: equal hashes but for four bits, and a small difference in colour."""
        if (self.fingerprint ^ other.fingerprint).bit_count() > _BITS:
            return False
        return float(np.abs(self.colours.astype(np.float32) - other.colours).mean()) < 4.0


class _Known:
    """Marks seen so far, each with whatever it belongs to: what has nearly one's hash is found in one sweep."""

    def __init__(self) -> None:
        self._hashes = np.zeros(64, dtype=np.uint64)
        self._entries: list[tuple[_Mark, int]] = []

    def add(self, mark: _Mark, owner: int) -> None:
        if len(self._entries) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[len(self._entries)] = mark.fingerprint
        self._entries.append((mark, owner))

    def like(self, mark: _Mark) -> Iterator[int]:
        """Owners of the marks that are like it, in the order in which they came."""
        hashes = self._hashes[: len(self._entries)]
        near = np.bitwise_count(hashes ^ np.uint64(mark.fingerprint)) <= _BITS
        yield from (owner for found, owner in (self._entries[i] for i in np.flatnonzero(near)) if found.is_like(mark))


_NOTHING = _Mark(0, np.full((32, 32, 3), 255, dtype=np.uint8))
"""Stands for a slot without an answer."""


def _softening() -> np.ndarray:
    """Four times (1, 2, 1) / 4 around the ring, as one matrix."""
    one = np.eye(_SIDE)
    once = (np.roll(one, 1, 0) + 2 * one + np.roll(one, -1, 0)) / 4
    return np.linalg.matrix_power(once, 4).astype(np.float32)


_SOFTENING = _softening()


def _edges(grey: np.ndarray) -> np.ndarray:
    """Strength of edges, softened so that a line and the two sides of it agree."""
    return _SOFTENING @ np.hypot(*np.gradient(grey)) @ _SOFTENING


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is computed of a picture while its page is looked at: all of it from one small copy but for its borders."""

    small: Image.Image
    grey: np.ndarray
    edges: np.ndarray
    mark: _Mark
    seam: str | None

    @staticmethod
    def of(image: Image.Image) -> "_Seen":
        small = image.resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0)
        shades = small.convert("L")
        grey = np.asarray(shades, dtype=np.float32)
        colours = np.asarray(small.resize((32, 32), Image.Resampling.BOX))
        return _Seen(small, grey, _edges(grey), _Mark(_fingerprint(shades), colours), _seam(image))


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two maps, -1..1."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6))


def _shift(before: np.ndarray, after: np.ndarray) -> tuple[int, int] | None:
    """Shift of the edges `after` against `before` in 128ths of the sides (down, right); None where nothing says so.

    Phase correlation of the edges (Kuglin and Hines 1975) proposes the shift; it is believed when the edges agree
    well after it is undone and clearly less before.
    """
    window = np.outer(np.hanning(_SIDE), np.hanning(_SIDE))
    a, b = (np.fft.rfft2((edges - edges.mean()) * window) for edges in (before, after))
    cross = b * np.conj(a)
    # Half-whitened: full whitening lets noise win on flat drawings.
    surface = np.fft.irfft2(cross / np.sqrt(np.abs(cross) + 1e-6), s=(_SIDE, _SIDE))
    half = _SIDE // 2
    down, right = ((int(v) + half) % _SIDE - half for v in np.unravel_index(int(np.argmax(surface)), surface.shape))
    undone = np.roll(after, (-down, -right), axis=(0, 1))
    there = _agreement(before, undone)
    if not 3 <= max(abs(down), abs(right)) <= 24 or there < 0.5 or there < 1.5 * _agreement(before, after):
        return None
    return down, right


def _seam(image: Image.Image) -> str | None:
    """A straight line along a whole side, within 6% of it: a left-over gutter, border, or strip of a neighbour."""
    width, height = image.size
    if min(width, height) < 3:
        # A panel of a pixel or two has no border.
        return None
    across, down = (min(side, max(2, round(side * 0.06)) + 1) for side in (width, height))
    boxes = {
        "left": (0, 0, across, height),
        "right": (width - across, 0, width, height),
        "top": (0, 0, width, down),
        "lower": (0, height - down, width, height),
    }
    for side, box in boxes.items():
        share = _steps(image.crop(box), is_column=side in ("left", "right"))
        share = share if side in ("left", "top") else share[::-1]
        if share.max() >= 0.9:
            return f"a straight line {int(share.argmax()) + 1} px from the {side} edge, along {share.max():.0%} of it"
    return None


def _steps(strip: Image.Image, *, is_column: bool) -> np.ndarray:
    """For each line between two columns, or rows, of pixels, the share of it across which some channel jumps."""
    width, height = strip.size
    right, down = (1, 0) if is_column else (0, 1)
    jumps = ImageChops.difference(
        strip.crop((0, 0, width - right, height - down)), strip.crop((right, down, *strip.size))
    )
    red, green, blue = jumps.split()
    most = np.asarray(ImageChops.lighter(ImageChops.lighter(red, green), blue))
    return (most > _JUMP).mean(axis=0 if is_column else 1)


def _traits(seen: _Seen) -> np.ndarray:
    """Brightness, saturation, contrast, edges: what a consistent edit changes in a consistent direction."""
    hsv = np.asarray(seen.small.convert("HSV"), dtype=np.float32) / 255
    return np.array([hsv[..., 2].mean(), hsv[..., 1].mean(), hsv[..., 2].std(), seen.edges.mean() / 64])


def _step(page: Page, seen: Sequence[_Seen | None]) -> np.ndarray | None:
    """How the traits change from the only condition, where it stands first, to the first slot."""
    before = seen[0]
    after = seen[next(index for index, panel in enumerate(page.panels) if panel.is_slot)]
    if len(page.conditions) != 1 or page.panels[0].is_slot or before is None or after is None:
        return None
    return _traits(after) - _traits(before)


def _swapped(steps: dict[int, np.ndarray], page_ids: Sequence[str]) -> Iterator[Finding]:
    """Pairs whose change runs against that of all others: leave-one-out cosine below -0.5 where the others agree."""
    if len(steps) < 5:
        return
    table = np.stack(list(steps.values()))
    table = table / (table.std(axis=0) + 1e-3)
    units = table / (np.linalg.norm(table, axis=1, keepdims=True) + 1e-6)
    means = (units.sum(axis=0) - units) / (len(units) - 1)
    for number, unit, mean in zip(steps, units, means, strict=True):
        agreement, cosine = float(np.linalg.norm(mean)), float(unit @ mean / (np.linalg.norm(mean) + 1e-6))
        if agreement > 0.6 and cosine < -0.5:
            reason = f"its change runs against that of the other pages (cosine {cosine:.2f}); the two may be swapped"
            yield Finding(page=number, page_id=page_ids[number - 1], problem=Problem.SWAPPED, reason=reason)


def _one_page(page: Page, seen: Sequence[_Seen | None]) -> Iterator[tuple[Problem, str]]:
    for position, one in enumerate(seen, 1):
        if one is not None and one.seam:
            yield Problem.SEAM, f"panel {position}: {one.seam}"
    shown = [(panel.is_slot, one) for panel, one in zip(page.panels, seen, strict=True) if one is not None]
    given = [one for is_slot, one in shown if not is_slot]
    for answer in (one for is_slot, one in shown if is_slot):
        for one in given:
            error = float(np.abs(one.grey - answer.grey).mean())
            if one.mark.is_like(answer.mark) and error < 1.5:
                yield Problem.UNCHANGED, f"answer and condition differ by {error:.1f} of 255 on average"
            elif len(given) == 1 and (shift := _shift(one.edges, answer.edges)):
                down, right = shift
                moved = f"{right / _SIDE:+.1%} of the width, {down / _SIDE:+.1%} of the height"
                yield Problem.SHIFT, f"the answer lies {moved} from the condition"


@dataclass(frozen=True, slots=True)
class Survey:
    """A page set looked over once: what was found, and the marks by which its pictures are known again."""

    findings: tuple[Finding, ...]
    page_ids: tuple[str, ...]
    marks: tuple[tuple[_Mark, ...], ...]
    """Of each page, one a panel."""


def survey(pages: Iterable[Page]) -> Survey:
    """Look a page set over; each picture is decoded and hashed once, and none is kept."""
    found: list[Finding] = []
    ids: list[str] = []
    marks: list[tuple[_Mark, ...]] = []
    steps: dict[int, np.ndarray] = {}
    known = _Known()
    for number, page in enumerate(pages, 1):
        seen = [None if panel.picture is None else _Seen.of(opaque(panel.picture)) for panel in page.panels]
        own = tuple(_NOTHING if one is None else one.mark for one in seen)
        found += [
            Finding(page=number, page_id=page.page_id, problem=problem, reason=reason)
            for problem, reason in _one_page(page, seen)
        ]
        for earlier in known.like(own[0]):
            other = marks[earlier - 1]
            if len(other) == len(own) and all(a.is_like(b) for a, b in zip(own, other, strict=True)):
                reason = f"its pictures are those of page {earlier} ({ids[earlier - 1]!r})"
                found.append(Finding(page=number, page_id=page.page_id, problem=Problem.DUPLICATE, reason=reason))
                break
        known.add(own[0], number)
        step = _step(page, seen)
        if step is not None:
            steps[number] = step
        ids.append(page.page_id)
        marks.append(own)
    return Survey((*found, *_swapped(steps, ids)), tuple(ids), tuple(marks))


def find_problems(pages: Iterable[Page]) -> list[Finding]:
    """Suspicions about a page set: shifts of pairs, seams, unchanged answers, duplicates, swapped directions."""
    return list(survey(pages).findings)


def find_leaks(train: Iterable[Page] | Survey, held_out: Iterable[Page] | Survey) -> list[Finding]:
    """Pictures of `held_out` that are in `train` too, as a condition or an answer."""
    train, held_out = (each if isinstance(each, Survey) else survey(each) for each in (train, held_out))
    known = _Known()
    for number, marks in enumerate(train.marks, 1):
        for mark in marks:
            if mark is not _NOTHING:
                known.add(mark, number)
    found: list[Finding] = []
    for number, (page_id, marks) in enumerate(zip(held_out.page_ids, held_out.marks, strict=True), 1):
        for position, mark in enumerate(marks, 1):
            source = None if mark is _NOTHING else next(known.like(mark), None)
            if source is not None:
                reason = f"panel {position} is in page {source} of the training pages"
                found.append(Finding(page=number, page_id=page_id, problem=Problem.LEAK, reason=reason))
    return found
