"""IDEA-Bench: design tasks in words and pictures, whose answers a judge is asked about.

Liang et al. 2024, arXiv:2412.11767. Its pictures are CC BY-NC 4.0 and never part of this package.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from triptych.data.folders import SUFFIXES, in_order
from triptych.errors import SourceError
from triptych.evaluation.judge import Judge
from triptych.evaluation.statistics import Estimate, bootstrap
from triptych.files import parse_json, read_json, read_text, text_lines
from triptych.images import load_image
from triptych.page import MAX_CONDITIONS, MAX_SLOTS, Page, condition, slot

__all__ = ["IDEA_CATEGORIES", "IdeaCase", "Question", "idea_cases", "idea_categories", "score_idea"]

_CALLS = 3
_GAP_PX = 20
_COUNTED = "Is the number in the image the digit"
_COUNT_PX = 512

IDEA_CATEGORIES: Mapping[str, frozenset[str]] = {
    "text to image": frozenset({"0024", "0026", "0028"}),
    "image to image": frozenset({"0063", "0072"}),
    "images to image": frozenset({"0064", "0065", "0073"}),
    "text to images": frozenset({"0014", "0015", "0016", "0017"}),
    "images to images": frozenset({"0044", "0045", "0046", "0049"}),
}
"""The five kinds of tasks, by the tasks' numbers, of those with questions for a judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One of a case's six questions; the judge answers with a score of 0 or 1."""

    text: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdeaCase:
    """One case folder of IDEA-Bench. `page` asks for as many pictures as the case wants."""

    name: str
    uid: str
    page: Page
    folder: Path
    questions: tuple[Question, ...]


def idea_cases(folder: Path) -> tuple[IdeaCase, ...]:
    """The cases in `folder` that have questions for a judge. Raises SourceError where there are none."""
    found = [_idea_case(path.parent) for path in sorted(folder.rglob("auto_eval.jsonl"))]
    if not found:
        raise SourceError(f"no case with auto_eval.jsonl in {folder}; give the folder `dataset` of IDEA-Bench.")
    return tuple(found)


def _idea_case(folder: Path) -> IdeaCase:
    try:
        meta = read_json(folder / "meta.json", error=SourceError)
        words = read_text(folder / "instruction.txt", any_encoding=True, error=SourceError).strip()
        listed = read_text(folder / "auto_eval.jsonl", error=SourceError)
        lines = [parse_json(line) for _, line in text_lines(listed)]
        count = int(meta.get("output_image_count", 1))
        questions = tuple(
            Question(
                text=line["question"],
                inputs=tuple(line.get("input_images", ())),
                outputs=tuple(line.get("output_images", ())),
            )
            for line in lines
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{folder} is not a case of IDEA-Bench: {error}.") from error
    shown = sorted((path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES), key=in_order)
    conditions = [condition(load_image(path)) for path in shown[:MAX_CONDITIONS]]
    slots = [slot(words if count == 1 else "") for _ in range(max(1, min(count, MAX_SLOTS)))]
    page = Page(panels=(*conditions, *slots), overview="" if count == 1 else words, page_id=folder.name)
    return IdeaCase(name=folder.name, uid=str(meta.get("uid", "")), page=page, folder=folder, questions=questions)


def score_idea(
    cases: Sequence[IdeaCase], outputs: Mapping[str, Sequence[Image.Image]], judge: Judge
) -> tuple[Estimate, Mapping[str, float]]:
    """Percent of a case's questions passed, and the same by task; `outputs` are pictures by the case's name.

    As published: three calls a question; a miss in the first two of six questions loses all that follow, a miss in
    the third or fourth the last two; cases are averaged within their task, and the estimate is over tasks. Pictures
    are stitched, inputs above outputs, before they are shown.
    """
    by_task: dict[str, list[float]] = {}
    for case in cases:
        made = outputs[case.name]
        runs = [_gated([_passed(case, question, made, judge) for question in case.questions]) for _ in range(_CALLS)]
        by_task.setdefault(case.uid, []).append(100 * sum(runs) / _CALLS)
    means = {task: sum(scores) / len(scores) for task, scores in by_task.items()}
    return bootstrap(list(means.values())), means


def _gated(passed: Sequence[bool]) -> float:
    kept = list(passed)
    if not all(kept[:2]):
        kept[2:] = [False] * len(kept[2:])
    elif not all(kept[2:4]):
        kept[4:] = [False] * len(kept[4:])
    return sum(kept) / max(1, len(kept))


def _passed(case: IdeaCase, question: Question, made: Sequence[Image.Image], judge: Judge) -> bool:
    """Outputs are named 0001.jpg, 0002.jpg, ...; a name without a picture is left out, as published."""
    numbers = [int(digits.group()) for name in question.outputs if (digits := re.search(r"\d+", name))]
    outputs = [made[number - 1] for number in numbers if 1 <= number <= len(made)]
    if not outputs:
        return False
    inputs = [load_image(case.folder / name) for name in question.inputs if (case.folder / name).is_file()]
    shown = _counted(len(outputs)) if _COUNTED in question.text else _stitched(inputs, outputs)
    answer = judge.ask(question.text, [shown])
    score = re.search(r"[\"']score[\"']\s*:\s*(\d)", answer)
    return score is not None and int(score.group(1)) > 0


def _counted(outputs: int) -> Image.Image:
    """How many pictures came out, as a number: so are questions of quantity asked."""
    card = Image.new("RGB", (_COUNT_PX, _COUNT_PX), (255, 255, 255))
    font = ImageFont.load_default(_COUNT_PX // 2)
    ImageDraw.Draw(card).text((_COUNT_PX / 2, _COUNT_PX / 2), str(outputs), fill=(0, 0, 0), font=font, anchor="mm")
    return card


def _stitched(inputs: Sequence[Image.Image], outputs: Sequence[Image.Image]) -> Image.Image:
    """Inputs in a row, as high as the first output, above the outputs in a row."""
    high = outputs[0].height
    rows = [row for row in ([_as_high(picture, high) for picture in inputs], list(outputs)) if row]
    wide = max(sum(picture.width for picture in row) + _GAP_PX * (len(row) - 1) for row in rows)
    heights = [max(picture.height for picture in row) for row in rows]
    sheet = Image.new("RGB", (wide, sum(heights) + _GAP_PX * (len(rows) - 1)), (255, 255, 255))
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for picture in row:
            sheet.paste(picture, (left, top))
            left += picture.width + _GAP_PX
        top += height + _GAP_PX
    return sheet


def _as_high(picture: Image.Image, high: int) -> Image.Image:
    return picture.resize((max(1, round(picture.width * high / picture.height)), high), Image.Resampling.LANCZOS)


def idea_categories(tasks: Mapping[str, float]) -> Mapping[str, float]:
    """Percent by category, each the mean of its tasks; categories without a task are left out.

    The published overall score is the mean of all five.
    """
    found = {name: [tasks[uid] for uid in sorted(uids) if uid in tasks] for name, uids in IDEA_CATEGORIES.items()}
    return {name: sum(scores) / len(scores) for name, scores in found.items() if scores}
