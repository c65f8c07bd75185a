import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from triptych.errors import ImageError, OutputError, PageError
from triptych.images import read_png_text, save_png
from triptych.page import Layout, NamedBox, Page, Panel, Role, condition, slot
from triptych.pagefile import load_page, page_from_record, page_record, save_page
from triptych.pageschema import MAX_TEXT_CHARS, page_schema

DOCS = Path(__file__).parents[1] / "docs"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
pictures = st.builds(
    lambda size, color: Image.new("RGB", size, color),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(*[st.integers(0, 255)] * 3),
)
conditions = st.builds(
    condition, pictures, texts, role=st.sampled_from([role for role in Role if role is not Role.SLOT])
)
sizes = st.none() | st.tuples(st.integers(1, 2000), st.integers(1, 2000))
open_slots = st.builds(slot, texts, answer=st.none() | pictures, size_px=sizes)
answered_slots = st.builds(slot, texts, answer=pictures, size_px=sizes)


def pages(slots: st.SearchStrategy[Panel], context: st.SearchStrategy[tuple[Page, ...]]) -> st.SearchStrategy[Page]:
    panels = st.tuples(st.lists(conditions, max_size=3), st.lists(slots, min_size=1, max_size=3)).flatmap(
        lambda both: st.permutations(both[0] + both[1])
    )
    return st.builds(
        Page,
        panels=panels.map(tuple),
        overview=texts,
        context=context,
        layout=st.sampled_from(Layout),
        gutter_px=st.integers(0, 64),
        template=st.sampled_from(["panels", "left-right", "film-storyboard"]),
        page_id=texts,
        rule=st.none() | texts,
    )


boxes = st.lists(
    st.builds(
        NamedBox,
        name=st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}", fullmatch=True),
        corners=st.tuples(st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0.5, 1), st.floats(0.5, 1)),
        words=texts,
    ),
    max_size=3,
    unique_by=lambda box: box.name,
).map(tuple)
boxed_page = st.builds(
    lambda slots, given, wanted: Page(panels=(replace(slots[0], boxes=given), replace(slots[1], boxes=wanted))),
    st.tuples(conditions, open_slots),
    boxes,
    boxes,
)
any_page = boxed_page | pages(open_slots, st.lists(pages(answered_slots, st.just(())), max_size=2).map(tuple))


def written(folder: Path, data: Any, name: str = "page.yaml") -> Path:
    Image.new("RGB", (6, 4), "red").save(folder / "fox.png")
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def page_with(**panel: Any) -> dict[str, Any]:
    """A page file whose second panel is `panel`."""
    return {"panels": [{"image": "fox.png"}, panel, {"role": "slot"}]}


@given(page=any_page, suffix=st.sampled_from([".yaml", ".yml", ".json"]))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_load_page_of_saved_page_is_equal(tmp_path_factory: pytest.TempPathFactory, page: Page, suffix: str) -> None:
    path = tmp_path_factory.mktemp("page") / f"fox{suffix}"
    save_page(page, path)
    assert load_page(path) == page


@given(page=any_page)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_page_from_png_text_is_equal(tmp_path_factory: pytest.TempPathFactory, page: Page) -> None:
    path = tmp_path_factory.mktemp("page") / "out.png"
    save_png(Image.new("RGB", (4, 4)), path, {"triptych": json.dumps(page_record(page))})
    assert page_from_record(json.loads(read_png_text(path)["triptych"])) == page


def test_load_page_of_a_page_record_file_is_equal(tmp_path: Path) -> None:
    page = Page(panels=(condition(Image.new("RGB", (5, 4), "red")), slot("flat")))
    assert load_page(written(tmp_path, page_record(page), "page.json")) == page


