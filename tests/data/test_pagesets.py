import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from triptych.data.pagesets import METADATA, load_pageset, pageset_problems, save_pageset
from triptych.errors import ImageError, OutputError, PageError
from triptych.page import Layout, Page, Role, condition, slot

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
pictures = st.builds(
    lambda size, color: Image.new("RGB", size, color),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(*[st.integers(0, 255)] * 3),
)
conditions = st.builds(
    condition, pictures, texts, role=st.sampled_from([role for role in Role if role is not Role.SLOT])
)
slots = st.builds(slot, texts, answer=pictures)
pages = st.builds(
    Page,
    panels=st.tuples(st.lists(conditions, max_size=3), st.lists(slots, min_size=1, max_size=3)).map(
        lambda both: (*both[0], *both[1])
    ),
    overview=texts,
    layout=st.sampled_from(Layout),
    gutter_px=st.integers(0, 8),
    rule=st.none() | texts.filter(bool),
)


def picture(color: str, size: tuple[int, int] = (4, 3)) -> Image.Image:
    return Image.new("RGB", size, color)


def fox_pages() -> list[Page]:
    one = Page(
        panels=(condition(picture("red"), "<Leo>", role=Role.EDIT), slot("flat", answer=picture("blue", (8, 8)))),
        overview="a fox",
        page_id="fox-1",
        rule="restyle",
    )
    return [
        one,
        replace(one, panels=(*one.panels, slot("שלום 🦊", answer=picture("green"))), page_id="fox-2", rule=None),
    ]


def edited(folder: Path, **changes: Any) -> Path:
    """A page set of two pages, the second line changed; a value of None takes the key away."""
    save_pageset(fox_pages(), folder)
    path = folder / METADATA
    first, second = path.read_text().splitlines()
    row = {key: value for key, value in (json.loads(second) | changes).items() if value is not None}
    path.write_text(f"{first}\n{json.dumps(row)}\n")
    return folder


@given(pages=st.lists(pages, min_size=1, max_size=4))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_load_pageset_of_saved_pages_is_equal(tmp_path_factory: pytest.TempPathFactory, pages: list[Page]) -> None:
    pages = [replace(page, page_id=f"page-{number}") for number, page in enumerate(pages)]
    folder = tmp_path_factory.mktemp("set") / "pages"
    save_pageset(pages, folder)
    assert list(load_pageset(folder)) == pages


def test_save_pageset_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_pageset(fox_pages(), tmp_path / name)
    first, second = (
        {
            file.relative_to(tmp_path / name): file.read_bytes()
            for file in (tmp_path / name).rglob("*")
            if file.is_file()
        }
        for name in ("a", "b")
    )
    assert first == second and len(first) == 6


def test_load_dataset_imagefolder_reads_a_page_set_as_it_is(tmp_path: Path) -> None:
    save_pageset(fox_pages(), tmp_path / "pages")
    rows = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "pages"), cache_dir=str(tmp_path / "cache"))
    train = rows["train"]
    assert set(train.column_names) == {"page_id", "overview", "images", "roles", "instructions", "rule"}
    assert train["rule"][:] == ["restyle", ""]
    for row, page in zip(train, load_pageset(tmp_path / "pages"), strict=True):
        assert (row["page_id"], row["overview"], row["rule"] or None) == (page.page_id, page.overview, page.rule)
        assert row["roles"] == [panel.role.value for panel in page.panels]
        assert row["instructions"] == [panel.instruction for panel in page.panels]
        assert [image.convert("RGB").tobytes() for image in row["images"]] == [
            panel.picture.tobytes() for panel in page.panels
        ]


def test_pageset_reads_pictures_only_when_a_page_is_asked_for(tmp_path: Path) -> None:
    save_pageset(fox_pages(), tmp_path / "pages")
    pageset = load_pageset(tmp_path / "pages")
    (tmp_path / "pages/images/000002-1.png").write_text("no picture")
    assert pageset[0] == fox_pages()[0]
    with pytest.raises(ImageError, match=r"metadata\.jsonl, line 2, panel 1: .*000002-1\.png is not an image"):
        pageset[1]


