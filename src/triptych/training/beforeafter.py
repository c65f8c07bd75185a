"""Before and after: held-out picks made again with the same seeds, unselected, as one picture and a table."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw

from triptych.errors import TriptychError
from triptych.events import CancelToken
from triptych.files import write_atomic
from triptych.images import opaque, png_bytes
from triptych.models.backbone import Backbone
from triptych.picks import Verdict
from triptych.sampling.engine import Engine
from triptych.training.foretold import Look
from triptych.training.measure import distance
from triptych.training.picked import Example, Judged

__all__ = ["PICTURE", "write_report"]

PICTURE = "picks.png"
_MOST_ROWS = 24
_MOST_OF_ONE = 3
_THUMB_PX = 128
_NAME_PX = 96
_TOP_PX = 20
_NEAR = 0.03
"""Difference of thumbnails below which a picture counts as made again."""
_COLUMNS = ("given", "picked from", "before", "after")


def write_report(
    folder: Path,
    backbone: Backbone,
    examples: Sequence[Example],
    states: tuple[Callable[[], AbstractContextManager[None]], Callable[[], AbstractContextManager[None]]],
    looks: Sequence[Look],
    chosen: Look | None,
    cancel: CancelToken,
) -> None:
    """Write `picks.md` and `picks.png`; `states` put on the adapter before and after."""
    rows = [(example, result) for example in examples for result in _shown(example)][:_MOST_ROWS]
    made, shown = [], ""
    try:
        for state in states:
            with state():
                made.append(_made(backbone, rows, cancel))
    except TriptychError as error:
        # Where a training went too far astray to make pictures, what was measured is told all the same.
        shown = f"Before and after cannot be shown: {error}"
    else:
        write_atomic(folder / PICTURE, png_bytes(_sheet(rows, *made)))
        again = sum(_is_again(result, images) for (_, result), images in zip(rows, made[0], strict=True))
        shown = _caption(len(rows), again)
    write_atomic(folder / "picks.md", f"{_table(looks, chosen)}\n\n{shown}\n".encode())


def _shown(example: Example) -> Sequence[Judged]:
    order = (Verdict.KEPT, Verdict.REJECTED, Verdict.UNSEEN)
    return [result for verdict in order for result in example.of(verdict) if result.seed is not None][:_MOST_OF_ONE]


def _made(
    backbone: Backbone, rows: Sequence[tuple[Example, Judged]], cancel: CancelToken
) -> list[tuple[Image.Image, ...]]:
    requests = [
        replace(example.request, seed=result.seed or 0, number=1, skills=(), reading=None) for example, result in rows
    ]
    return [result.images for result in Engine(backbone).generate(requests, cancel=cancel)] if requests else []


def _is_again(result: Judged, images: Sequence[Image.Image]) -> bool:
    recorded = [slot.answer for slot in result.page.slots if slot.answer is not None]
    return all(distance(one, other) < _NEAR for one, other in zip(recorded, images, strict=True))


def _sheet(
    rows: Sequence[tuple[Example, Judged]],
    before: Sequence[Sequence[Image.Image]],
    after: Sequence[Sequence[Image.Image]],
) -> Image.Image:
    """One row a result: the first condition, the result as it was judged, and what its seed gives before and after."""
    sheet = Image.new("RGB", (_NAME_PX + 4 * _THUMB_PX, _TOP_PX + _THUMB_PX * max(1, len(rows))), "white")
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(_COLUMNS):
        pen.text((_NAME_PX + column * _THUMB_PX + 4, _TOP_PX // 2), name, fill="black", anchor="lm")
    for number, ((example, result), old, new) in enumerate(zip(rows, before, after, strict=True)):
        top = _TOP_PX + number * _THUMB_PX
        pen.text((6, top + 50), result.verdict.value, fill="black", anchor="lm")
        pen.text((6, top + 70), f"seed {result.seed}", fill="black", anchor="lm")
        given = [panel.image for panel in example.request.page.conditions][:1]
        recorded = result.page.slots[0].answer
        for column, picture in enumerate((given[0] if given else None, recorded, old[0], new[0])):
            if picture is not None:
                thumb = opaque(picture).copy()
                thumb.thumbnail((_THUMB_PX - 4, _THUMB_PX - 4))
                sheet.paste(thumb, (_NAME_PX + column * _THUMB_PX, top))
    return sheet


def _table(looks: Sequence[Look], chosen: Look | None) -> str:
    undone = "Undone: no step was both better than chance on held-out picks and harmless on teaching pages."
    return "\n".join(
        [
            "# What the picks taught",
            "",
            undone if chosen is None else f"Released: step {chosen.step}.",
            "",
            "| step | held-out picks foretold | by how much | by chance | error on held-out teaching pages, dB |",
            "|---|---|---|---|---|",
            *(
                f"| {look.step} | {look.accuracy:.2f} | {look.margin:+.2g} | {look.chance:.3f} | {look.worse_db:+.2f} |"
                for look in looks
            ),
            "",
            "A pick is foretold where the error of what was kept has fallen against that of what was rejected",
            "since the training began; 0.50 is chance. Released is the step of the largest fall, unless as much comes",
            "by chance too often.",
        ]
    )


def _caption(rows: int, again: int) -> str:
    lines = [
        f"![Before and after, same seeds]({PICTURE})",
        "",
        f"The first {rows} results of the held-out picks, none left out, made again by their seeds before and after.",
    ]
    if again < rows:
        lines += [
            "",
            f"{rows - again} of them do not come out before the training as they were when they were judged: they were "
            "made by another model or skill, or with other settings.",
        ]
    return "\n".join(lines)