def test_load_page_in_yaml_reads_each_key(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        overview: a fox
        layout: row
        gutter_px: 8
        template: left-right
        page_id: fox-1
        rule: mirror
        panels:
          - {image: fox.png, instruction: <Leo> the fox}
          - {image: ./fox.png, role: edit}
          - {instruction: "בחוף 🦊", size_px: [32, 16]}
        context:
          - panels: [{role: slot, answer: fox.png}]
        """,
    )
    fox = Image.new("RGB", (6, 4), "red")
    assert load_page(path) == Page(
        overview="a fox",
        layout=Layout.ROW,
        gutter_px=8,
        template="left-right",
        page_id="fox-1",
        rule="mirror",
        panels=(condition(fox, "<Leo> the fox"), condition(fox, role=Role.EDIT), slot("בחוף 🦊", size_px=(32, 16))),
        context=(Page(panels=(slot(answer=fox),)),),
    )


@pytest.mark.parametrize(
    ("panel", "reason"),
    [
        ({"image": "fox.png", "colour": "red"}, r"panel 2, key 'colour' is unknown; known are role, image, answer"),
        ({"instruction": 5}, r"panel 2, key 'instruction': .*string, got 5"),
        ({"instruction": True}, r"panel 2, key 'instruction'.*got True"),
        ({"instruction": "x" * 30_000}, r"panel 2, key 'instruction' has 30000 characters; at most 20000"),
        ({"instruction": "\ud800"}, r"panel 2, key 'instruction'.*unicode"),
        ({"role": "hero", "image": "fox.png"}, r"panel 2, key 'role'.*'subject'.*got 'hero'"),
        ({"role": "slot", "image": "fox.png"}, r"panel 2, key 'image': a slot cannot have an image"),
        ({"role": "edit"}, r"panel 2, key 'image': a panel of role 'edit' needs one"),
        ({"image": "fox.png", "answer": "fox.png"}, r"panel 2, key 'answer': only a slot"),
        ({"image": "fox.png", "size_px": [4, 4]}, r"panel 2, key 'size_px': only a slot"),
        ({"size_px": [0, 4]}, r"panel 2, key 'size_px'.*got 0"),
        ({"size_px": [4]}, r"panel 2, key 'size_px'"),
        ({"size_px": ["4", 4]}, r"panel 2, key 'size_px'.*got '4'"),
        ({"image": "../fox.png"}, r"panel 2, key 'image': '\.\./fox\.png' leaves the folder"),
        ({"image": "/etc/passwd"}, r"panel 2, key 'image': '/etc/passwd' is not a relative path"),
        ({"image": "C:\\fox.png"}, r"panel 2, key 'image': .* is not a relative path"),
        ({"image": ""}, r"panel 2, key 'image': '' is not a relative path"),
        ({"image": "a\0b"}, r"panel 2, key 'image': .* is not a usable path"),
        ({"image": "data:text/html,x"}, r"panel 2, key 'image': .* is not an image in base64"),
        ({"image": "data:image/png;base64,@@"}, r"panel 2, key 'image': the image is not valid base64"),
    ],
)
def test_load_page_with_a_bad_panel_names_file_panel_and_key(
    tmp_path: Path, panel: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PageError, match=r"page\.json: " + reason):
        load_page(written(tmp_path, page_with(**panel), "page.json"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"color": 1}, r"key 'color' is unknown; known are panels, overview"),
        ({"overview": None}, r"key 'overview'.*got None"),
        ({"overview": "x" * (MAX_TEXT_CHARS + 1)}, r"key 'overview' has 20001 characters"),
        ({"gutter_px": -1}, r"key 'gutter_px'.*got -1"),
        ({"gutter_px": "8"}, r"key 'gutter_px'.*got '8'"),
        ({"layout": "heap"}, r"key 'layout'.*'row'.*got 'heap'"),
        ({"template": "comic"}, r"key 'template': no template 'comic'; there are"),
        ({"panels": []}, r"key 'panels'"),
        ({"panels": {}}, r"key 'panels'"),
        ({"panels": ["fox.png"]}, r"panel 1: .*got 'fox\.png'"),
        ({"panels": [{"image": "fox.png"}]}, r"key 'panels': the page has 0 slots; it needs 1 to 8"),
        ({"panels": [{}] * 9}, r"key 'panels': the page has 9 slots"),
        ({"panels": [{"image": "fox.png"}] * 17 + [{}]}, r"key 'panels': the page has 17 conditions"),
        ({"context": [{"panels": [{}]}]}, r"key 'context': example page 1 has a slot without an answer"),
        ({"context": [{"panels": [{"instruction": 1}]}]}, r"example page 1, panel 1, key 'instruction'"),
        ({"context": [{"panels": [{}], "context": []}]}, r"example page 1, key 'context' is unknown"),
        ({"context": [{"panels": [{}], "template": "no"}]}, r"example page 1, key 'template'"),
    ],
)
def test_load_page_with_a_bad_key_names_it(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(PageError, match=r"page\.json: " + reason):
        load_page(written(tmp_path, page_with() | changes, "page.json"))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("page.yaml", "panels: [", "not valid YAML.*line 1"),
        ("page.yaml", "panels: [{}]\npanels: [{}]", "duplicate key 'panels'.*line 2"),
        ("page.json", '{"panels": [{}], "panels": [{}]}', "duplicate key 'panels'"),
        ("page.json", "{", "not valid JSON"),
        ("page.json", "[" * 100_000, "not valid JSON"),
        ("page.yaml", "[" * 3000, "not valid YAML"),
        ("page.yaml", "overview: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("page.yaml", "overview: 2024-99-99", "not valid YAML"),
        ("page.yaml", "? [a]\n: b", "not valid YAML"),
        ("page.yaml", "", "has no keys"),
        ("page.yaml", "- a", "has no keys"),
        ("page.yaml", "1: a\npanels: [{}]", "string"),
        ("page.yaml", "panels: &a [*a]", "panel 1"),
        ("page.yaml", "# " + "x" * 2**20, "more than 1 MiB"),
        ("page.txt", "panels: [{}]", "ends in .yaml, .yml or .json, not '.txt'"),
    ],
)
def test_load_page_of_what_is_no_page_says_why(tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(PageError, match=reason):
        load_page(written(tmp_path, text, name))


def test_load_page_with_many_aliases_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
    ]
    with pytest.raises(PageError, match="panel 1: ") as caught:
        load_page(written(tmp_path, "\n".join([*lines, "panels: *k"])))
    assert len(str(caught.value)) < 2000


def test_load_page_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="does not exist"):
        load_page(tmp_path / "none.yaml")
    (tmp_path / "page.yaml").write_bytes(b"overview: \xff")
    with pytest.raises(PageError, match=r"not text in UTF-8 \(byte 10"):
        load_page(tmp_path / "page.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(PageError, match="is not a file"):
        load_page(tmp_path / "folder.yaml")


def test_load_page_with_a_symbolic_link_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (folder / "in").mkdir(parents=True)
    Image.new("RGB", (3, 3)).save(outside / "fox.png")
    (folder / "link.png").symlink_to(outside / "fox.png")
    (folder / "dir").symlink_to(outside)
    (folder / "loop.png").symlink_to("loop.png")
    for image in ("link.png", "dir/fox.png", "in/../../outside/fox.png"):
        with pytest.raises(PageError, match=r"panel 2, key 'image': .* leaves the folder"):
            load_page(written(folder, page_with(image=image)))
    with pytest.raises((PageError, ImageError), match="panel 2"):
        load_page(written(folder, page_with(image="loop.png")))


def test_load_page_with_a_link_or_dots_within_its_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link.png").symlink_to("fox.png")
    for image in ("link.png", "in/../fox.png"):
        assert len(load_page(written(tmp_path, page_with(image=image))).conditions) == 2


def test_load_page_with_an_unreadable_image_names_page_panel_and_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"page\.yaml: panel 2, key 'image': .*none\.png does not exist"):
        load_page(written(tmp_path, page_with(image="none.png")))
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(ImageError, match=r"page\.yaml: panel 2, key 'answer': .*text\.png is not an image"):
        load_page(written(tmp_path, page_with(answer="text.png")))
    with pytest.raises(ImageError, match=r"panel 2, key 'image': embedded image is not an image"):
        load_page(written(tmp_path, page_with(image="data:image/png;base64,aGVsbG8=")))


@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["panels", "role", "image", "overview", "context", "size_px"]), inner)
        ),
        max_leaves=12,
    )
)
@settings(deadline=None, max_examples=200)
def test_page_from_record_of_any_data_is_a_page_or_a_page_error(data: Any) -> None:
    try:
        page = page_from_record(data)
    except PageError:
        return
    assert page.slots


def test_page_from_record_never_reads_a_file() -> None:
    with pytest.raises(PageError, match=r"panel 1, key 'image': 'fox\.png' is a path"):
        page_from_record({"panels": [{"image": "fox.png"}, {}]})


def test_save_page_again_keeps_the_images_of_other_pages(tmp_path: Path) -> None:
    page = Page(panels=(condition(Image.new("RGB", (5, 4), "red")), slot()))
    other = replace(page, panels=(condition(Image.new("RGB", (5, 4), "blue")), slot()))
    save_page(page, tmp_path / "fox.yaml")
    save_page(other, tmp_path / "fox.json")
    assert (load_page(tmp_path / "fox.yaml"), load_page(tmp_path / "fox.json")) == (page, other)


def test_save_page_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    page = Page(panels=(condition(Image.new("RGB", (5, 4), "red"), "שלום 🦊"), slot()))
    for folder in ("a", "b"):
        save_page(page, tmp_path / folder / "fox.yaml")
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()} for folder in ("a", "b"))
    assert first == second and len(first) == 2
    assert "שלום 🦊" in first["fox.yaml"].decode()


def test_save_page_that_could_not_be_read_again_writes_nothing(tmp_path: Path) -> None:
    page = Page(panels=(condition(Image.new("RGB", (5, 4)), "x" * 30_000), slot()))
    with pytest.raises(PageError, match=r"panel 1, key 'instruction' has 30000 characters"):
        save_page(page, tmp_path / "fox.yaml")
    with pytest.raises(PageError, match="ends in"):
        save_page(replace(page, panels=(slot(),)), tmp_path / "fox.png")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        save_page(replace(page, panels=(slot(),)), tmp_path / "file" / "fox.yaml")


def test_page_schema_is_the_published_one() -> None:
    published = json.loads((DOCS / "page.schema.json").read_text())
    assert published == page_schema(), "docs/page.schema.json is old; write json.dumps(page_schema(), indent=2) to it"


def test_page_schema_describes_every_key() -> None:
    schema = page_schema()
    for part in (schema, *schema["$defs"].values()):
        for key, value in part.get("properties", {}).items():
            assert value.get("description"), key


@pytest.mark.parametrize(
    "value", ["no", "12", "null", "a: b", "- x", "#x", "'", '"', "\x85", "\u2028", "\ufeff", "\t", "\x00"]
)
def test_save_page_quotes_what_yaml_would_read_as_something_else(tmp_path: Path, value: str) -> None:
    page = Page(panels=(slot(value),), overview=value)
    save_page(page, tmp_path / "page.yaml")
    assert load_page(tmp_path / "page.yaml") == page
    assert yaml.safe_load((tmp_path / "page.yaml").read_text())["overview"] == value


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_load_page_with_a_linked_folder_says_that_it_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    Image.new("RGB", (3, 3)).save(tmp_path / "far" / "fox.png")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "images").symlink_to(tmp_path / "far")
    path = tmp_path / "near" / "page.json"
    path.write_text(json.dumps({"panels": [{"image": "images/fox.png"}, {}]}))
    with pytest.raises(PageError, match=r"'images/fox.png' leaves the folder .*near; 'images' is a link to .*far"):
        load_page(path)
