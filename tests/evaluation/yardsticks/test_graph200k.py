"""Graph200K in both of its forms, written by the library that reads it on the Hub and as the authors' script does."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from triptych.errors import SourceError
from triptych.evaluation.yardsticks.graph200k import GRAPH_TASKS, find_graph_tasks, graph_pages
from triptych.images import save_png
from triptych.page import Page, Role

DEPTH = GRAPH_TASKS["depth-to-target"]
Folder = Callable[[Path], Path]


def _picture(index: int, kind: int) -> Image.Image:
    return Image.new("RGB", (16, 12), (index * 40, kind * 20, 90))


_KINDS = ("target", "ref", "depth", "canny", "foreground", "InstantStyle_image_0", "InstantStyle_ref_0")
_STYLED = [f"InstantStyle_{part}_{number}" for number in range(3) for part in ("image", "ref")]


def _hub(folder: Path) -> Path:
    """As `datasets` saves what the Hub holds: two photographs, the second without depth and of another subject."""
    datasets = pytest.importorskip("datasets")
    columns: dict[str, list[object]] = {
        name: [_picture(index, kind) for index in range(2)] for kind, name in enumerate([*_KINDS[:5], *_STYLED])
    }
    columns["depth"][1] = None
    columns["quality_assessment"] = [{"objectConsistency": 4}, {"objectConsistency": 1}]
    columns["description"] = [{"item": "a cup", "description_0": "on a table."}] * 2
    features = datasets.Features(
        {name: datasets.Image() for name in columns if name not in ("quality_assessment", "description")}
        | {
            "quality_assessment": {"objectConsistency": datasets.Value("int64")},
            "description": {"item": datasets.Value("string"), "description_0": datasets.Value("string")},
        }
    )
    table = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict({"test": table}).save_to_disk(str(folder))
    return folder


def _processed(folder: Path) -> Path:
    """As the authors' processing.py leaves it, with the paths of another machine."""
    entries = []
    for index in range(2):
        there = {}
        for kind, name in enumerate(("target", "reference", "depth", "canny", "foreground")):
            if (index, name) != (1, "depth"):
                saved = "ref" if name == "reference" else name
                save_png(_picture(index, kind), folder / "test" / saved / f"{index}_{saved}.png")
                there[name] = f"/elsewhere/test/{saved}/{index}_{saved}.png"
        paths: dict[str, list[str]] = {"image_path": [], "style_path": []}
        for number in range(3):
            for key, part in (("image_path", "image"), ("style_path", "ref")):
                name = f"{index}_InstantStyle_{part}_{number}.png"
                place = 5 + _STYLED.index(f"InstantStyle_{part}_{number}")
                save_png(_picture(index, place), folder / "test" / "InstantStyle" / name)
                paths[key].append(f"/elsewhere/test/InstantStyle/{name}")
        there["InstantStyle"] = paths
        quality = {"objectConsistency": 4 - 3 * index}
        told = {"item": "a cup", "description_0": "on a table."}
        entries.append({"condition": there, "quality_assessment": quality, "description": told})
    (folder / "test" / "data.json").write_text(json.dumps(entries))
    return folder


FORMS = pytest.mark.parametrize("form", [_hub, _processed])


@FORMS
def test_graph_pages_have_the_pictures_and_words_of_the_photograph(form: Folder, tmp_path: Path) -> None:
    (page,) = graph_pages(form(tmp_path / "set"), [DEPTH])
    assert page.conditions[0].image.tobytes() == _picture(0, 2).tobytes()
    assert page.slots[0].answer.tobytes() == _picture(0, 0).tobytes()
    assert (page.overview, page.rule, page.page_id) == ("a cup on a table.", "depth-to-target", "depth-to-target-00000")


@FORMS
def test_graph_pages_subjects_that_differ_are_passed_over(form: Folder, tmp_path: Path) -> None:
    (page,) = graph_pages(form(tmp_path / "set"), [GRAPH_TASKS["reference+canny-to-target"]])
    assert [panel.role for panel in page.conditions] == [Role.SUBJECT, Role.CONTROL]


@FORMS
def test_graph_pages_style_stands_beside_the_picture_it_goes_to(form: Folder, tmp_path: Path) -> None:
    pages = graph_pages(form(tmp_path / "set"), [GRAPH_TASKS["target-to-InstantStyle"]])

    def place(picture: Image.Image | None) -> int:
        assert picture is not None
        return picture.getpixel((0, 0))[1] // 20 - 5  # type: ignore[index]

    for page in pages:
        style, styled = place(page.conditions[1].image), place(page.slots[0].answer)
        assert _STYLED[style].replace("ref", "image") == _STYLED[styled]
        assert page.overview == ""


@FORMS
def test_graph_pages_foreground_is_cut_out_of_the_photograph(form: Folder, tmp_path: Path) -> None:
    def first(name: str) -> Page:
        return graph_pages(form(tmp_path / name), [GRAPH_TASKS[name]], count=1)[0]

    # The mask is dark everywhere, so all of the photograph is its background.
    assert first("foreground-to-target").conditions[0].image.getextrema() == ((0, 0),) * 3
    assert first("background-to-target").conditions[0].image.tobytes() == _picture(0, 0).tobytes()


def test_graph_pages_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a Graph200K"):
        graph_pages(tmp_path, [DEPTH])


def test_graph_pages_no_photograph_has_the_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="openpose-to-target"):
        graph_pages(_processed(tmp_path / "set"), [GRAPH_TASKS["openpose-to-target"]])


def test_find_graph_tasks_mistake_is_answered_with_near_ones() -> None:
    with pytest.raises(SourceError, match="depth-to-target"):
        find_graph_tasks(["depth-to-photo"])
    assert len(find_graph_tasks([])) == len(GRAPH_TASKS) > 50
