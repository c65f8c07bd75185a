"""How a picture is checked against the answer its page knows: cells and colours where exact, distance elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from triptych.data.drawing import COLOURS, PALE
from triptych.errors import PageError
from triptych.page import Page

__all__ = [
    "Check",
    "Verdict",
    "alike",
    "all_of",
    "cells",
    "exact_colours",
    "ground_colour",
    "near",
    "verify_page",
    "within",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`ok` is the rule obeyed; `score` in 0..1 says how nearly; `detail` names what was measured."""

    ok: bool
    score: float
    detail: str


Check = Callable[[Image.Image, tuple[Image.Image, ...], Image.Image], Verdict]
"""(answer, conditions, picture given) -> verdict; the three are RGB of any size."""


def _array(picture: Image.Image, side_px: int) -> np.ndarray:
    """Floats in 0..1, (side, side, 3), box-averaged so that sub-pixel shifts and soft edges cost little."""
    if picture.size != (side_px, side_px):
        picture = picture.resize((side_px, side_px), Image.Resampling.BOX)
    return np.asarray(picture, dtype=np.float32) / 255


def distance(a: Image.Image, b: Image.Image, side_px: int = 64) -> float:
    """Mean squared error in 0..1 at `side_px`."""
    return float(np.mean((_array(a, side_px) - _array(b, side_px)) ** 2))


def near(*, share: float = 0.25, side_px: int = 64) -> Check:
    """At most `share` of the error of the best trivial picture: any condition copied, or the answer's mean colour.

    A share of .25 asks for 6 dB better than copying, so a small change is judged as strictly as a new picture.
    """

    def check(answer: Image.Image, conditions: tuple[Image.Image, ...], picture: Image.Image) -> Verdict:
        right, given = _array(answer, side_px), _array(picture, side_px)
        trivial = [float(np.mean((_array(condition, side_px) - right) ** 2)) for condition in conditions]
        trivial.append(float(np.mean((right - right.mean(axis=(0, 1))) ** 2)))
        base = max(min(trivial), 1e-6)
        ratio = float(np.mean((given - right) ** 2)) / base
        return Verdict(ok=ratio <= share, score=max(0.0, 1.0 - ratio**0.5), detail=f"error {ratio:.2f} of trivial")

    return check


def within(*, error: float = 1.4e-3) -> Check:
    """A mean squared error of at most `error` (28.5 dB), for tasks of one family that differ by degrees."""

    def check(answer: Image.Image, conditions: tuple[Image.Image, ...], picture: Image.Image) -> Verdict:  # noqa: ARG001
        found = distance(answer, picture)
        return Verdict(
            ok=found <= error, score=max(0.0, 1.0 - (found / error) / 4), detail=f"squared error {found:.4f}"
        )

    return check


def cells(rows: int, columns: int, *, tolerance: float = 0.12, margin: float = 0.25, share: float = 1.0) -> Check:
    """At least `share` of a grid's cells have the answer's mean colour within `tolerance` (0..1, largest channel).

    `margin` is the part of a cell left out on every side.
    """

    def means(picture: Image.Image) -> np.ndarray:
        fine = _array(picture, 128)
        height, width = 128 // rows, 128 // columns
        dy, dx = int(height * margin), int(width * margin)
        grid = fine[: rows * height, : columns * width].reshape(rows, height, columns, width, 3)
        return grid[:, dy : height - dy, :, dx : width - dx].mean(axis=(1, 3))

    def check(answer: Image.Image, conditions: tuple[Image.Image, ...], picture: Image.Image) -> Verdict:  # noqa: ARG001
        good = np.abs(means(answer) - means(picture)).max(axis=-1) <= tolerance
        ok = bool(good.mean() >= share)
        return Verdict(ok=ok, score=float(good.mean()), detail=f"{int(good.sum())}/{good.size} cells")

    return check


def ground_colour() -> Check:
    """The rim of the picture has the same named colour (nearest of all named ones, by its median) as the answer's."""
    table = np.asarray([*COLOURS.values(), *PALE.values()], dtype=np.float32) / 255

    def read(picture: Image.Image) -> int:
        fine = _array(picture, 128)
        rim = np.concatenate([fine[:3].reshape(-1, 3), fine[-3:].reshape(-1, 3), fine[:, :3].reshape(-1, 3)])
        return int(np.argmin(((np.median(rim, axis=0) - table) ** 2).sum(axis=-1)))

    def check(answer: Image.Image, conditions: tuple[Image.Image, ...], picture: Image.Image) -> Verdict:  # noqa: ARG001
        ok = read(answer) == read(picture)
        return Verdict(ok=ok, score=float(ok), detail="ground right" if ok else "ground of another colour")

    return check


def exact_colours(rows: int, columns: int) -> Check:
    """Every cell of a grid reads as the same named colour (nearest of `COLOURS`) as in the answer: exact match."""
    table = np.asarray(list(COLOURS.values()), dtype=np.float32) / 255

    def read(picture: Image.Image) -> np.ndarray:
        fine = _array(picture, 128)
        height, width = 128 // rows, 128 // columns
        grid = fine[: rows * height, : columns * width].reshape(rows, height, columns, width, 3)
        inner = np.median(grid[:, height // 4 : height - height // 4, :, width // 4 : width - width // 4], axis=(1, 3))
        return np.argmin(((inner[:, :, None] - table) ** 2).sum(axis=-1), axis=-1)

    def check(answer: Image.Image, conditions: tuple[Image.Image, ...], picture: Image.Image) -> Verdict:  # noqa: ARG001
        good = read(answer) == read(picture)
        return Verdict(
            ok=bool(good.all()), score=float(good.mean()), detail=f"{int(good.sum())}/{good.size} cells exact"
        )

    return check


def all_of(*checks: Check) -> Check:
    """Every check holds; the score is the lowest."""

    def check(answer: Image.Image, conditions: tuple[Image.Image, ...], picture: Image.Image) -> Verdict:
        verdicts = [one(answer, conditions, picture) for one in checks]
        return Verdict(
            ok=all(verdict.ok for verdict in verdicts),
            score=min(verdict.score for verdict in verdicts),
            detail="; ".join(verdict.detail for verdict in verdicts),
        )

    return check


def alike() -> Check:
    """What most rules ask: near the answer as a whole, and in each of 8x8 cells (one may be off)."""
    return all_of(near(), cells(8, 8, tolerance=0.12, margin=0.0, share=0.98))


def verify_page(check: Check, page: Page, pictures: tuple[Image.Image, ...]) -> Verdict:
    """All slots of an answered page against `pictures`, in order: ok if every slot is, score their mean."""
    answers = [panel.answer for panel in page.slots]
    if len(pictures) != len(answers):
        raise PageError(f"{len(pictures)} pictures for {len(answers)} slots; give one for each slot.")
    if any(answer is None for answer in answers):
        raise PageError("the page has a slot without an answer; rules verify answered pages only.")
    conditions = tuple(panel.image for panel in page.conditions if panel.image is not None)
    verdicts = [
        check(answer, conditions, picture.convert("RGB"))
        for answer, picture in zip(answers, pictures, strict=True)
        if answer is not None
    ]
    return Verdict(
        ok=all(verdict.ok for verdict in verdicts),
        score=sum(verdict.score for verdict in verdicts) / len(verdicts),
        detail=" | ".join(verdict.detail for verdict in verdicts),
    )
