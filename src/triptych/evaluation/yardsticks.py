"""Benchmarks of others, in folders that the user has downloaded, scored by their published protocol.

IDEA-Bench: Liang et al. 2024, arXiv:2412.11767. CoBSAT: Zeng et al. 2024, arXiv:2402.01293. Their pictures have
licences of their own (IDEA-Bench: CC BY-NC 4.0) and are never part of this package.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image

from triptych.errors import SourceError
from triptych.evaluation.judge import Judge
from triptych.evaluation.statistics import Estimate, bootstrap
from triptych.images import load_image
from triptych.page import MAX_CONDITIONS, MAX_SLOTS, Page, condition, slot

__all__ = [
    "COBSAT_TASKS",
    "CobsatCase",
    "IdeaCase",
    "Question",
    "cobsat_cases",
    "idea_cases",
    "score_cobsat",
    "score_idea",
]

_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
_CALLS = 3
_GAP_PX = 20


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
        meta = json.loads((folder / "meta.json").read_text())
        words = (folder / "instruction.txt").read_text().strip()
        lines = [json.loads(line) for line in (folder / "auto_eval.jsonl").read_text().splitlines() if line.strip()]
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
        raise SourceError(f"{folder} is no case of IDEA-Bench: {error}.") from error
    shown = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
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
    answer = judge.ask(question.text, [_stitched(inputs, outputs)])
    score = re.search(r"[\"']score[\"']\s*:\s*(\d)", answer)
    return score is not None and int(score.group(1)) > 0


def _stitched(inputs: Sequence[Image.Image], outputs: Sequence[Image.Image]) -> Image.Image:
    """Inputs in a row above outputs in a row, all as high as the first output."""
    high = outputs[0].height
    rows = [[_as_high(picture, high) for picture in row] for row in (inputs, outputs) if row]
    wide = max(sum(picture.width for picture in row) + _GAP_PX * (len(row) - 1) for row in rows)
    sheet = Image.new("RGB", (wide, high * len(rows) + _GAP_PX * (len(rows) - 1)), (255, 255, 255))
    for line, row in enumerate(rows):
        left = 0
        for picture in row:
            sheet.paste(picture, (left, line * (high + _GAP_PX)))
            left += picture.width + _GAP_PX
    return sheet


def _as_high(picture: Image.Image, high: int) -> Image.Image:
    return picture.resize((max(1, round(picture.width * high / picture.height)), high), Image.Resampling.LANCZOS)


_THINGS: Mapping[str, tuple[str, ...]] = {
    "color": ("yellow", "white", "red", "purple", "pink", "orange", "green", "brown", "blue", "black"),
    "object": ("leaf", "hat", "cup", "chair", "car", "box", "book", "ball", "bag", "apple"),
    "animal": ("zebra", "tiger", "sheep", "pig", "monkey", "lion", "dog", "cow", "cat", "bird"),
    "style": ("watercolor", "sketch", "pixel", "origami", "lego", "icon", "graffiti", "futuristic", "3d", "old"),
    "action": ("swim", "sleep", "sing", "run", "read", "fly", "eat", "drink", "cry", "angry"),
    "background": ("beach", "desert", "glacier", "volcano", "park", "gym", "waterfall", "space", "cave", "seafloor"),
    "texture": ("wood", "wicker", "sequined", "plastic", "paper", "metal", "leather", "lace", "denim", "ceramic"),
}

COBSAT_TASKS: tuple[tuple[str, str], ...] = tuple(
    pair
    for detail, thing in (
        ("color", "object"), ("background", "animal"), ("style", "object"), ("action", "animal"), ("texture", "object")
    )
    for pair in ((detail, thing), (thing, detail))
)  # fmt: skip
"""(what the words name, what only the examples tell) of the ten tasks, in their published order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CobsatCase:
    """One prompt: the examples share what is to be found out, the words name the rest."""

    task: int
    """1..10, as published."""
    page: Page
    named: str
    hidden: str


def cobsat_cases(folder: Path, *, shots: int = 2, count: int = 100, seed: int = 123) -> tuple[CobsatCase, ...]:
    """`count` prompts of each task from CoBSAT's folder `datasets`, whose files are DETAIL_THING/detail_thing.jpg.

    Prompts are drawn here and not read from the authors' list, so that figures are near theirs and not the same.
    """
    cases = []
    for number, (words, secret) in enumerate(COBSAT_TASKS, 1):
        for index in range(count):
            rng = Random(f"{seed}:{number}:{index}")
            hidden, names = rng.choice(_THINGS[secret]), rng.sample(_THINGS[words], shots + 1)
            examples = [_cobsat_example(folder, number, name, hidden) for name in names[:-1]]
            page = Page(panels=(slot(names[-1]),), page_id=f"{number}-{index}", rule=f"{words}-{secret}")
            cases.append(CobsatCase(task=number, page=page.with_context(*examples), named=names[-1], hidden=hidden))
    return tuple(cases)


def _cobsat_example(folder: Path, task: int, named: str, hidden: str) -> Page:
    words, secret = COBSAT_TASKS[task - 1]
    by_kind = {words: named, secret: hidden}
    detail_kind, thing_kind = (words, secret) if task % 2 else (secret, words)
    detail, thing = by_kind[detail_kind], by_kind[thing_kind]
    path = folder / f"{detail_kind}_{thing}" / f"{detail}_{thing}.jpg"
    if not path.is_file():
        raise SourceError(f"there is no {path}; give CoBSAT's folder `datasets`.")
    picture = load_image(path)
    return Page(panels=(slot(named, answer=picture),))


def score_cobsat(
    cases: Sequence[CobsatCase],
    pictures: Sequence[Image.Image],
    judge: Judge,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Mapping[int, Estimate]:
    """For each task the share of pictures that show both the named and the hidden thing (the strict score).

    As published, the judge chooses each from the ten options by number.
    """
    right: dict[int, list[float]] = {}
    for done, (case, picture) in enumerate(zip(cases, pictures, strict=True), 1):
        kinds = COBSAT_TASKS[case.task - 1]
        shows = [_chosen(judge, picture, kind) for kind in kinds]
        right.setdefault(case.task, []).append(float(shows == [case.named, case.hidden]))
        on_progress(done)
    return {task: bootstrap(values) for task, values in right.items()}


def _chosen(judge: Judge, picture: Image.Image, kind: str) -> str | None:
    options = _THINGS[kind]
    listed = " ".join(f"({number}){option}" for number, option in enumerate(options, 1))
    answer = judge.ask(f"What is the {kind} in this image? Answer from the following options: {listed}", [picture])
    number = re.search(r"\d+", answer)
    return options[int(number.group()) - 1] if number and 1 <= int(number.group()) <= len(options) else None
