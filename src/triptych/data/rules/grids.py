"""Grids of coloured cells in the manner of ARC: small programs on cells, judged by exact match."""

from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image

from triptych.data.drawing import COLOURS
from triptych.data.rules.base import Draft, Rule, page_rule, with_article
from triptych.data.rules.verifiers import exact_colours
from triptych.data.sources import Source
from triptych.page import Page, Role, condition, slot

__all__ = ["RULES", "draw_grid"]

_SIDE = 8
_NAMES = ("black", "red", "blue", "green", "yellow", "purple", "orange", "teal", "pink")
_TABLE = np.asarray([COLOURS[name] for name in _NAMES], dtype=np.uint8)
_LINE = (70, 72, 80)

Grid = np.ndarray
"""(8, 8) indices into the colours; 0 is the empty cell."""


def draw_grid(grid: Grid, size_px: int) -> Image.Image:
    """The grid as flat cells with thin lines between them, RGB."""
    pitch = max(2, size_px // grid.shape[1])
    cells = np.kron(_TABLE[grid], np.ones((pitch, pitch, 1), dtype=np.uint8))
    cells[::pitch] = _LINE
    cells[:, ::pitch] = _LINE
    picture = Image.fromarray(cells)
    return (
        picture if picture.size == (size_px, size_px) else picture.resize((size_px, size_px), Image.Resampling.NEAREST)
    )


def _scattered(rng: Random, count: int, colours: tuple[int, ...]) -> Grid:
    grid = np.zeros((_SIDE, _SIDE), dtype=int)
    for cell in rng.sample(range(_SIDE * _SIDE), count):
        grid[divmod(cell, _SIDE)] = rng.choice(colours)
    return grid


def _blobs(rng: Random, count: int, colours: tuple[int, ...]) -> Grid:
    """Connected blobs of a few cells each, which may touch."""
    grid = np.zeros((_SIDE, _SIDE), dtype=int)
    for _ in range(count):
        y, x, colour = rng.randrange(_SIDE), rng.randrange(_SIDE), rng.choice(colours)
        for _ in range(rng.randint(4, 9)):
            grid[y, x] = colour
            dy, dx = rng.choice(((0, 1), (1, 0), (0, -1), (-1, 0)))
            y, x = min(_SIDE - 1, max(0, y + dy)), min(_SIDE - 1, max(0, x + dx))
    return grid


Plan = tuple[str, Callable[[Random], Grid], Callable[[Grid], Grid]]
"""What to say, how to draw an input, and the program that makes its answer."""


def _grid_rule(name: str, description: str) -> Callable[[Callable[[Random], Plan]], Rule]:
    """Turn `plan(rng)` into a rule."""

    def wrap(plan: Callable[[Random], Plan]) -> Rule:
        def make(rng: Random, source: Source) -> Draft:
            del source
            words, start, program = plan(rng)

            def compose(rng: Random, size_px: int, instruction: str) -> Page:
                grid = start(rng)
                answer = draw_grid(program(grid), size_px)
                given = condition(draw_grid(grid, size_px), role=Role.EDIT)
                return Page(panels=(given, slot(instruction, answer=answer)))

            return Draft(says=(words, f"grid: {words}"), compose=compose)

        return page_rule(name, "symbolic", description, check=exact_colours(_SIDE, _SIDE))(make)

    return wrap


def _pick(rng: Random, count: int) -> tuple[int, ...]:
    return tuple(rng.sample(range(1, len(_NAMES)), count))


@_grid_rule("grid-recolour", "every cell of one colour takes another")
def grid_recolour(rng: Random) -> Plan:
    old, new, other = _pick(rng, 3)
    words = f"{_NAMES[old]} cells become {_NAMES[new]}"
    return words, lambda r: _blobs(r, 4, (old, other)), lambda grid: np.where(grid == old, new, grid)


@_grid_rule("grid-gravity", "cells fall to the edge and pile up")
def grid_gravity(rng: Random) -> Plan:
    side = rng.choice(("bottom", "top", "left", "right"))
    colours = _pick(rng, 3)
    turns = {"bottom": 0, "left": 1, "top": 2, "right": 3}[side]

    def fall(grid: Grid) -> Grid:
        turned = np.rot90(grid, turns)
        done = np.zeros_like(turned)
        for column in range(_SIDE):
            kept = turned[:, column][turned[:, column] > 0]
            done[_SIDE - len(kept) :, column] = kept
        return np.rot90(done, -turns)

    return f"all cells fall to the {side}", lambda r: _scattered(r, r.randint(8, 16), colours), fall


@_grid_rule("grid-fill", "closed frames are filled with a colour")
def grid_fill(rng: Random) -> Plan:
    wall, paint = _pick(rng, 2)

    def start(rng: Random) -> Grid:
        grid = np.zeros((_SIDE, _SIDE), dtype=int)
        half = _SIDE // 2
        for top, left in rng.sample([(0, 0), (0, half), (half, 0), (half, half)], rng.choice((2, 3))):
            high, wide = rng.choice((3, 4)), rng.choice((3, 4))
            grid[top : top + high, left : left + wide] = wall
            grid[top + 1 : top + high - 1, left + 1 : left + wide - 1] = 0
        return grid

    def fill(grid: Grid) -> Grid:
        outside, edge = np.zeros((_SIDE + 2, _SIDE + 2), dtype=bool), np.pad(grid == wall, 1)
        outside[0, 0] = True
        while True:
            grown = outside.copy()
            grown[1:] |= outside[:-1]
            grown[:-1] |= outside[1:]
            grown[:, 1:] |= outside[:, :-1]
            grown[:, :-1] |= outside[:, 1:]
            grown &= ~edge
            if (grown == outside).all():
                return np.where(~outside[1:-1, 1:-1] & (grid == 0), paint, grid)
            outside = grown

    return f"fill closed {_NAMES[wall]} frames with {_NAMES[paint]}", start, fill


@_grid_rule("grid-lines", "single cells grow to lines across the grid")
def grid_lines(rng: Random) -> Plan:
    colours, sideways = _pick(rng, 3), rng.random() < 0.5

    def start(rng: Random) -> Grid:
        grid = np.zeros((_SIDE, _SIDE), dtype=int)
        for row in rng.sample(range(_SIDE), 3):
            grid[row, rng.randrange(_SIDE)] = rng.choice(colours)
        return grid if sideways else grid.T

    def extend(grid: Grid) -> Grid:
        axis = 1 if sideways else 0
        return np.broadcast_to(grid.max(axis=axis, keepdims=True), grid.shape).copy()

    return f"every cell becomes a {'horizontal' if sideways else 'vertical'} line", start, extend


@_grid_rule("grid-halo", "every single cell gets a ring of a colour")
def grid_halo(rng: Random) -> Plan:
    seed, ring = _pick(rng, 2)

    def start(rng: Random) -> Grid:
        grid = np.zeros((_SIDE, _SIDE), dtype=int)
        for y, x in rng.sample([(1, 1), (1, 5), (5, 1), (5, 5)], rng.choice((2, 3))):
            grid[y + rng.randint(0, 1), x + rng.randint(0, 1)] = seed
        return grid

    def surround(grid: Grid) -> Grid:
        done = grid.copy()
        for y, x in zip(*np.nonzero(grid), strict=True):
            block = done[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            block[block == 0] = ring
        return done

    return f"{with_article(_NAMES[ring])} ring around every {_NAMES[seed]} cell", start, surround


@_grid_rule("grid-mirror", "the grid is mirrored")
def grid_mirror(rng: Random) -> Plan:
    axis, colours = rng.choice((0, 1)), _pick(rng, 3)
    words = "mirror the grid left to right" if axis else "mirror the grid top to bottom"
    return words, lambda r: _blobs(r, 3, colours), lambda grid: np.flip(grid, axis)


@_grid_rule("grid-shift", "all cells move one step; what leaves comes back at the other side")
def grid_shift(rng: Random) -> Plan:
    word, step, axis = rng.choice((("right", 2, 1), ("left", -2, 1), ("down", 2, 0), ("up", -2, 0)))
    colours = _pick(rng, 3)
    return (
        f"everything moves two cells {word}, around the edge",
        lambda r: _blobs(r, 3, colours),
        lambda grid: np.roll(grid, step, axis),
    )


RULES = (grid_recolour, grid_gravity, grid_fill, grid_lines, grid_halo, grid_mirror, grid_shift)