def test_pageset_slice_is_a_pageset_of_those_pages(tmp_path: Path) -> None:
    save_pageset(fox_pages(), tmp_path / "pages")
    pageset = load_pageset(str(tmp_path / "pages"))
    assert pageset.page_ids == ("fox-1", "fox-2")
    assert list(pageset[1:]) == [pageset[-1]] == [fox_pages()[1]]
    with pytest.raises(IndexError):
        pageset[2]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"colour": "red"}, "key 'colour' is unknown; known are page_id, overview, images_file_names"),
        ({"roles": None}, "key 'roles': field required"),
        ({"page_id": 7}, "key 'page_id'.*got 7"),
        ({"overview": "x" * 30_000}, "key 'overview' has 30000 characters"),
        ({"roles": ["edit", "hero", "slot"]}, "panel 2, key 'roles'.*got 'hero'"),
        ({"instructions": ["", "", 3]}, "panel 3, key 'instructions'.*got 3"),
        ({"instructions": [""]}, "3 images_file_names, 3 roles, 1 instructions"),
        ({"roles": ["edit", "edit", "edit"]}, "the page has 0 slots"),
        (
            {"images_file_names": ["images/000001-1.png"] * 2 + ["no.png"]},
            "panel 3, key 'images_file_names': there is no",
        ),
        ({"images_file_names": ["../x.png"] * 3}, "panel 1, key 'images_file_names': '../x.png' leaves the folder"),
        (
            {"images_file_names": ["/etc/passwd"] * 3},
            "panel 1, key 'images_file_names': '/etc/passwd' is not a relative",
        ),
        ({"page_id": "fox-1"}, "page_id 'fox-1' is that of line 1"),
    ],
)
def test_load_pageset_with_a_bad_line_names_file_line_and_key(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PageError, match=r"metadata\.jsonl, line 2: ".replace(": ", "[:,] ") + reason):
        load_pageset(edited(tmp_path / "pages", **changes))


@pytest.mark.parametrize("row", ["{", "[]", "7", '{"page_id": "a", "page_id": "b"}', "\xff", "[" * 100_000])
def test_load_pageset_with_a_line_that_is_no_object_names_the_line(tmp_path: Path, row: str) -> None:
    folder = edited(tmp_path / "pages")
    with (folder / METADATA).open("ab") as file:
        file.write(b"\n" + row.encode("latin-1") + b"\n")
    with pytest.raises(PageError, match=r"metadata\.jsonl.* line 4"):
        load_pageset(folder)


def test_load_pageset_written_by_another_program_is_read_as_it_means(tmp_path: Path) -> None:
    folder = edited(tmp_path / "pages", overview="a\u2028b\u0085c")
    text = (
        (folder / METADATA).read_bytes().replace(rb"\u2028", "\u2028".encode()).replace(rb"\u0085", "\u0085".encode())
    )
    (folder / METADATA).write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert load_pageset(folder)[1].overview == "a\u2028b\u0085c"
    assert pageset_problems(folder)[1] == ()


def test_load_pageset_of_a_folder_without_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"has no metadata\.jsonl"):
        load_pageset(tmp_path)
    (tmp_path / METADATA).write_text("\n")
    with pytest.raises(PageError, match="has no pages"):
        load_pageset(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda page: page.without_answers(), r"page 2 \('fox-2'\), panel 2 is a slot without an answer"),
        (lambda page: page.with_context(page), "page 2 .* has example pages"),
        (lambda page: replace(page, panels=(slot(answer=picture("red"), size_px=(9, 9)),)), r"asks for \(9, 9\) px"),
        (lambda page: replace(page, overview="x" * 30_000), "key 'overview' has 30000 characters"),
    ],
)
def test_save_pageset_of_a_page_it_cannot_hold_leaves_nothing(tmp_path: Path, change: Any, reason: str) -> None:
    first, second = fox_pages()
    with pytest.raises(PageError, match=reason):
        save_pageset([first, change(second)], tmp_path / "pages")
    assert list(tmp_path.iterdir()) == []


def test_save_pageset_where_it_cannot_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "file", tmp_path / "file" / "pages"):
        with pytest.raises(OutputError):
            save_pageset(fox_pages(), folder)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_save_pageset_with_an_id_that_stands_twice_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8))
    page = Page(panels=(condition(picture), slot("x", answer=picture)), page_id="001")
    with pytest.raises(PageError, match="page_id '001' is that of"):
        save_pageset([page, page], tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_pageset_keeps_what_is_transparent_of_answers_and_lays_conditions_on_white(tmp_path):
    layer = Image.new("RGBA", (4, 3), (255, 0, 0, 90))
    page = Page(panels=(condition(picture("red")), slot(answer=layer)), page_id="layers")
    save_pageset([page], tmp_path / "set")
    layer.save(tmp_path / "set" / "images" / "000001-1.png")
    (read,) = load_pageset(tmp_path / "set")
    given, answer = (panel.picture for panel in read.panels)
    assert given is not None and given.mode == "RGB"
    assert answer is not None and (answer.mode, answer.tobytes()) == ("RGBA", layer.tobytes())
