"""What may be wrong with page sets from the user's own pictures, each finding with its reason and its numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image

from triptych.page import Page

__all__ = ["Finding", "Problem", "find_leaks", "find_problems"]

_SIDE = 128


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


def _grey(image: Image.Image, side_px: int = _SIDE) -> np.ndarray:
    return np.asarray(image.convert("L").resize((side_px, side_px), Image.Resampling.BOX), dtype=np.float32)


def _fingerprint(image: Image.Image) -> int:
    """Difference hash of 64 bits: small changes of size, colour and compression leave it nearly alone."""
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (small[:, 1:] > small[:, :-1]).reshape(-1)
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _alike(a: Image.Image, b: Image.Image) -> bool:
    """Same picture up to compression: equal hashes but for four bits, and a small difference in colour."""
    if (_fingerprint(a) ^ _fingerprint(b)).bit_count() > 4:
        return False
    first, second = (np.asarray(p.resize((32, 32), Image.Resampling.BOX), dtype=np.float32) for p in (a, b))
    return float(np.abs(first - second).mean()) < 4.0


def _edges(image: Image.Image) -> np.ndarray:
    """Strength of edges, softened so that a line and the two sides of it agree."""
    grey = _grey(image)
    strong = np.hypot(*np.gradient(grey))
    for axis in (0, 1) * 4:
        strong = (np.roll(strong, 1, axis) + 2 * strong + np.roll(strong, -1, axis)) / 4
    return strong


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two maps, -1..1."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6))


def _shift(first: Image.Image, second: Image.Image) -> tuple[int, int] | None:
    """Shift of `second` against `first` in 128ths of the sides (down, right), or None where nothing says so.

    Phase correlation of the edges (Kuglin and Hines 1975) proposes the shift; it is believed when the edges agree
    well after it is undone and clearly less before.
    """
    before, after = _edges(first), _edges(second)
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
    pixels = np.asarray(image, dtype=np.int16)
    views = {
        "left": pixels,
        "right": pixels[:, ::-1],
        "top": pixels.swapaxes(0, 1),
        "lower": pixels[::-1].swapaxes(0, 1),
    }
    for side, view in views.items():
        reach = max(2, round(view.shape[1] * 0.06))
        jumps = np.abs(np.diff(view[:, : reach + 1], axis=1)).max(axis=2) > 40
        share = jumps.mean(axis=0)
        if share.max() >= 0.9:
            return f"a straight line {int(share.argmax()) + 1} px from the {side} edge, along {share.max():.0%} of it"
    return None


def _traits(image: Image.Image) -> np.ndarray:
    """Brightness, saturation, contrast, edges: what a consistent edit changes in a consistent direction."""
    hsv = np.asarray(image.convert("HSV").resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32) / 255
    return np.array([hsv[..., 2].mean(), hsv[..., 1].mean(), hsv[..., 2].std(), _edges(image).mean() / 64])


def _swapped(pages: Sequence[Page]) -> Iterator[Finding]:
    """Pages whose change runs against that of all others: leave-one-out cosine below -0.5 where the others agree."""
    steps: dict[int, np.ndarray] = {}
    for number, page in enumerate(pages, 1):
        first, answer = page.panels[0].image, page.slots[0].answer
        if len(page.conditions) == 1 and first is not None and answer is not None:
            steps[number] = _traits(answer) - _traits(first)
    if len(steps) < 5:
        return
    table = np.stack(list(steps.values()))
    table = table / (table.std(axis=0) + 1e-3)
    units = table / (np.linalg.norm(table, axis=1, keepdims=True) + 1e-6)
    for row, number in enumerate(steps):
        others = np.delete(units, row, axis=0)
        mean = others.mean(axis=0)
        agreement, cosine = float(np.linalg.norm(mean)), float(units[row] @ mean / (np.linalg.norm(mean) + 1e-6))
        if agreement > 0.6 and cosine < -0.5:
            reason = f"its change runs against that of the other pages (cosine {cosine:.2f}); are the two swapped?"
            yield Finding(page=number, page_id=pages[number - 1].page_id, problem=Problem.SWAPPED, reason=reason)


def _one_page(page: Page) -> Iterator[tuple[Problem, str]]:
    for position, panel in enumerate(page.panels, 1):
        if panel.picture is not None and (seam := _seam(panel.picture)):
            yield Problem.SEAM, f"panel {position}: {seam}"
    given = [panel.image for panel in page.conditions if panel.image is not None]
    for panel in page.slots:
        for image in given:
            if panel.answer is None:
                continue
            error = float(np.abs(_grey(image) - _grey(panel.answer)).mean())
            if _alike(image, panel.answer) and error < 1.5:
                yield Problem.UNCHANGED, f"answer and condition differ by {error:.1f} of 255 on average"
            elif len(given) == 1 and (shift := _shift(image, panel.answer)):
                down, right = shift
                moved = f"{right / _SIDE:+.1%} of the width, {down / _SIDE:+.1%} of the height"
                yield Problem.SHIFT, f"the answer lies {moved} from the condition"


def find_problems(pages: Sequence[Page]) -> list[Finding]:
    """Suspicions about a page set: shifts of pairs, seams, unchanged answers, duplicates, swapped directions."""
    found: list[Finding] = []
    for number, page in enumerate(pages, 1):
        found += [
            Finding(page=number, page_id=page.page_id, problem=problem, reason=reason)
            for problem, reason in _one_page(page)
        ]
        for earlier, other in enumerate(pages[: number - 1], 1):
            if _repeats(page, other):
                reason = f"its pictures are those of page {earlier} ({other.page_id!r})"
                found.append(Finding(page=number, page_id=page.page_id, problem=Problem.DUPLICATE, reason=reason))
                break
    return [*found, *_swapped(pages)]


def _repeats(page: Page, other: Page) -> bool:
    mine = [panel.picture for panel in page.panels if panel.picture is not None]
    theirs = [panel.picture for panel in other.panels if panel.picture is not None]
    return len(mine) == len(theirs) and all(_alike(a, b) for a, b in zip(mine, theirs, strict=True))


def find_leaks(train: Sequence[Page], held_out: Sequence[Page]) -> list[Finding]:
    """Pictures of `held_out` that are in `train` too, as a condition or an answer."""
    known = [
        (number, panel.picture)
        for number, page in enumerate(train, 1)
        for panel in page.panels
        if panel.picture is not None
    ]
    found: list[Finding] = []
    for number, page in enumerate(held_out, 1):
        for position, panel in enumerate(page.panels, 1):
            picture = panel.picture
            source = next((n for n, other in known if picture is not None and _alike(picture, other)), None)
            if source is not None:
                reason = f"panel {position} is in page {source} of the training pages"
                found.append(Finding(page=number, page_id=page.page_id, problem=Problem.LEAK, reason=reason))
    return found
