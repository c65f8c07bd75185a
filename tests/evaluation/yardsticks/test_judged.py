"""Others' benchmarks: folders as they are published, scored as they are published, by a judge that is scripted."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from triptych.errors import SourceError
from triptych.evaluation.yardsticks.cobsat import COBSAT_TASKS, cobsat_cases, cobsat_pictures, score_cobsat
from triptych.evaluation.yardsticks.idea_bench import idea_cases, idea_categories, score_idea
from triptych.images import save_png

RED, BLUE = Image.new("RGB", (40, 20), (220, 0, 0)), Image.new("RGB", (30, 30), (0, 0, 220))


class Scripted:
    """A judge that answers by a function and remembers what it was shown."""

    def __init__(self, answer: Callable[[str, Image.Image], str]) -> None:
        self.answer = answer
        self.shown: list[Image.Image] = []

    def ask(self, question: str, pictures: Sequence[Image.Image]) -> str:
        self.shown.extend(pictures)
        return self.answer(question, pictures[0])


def _idea_folder(root: Path, *names: str) -> Path:
    for name in names:
        case = root / "dataset" / name
        case.mkdir(parents=True)
        (case / "meta.json").write_text(json.dumps({"uid": name[:4], "output_image_count": 2}))
        (case / "instruction.txt").write_text("Two views of it.\n")
        save_png(RED, case / "0001.png")
        lines = [
            {"question": f"Q{number}", "input_images": ["0001.png"], "output_images": ["0002.jpg"]}
            for number in range(1, 7)
        ]
        (case / "auto_eval.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return root


def test_idea_cases_are_read_with_marks_other_encodings_and_line_separators(tmp_path: Path) -> None:
    case = _idea_folder(tmp_path, "0024_0001") / "dataset" / "0024_0001"
    (case / "meta.json").write_bytes(b"\xef\xbb\xbf" + (case / "meta.json").read_bytes())
    (case / "instruction.txt").write_bytes("Two views of the café.\r\n".encode("cp1252"))
    line = {"question": "one\u2028line", "input_images": ["0001.png"], "output_images": ["0002.jpg"]}
    (case / "auto_eval.jsonl").write_text(json.dumps(line, ensure_ascii=False) + "\r\n", encoding="utf-8")

    (read,) = idea_cases(tmp_path)

    assert read.page.overview == "Two views of the café."
    assert [question.text for question in read.questions] == ["one\u2028line"]
    (case / "meta.json").write_bytes(b'{"uid": "\xff"}')
    with pytest.raises(SourceError, match=r"meta.json is not text in UTF-8 \(byte 9"):
        idea_cases(tmp_path)


def test_idea_cases_make_pages_of_the_case(tmp_path: Path) -> None:
    case = idea_cases(_idea_folder(tmp_path, "0024_0001"))[0]
    assert (len(case.page.conditions), len(case.page.slots), len(case.questions)) == (1, 2, 6)
    assert case.page.overview == "Two views of it."


@pytest.mark.parametrize(
    ("failed", "percent"), [((), 100.0), ((1,), 100 / 6), ((3,), 50.0), ((6,), 500 / 6), ((1, 2), 0.0)]
)
def test_score_idea_later_questions_hang_on_the_first(tmp_path: Path, failed: tuple[int, ...], percent: float) -> None:
    cases = idea_cases(_idea_folder(tmp_path, "0024_0001"))
    judge = Scripted(lambda question, _: f'{{"score": {int(int(question[1]) not in failed)}, "reason": "so"}}')
    overall, tasks = score_idea(cases, {"0024_0001": [BLUE, BLUE]}, judge)
    assert overall.mean == pytest.approx(percent)
    assert tasks == {"0024": pytest.approx(percent)}


def test_score_idea_shows_inputs_above_outputs(tmp_path: Path) -> None:
    cases = idea_cases(_idea_folder(tmp_path, "0024_0001"))
    judge = Scripted(lambda *_: '{"score": 1}')
    score_idea(cases, {"0024_0001": [RED, BLUE]}, judge)
    sheet = judge.shown[0]
    assert sheet.size == (60, 80)
    assert (sheet.getpixel((5, 5)), sheet.getpixel((5, 70))) == ((220, 0, 0), (0, 0, 220))


def test_score_idea_is_over_tasks_and_not_over_cases(tmp_path: Path) -> None:
    cases = idea_cases(_idea_folder(tmp_path, "0001_0001", "0001_0002", "0002_0001"))
    judge = Scripted(lambda _, picture: f"{{'score': {int(picture.getpixel((5, 70)) == (0, 0, 220))}}}")
    outputs = {"0001_0001": [RED, BLUE], "0001_0002": [RED, BLUE], "0002_0001": [RED, RED.resize((30, 30))]}
    assert score_idea(cases, outputs, judge)[0].mean == 50.0


def test_score_idea_a_question_of_quantity_is_shown_the_number(tmp_path: Path) -> None:
    root = _idea_folder(tmp_path, "0024_0001")
    path = root / "dataset" / "0024_0001" / "auto_eval.jsonl"
    path.write_text(json.dumps({"question": "Is the number in the image the digit 2?", "output_images": ["0001.jpg"]}))
    judge = Scripted(lambda *_: '{"score": 1}')
    score_idea(idea_cases(root), {"0024_0001": [RED, BLUE]}, judge)
    card = judge.shown[0]
    assert card.size == (512, 512)
    assert {colour for _, colour in card.getcolors(1 << 16) or () if len(set(colour)) == 1} >= {(0, 0, 0), (255,) * 3}


def test_idea_categories_are_means_of_their_tasks() -> None:
    assert idea_categories({"0063": 20.0, "0072": 40.0, "0024": 10.0}) == {
        "text to image": 10.0,
        "image to image": 30.0,
    }


def test_idea_cases_of_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="auto_eval"):
        idea_cases(tmp_path)


@pytest.fixture
def cobsat(tmp_path: Path) -> Path:
    """Every picture of the first two tasks, its colour telling which."""
    from triptych.evaluation.yardsticks.cobsat import _THINGS

    for colour_place, colour in enumerate(_THINGS["color"]):
        for thing_place, thing in enumerate(_THINGS["object"]):
            folder = tmp_path / f"color_{thing}"
            folder.mkdir(exist_ok=True)
            Image.new("RGB", (8, 8), (colour_place * 20, thing_place * 20, 0)).save(
                folder / f"{colour}_{thing}.jpg", quality=100, subsampling=0
            )
    return tmp_path


def test_cobsat_cases_examples_share_what_is_hidden(cobsat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.evaluation.yardsticks.cobsat.COBSAT_TASKS", COBSAT_TASKS[:2])
    cases = cobsat_cases(cobsat, shots=3, count=4)
    assert [case.task for case in cases] == [1] * 4 + [2] * 4
    for case in cases:
        reds = {round(example.slots[0].answer.getpixel((4, 4))[0] / 20) for example in case.page.context}  # type: ignore[union-attr,index]
        greens = {round(example.slots[0].answer.getpixel((4, 4))[1] / 20) for example in case.page.context}  # type: ignore[union-attr,index]
        shared, varied = (greens, reds) if case.task == 1 else (reds, greens)
        assert (len(shared), len(varied)) == (1, 3)
        assert case.page.slots[0].instruction == case.named


def test_score_cobsat_counts_a_picture_only_where_both_are_right(cobsat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.evaluation.yardsticks.cobsat.COBSAT_TASKS", COBSAT_TASKS[:2])
    cases = cobsat_cases(cobsat, shots=1, count=10)

    def always_first(question: str, _: Image.Image) -> str:
        return "(1)" if "object" in question.split("?")[0] else "(2) white"

    scores = score_cobsat(cases, [RED] * len(cases), Scripted(always_first))
    wanted = [
        [float({case.named, case.hidden} == {"leaf", "white"}) for case in cases if case.task == task]
        for task in (1, 2)
    ]
    assert [scores[task].mean for task in (1, 2)] == [pytest.approx(sum(hits) / 10) for hits in wanted]


def test_cobsat_pictures_are_the_right_one_and_the_last_example(cobsat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.evaluation.yardsticks.cobsat.COBSAT_TASKS", COBSAT_TASKS[:1])
    case = cobsat_cases(cobsat, shots=2, count=1)[0]
    found = cobsat_pictures(case, cobsat)
    right = Image.open(cobsat / f"color_{case.hidden}" / f"{case.named}_{case.hidden}.jpg").convert("RGB")
    assert found["right picture"].tobytes() == right.tobytes()
    assert found["copy of an example"] is case.page.context[-1].slots[0].answer


def test_cobsat_cases_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="color_"):
        cobsat_cases(tmp_path, count=1)
