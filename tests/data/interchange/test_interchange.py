"""Every format: there and back again, and through the tool's own reader where it can be had."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import yaml
from PIL import Image

from triptych.data.datacard import DataCard
from triptych.data.interchange import FORMATS, find_format, parquet, read_back
from triptych.data.pagesets import load_pageset, save_pageset
from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource
from triptych.errors import ImageError, OutputError, PageError, SourceError
from triptych.page import Page

SOURCE = ShapeSource()


def _pages(rule: str, count: int = 3) -> list[Page]:
    task = RULES[rule].draw(Random(1), SOURCE)
    return [replace(task.page(Random(seed), 32), page_id=f"{rule}/{seed}") for seed in range(count)]


def _same(first: Image.Image | None, second: Image.Image | None) -> bool:
    assert first is not None
    assert second is not None
    return first.size == second.size and first.tobytes() == second.tobytes()


@pytest.mark.parametrize("name", FORMATS)
def test_format_one_condition_pages_come_back_to_the_pixel(name: str, tmp_path: Path) -> None:
    pages = _pages("tint")
    find_format(name).write(iter(pages), tmp_path / "set")
    back = find_format(name).read(tmp_path / "set")
    assert len(back) == len(pages)
    for page, other in zip(pages, back, strict=True):
        assert _same(page.conditions[0].image, other.conditions[0].image)
        assert _same(page.slots[0].answer, other.slots[0].answer)
        assert page.slots[0].instruction == other.slots[0].instruction


@pytest.mark.parametrize("name", FORMATS)
def test_format_folder_named_from_the_working_directory_comes_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pages = _pages("tint", 2)
    find_format(name).write(pages, Path("out"))
    read_back(find_format(name), pages, Path("out"))
    assert len(find_format(name).read(Path("out"))) == 2


@pytest.mark.parametrize("name", ["musubi", "omnigen2", "diffsynth", "diffsynth-kontext", "ai-toolkit", "easycontrol"])
def test_format_three_conditions_keep_their_order(name: str, tmp_path: Path) -> None:
    pages = _pages("next-frame")
    find_format(name).write(pages, tmp_path / "set")
    for page, other in zip(pages, find_format(name).read(tmp_path / "set"), strict=True):
        assert len(other.conditions) == 3
        assert all(_same(a.image, b.image) for a, b in zip(page.conditions, other.conditions, strict=True))


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.keeps_pages])
def test_format_that_keeps_pages_returns_equal_values(name: str, tmp_path: Path) -> None:
    pages = [*_pages("per-panel", 2), *_pages("subject-into-scene", 2)]
    find_format(name).write(pages, tmp_path / "set")
    for page, other in zip(pages, find_format(name).read(tmp_path / "set"), strict=True):
        assert (page.overview, page.page_id, page.rule) == (other.overview, other.page_id, other.rule)
        assert [(p.role, p.instruction) for p in page.panels] == [(p.role, p.instruction) for p in other.panels]
        assert all(_same(a.picture, b.picture) for a, b in zip(page.panels, other.panels, strict=True))


@pytest.mark.parametrize(
    "name", [name for name, entry in FORMATS.items() if not entry.keeps_pages and name != "musubi-layers"]
)
def test_format_of_rows_several_slots_become_several_pages(name: str, tmp_path: Path) -> None:
    (page,) = _pages("per-panel", 1)
    find_format(name).write([page], tmp_path / "set")
    back = find_format(name).read(tmp_path / "set")
    assert len(back) == len(page.slots)
    for slot, other in zip(page.slots, back, strict=True):
        assert _same(slot.answer, other.slots[0].answer)
        assert other.slots[0].instruction == f"{page.overview} {slot.instruction}"


@pytest.mark.parametrize("name", FORMATS)
def test_write_folder_with_files_is_refused_and_kept(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"):
        find_format(name).write(_pages("tint", 1), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", FORMATS)
def test_write_unanswered_page_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    pages = [*_pages("tint", 1), _pages("tint", 1)[0].without_answers()]
    with pytest.raises(PageError):
        find_format(name).write(pages, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_write_two_conditions_where_one_fits_raises(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="2 conditions"):
        find_format("diffusers").write(_pages("recolour-as", 1), tmp_path / "set")


def test_musubi_conditions_are_read_by_number_and_not_by_text(tmp_path: Path) -> None:
    pages = _pages("next-frame", 1)
    find_format("musubi").write(pages, tmp_path / "set")
    lines = tmp_path / "set" / "dataset.jsonl"
    record = json.loads(lines.read_text())
    for old, new in ((2, 10), (1, 9)):
        record[f"control_path_{new}"] = record.pop(f"control_path_{old}")
    lines.write_text(json.dumps(record))
    (back,) = find_format("musubi").read(tmp_path / "set")
    assert all(_same(a.image, b.image) for a, b in zip(pages[0].conditions, back.conditions, strict=True))
    lines.write_text(json.dumps(record | {"control_path_x": "images/a.png"}))
    with pytest.raises(PageError, match="not numbers"):
        find_format("musubi").read(tmp_path / "set")


@pytest.mark.parametrize("name", ["musubi", "omnigen2", "easycontrol", "diffsynth", "diffusers"])
def test_read_line_that_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    find_format(name).write(_pages("tint", 1), tmp_path / "set")
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    (lines,) = (tmp_path / "set").glob("*.jsonl")
    record = json.loads(lines.read_text())
    key = next(key for key in ("image_path", "output_image", "target", "image", "image_file_name") if key in record)
    record[key] = "../secret.png"
    lines.write_text(json.dumps(record))
    with pytest.raises(PageError, match="leaves the folder"):
        find_format(name).read(tmp_path / "set")


@pytest.mark.parametrize("name", ["musubi", "omnigen2", "easycontrol", "diffsynth", "diffusers"])
@pytest.mark.parametrize(
    ("text", "message"), [("{", "not valid JSON"), ("[]", "needs the texts"), ('{"a": 1}', "needs the texts")]
)
def test_read_bad_line_names_file_and_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    find_format(name).write(_pages("tint", 1), tmp_path / "set")
    (lines,) = (tmp_path / "set").glob("*.jsonl")
    lines.write_text(lines.read_text() + text)
    with pytest.raises(PageError, match=f"line 2.*{message}"):
        find_format(name).read(tmp_path / "set")


def test_read_missing_picture_names_it(tmp_path: Path) -> None:
    find_format("musubi").write(_pages("tint", 1), tmp_path / "set")
    next((tmp_path / "set/images").iterdir()).unlink()
    with pytest.raises(ImageError, match="does not exist"):
        find_format("musubi").read(tmp_path / "set")


def test_diffusers_folder_is_what_datasets_reads(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pages = _pages("tint")
    find_format("diffusers").write(pages, tmp_path / "set")
    table = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    rows = list(table["train"])
    assert set(rows[0]) == {"image", "cond_image", "text"}
    for page, row in zip(pages, rows, strict=True):
        assert _same(page.slots[0].answer, row["image"].convert("RGB"))
        assert _same(page.conditions[0].image, row["cond_image"].convert("RGB"))


def test_parquet_is_what_datasets_reads(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pages = _pages("per-panel")
    parquet.write(pages, tmp_path / "set", card=DataCard(license="mit", seed=3, sources={"shapes": "Apache-2.0"}))
    table = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))["train"]
    for page, row in zip(pages, table, strict=True):
        assert row["instructions"] == [panel.instruction for panel in page.panels]
        shown = [np.asarray(image.convert("RGB")) for image in row["images"]]
        assert all((a == np.asarray(b.picture)).all() for a, b in zip(shown, page.panels, strict=True))
    card = (tmp_path / "set/README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["license"] == "mit"
    assert "- seed: 3\n- source: shapes, licence Apache-2.0" in card


def test_omnigen2_lines_are_what_its_loader_reads(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pages = _pages("next-frame")
    find_format("omnigen2").write(pages, tmp_path / "set")
    mix = yaml.safe_load((tmp_path / "set/mix.yml").read_text())
    path = mix["data"][0]["path"]
    rows = datasets.load_dataset("json", data_files=path, cache_dir=str(tmp_path / "cache"))["train"]
    for page, row in zip(pages, rows, strict=True):
        assert row["task_type"] == "edit"
        assert _same(page.slots[0].answer, Image.open(row["output_image"]))
        assert _same(page.conditions[2].image, Image.open(row["input_images"][2]))


def test_diffsynth_either_key_is_read(tmp_path: Path) -> None:
    find_format("diffsynth-kontext").write(_pages("tint", 1), tmp_path / "set")
    assert "kontext_images" in (tmp_path / "set/metadata.jsonl").read_text()
    assert len(find_format("diffsynth").read(tmp_path / "set")[0].conditions) == 1


def test_ai_toolkit_entry_names_folders_that_are_there(tmp_path: Path) -> None:
    find_format("ai-toolkit").write(_pages("recolour-as"), tmp_path / "set")
    (entry,) = yaml.safe_load((tmp_path / "set/dataset.yaml").read_text())
    names = [sorted(p.stem for p in Path(f).glob("*.png")) for f in (entry["folder_path"], *entry["control_path"])]
    assert len(names) == 3
    assert names[0] == names[1] == names[2]


@pytest.mark.parametrize("name", ["ai-toolkit", "easycontrol"])
def test_write_pages_of_different_counts_raise_where_all_must_be_alike(name: str, tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"\[1, 2\] conditions"):
        find_format(name).write([*_pages("tint", 1), *_pages("recolour-as", 1)], tmp_path / "set")


def test_find_format_unknown_lists_all() -> None:
    with pytest.raises(PageError, match="choose one of ic-lora"):
        find_format("nope")


def test_diffsynth_lines_of_equal_names_in_two_folders_get_ids_of_their_own(tmp_path: Path) -> None:
    lines = []
    for folder in ("set0", "set1"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8), "red").save(tmp_path / folder / "001.png")
        name = f"{folder}/001.png"
        lines.append(json.dumps({"image": name, "prompt": "a\u2028b\x85", "edit_image": name}, ensure_ascii=False))
    (tmp_path / "metadata.jsonl").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    pages = find_format("diffsynth").read(tmp_path)
    save_pageset(pages, tmp_path / "pages")
    assert load_pageset(tmp_path / "pages").page_ids == ("set0-001", "set1-001")
    assert load_pageset(tmp_path / "pages")[0].slots[0].instruction == "a\u2028b\x85"


@pytest.mark.parametrize("name", ["musubi", "omnigen2", "diffsynth", "easycontrol"])
def test_texts_with_line_separators_come_back(name: str, tmp_path: Path) -> None:
    (page,) = _pages("tint", 1)
    text = "one\u2028two\x85three"
    page = replace(page, panels=(page.panels[0], replace(page.panels[1], instruction=text)))
    find_format(name).write([page], tmp_path / "set")
    assert find_format(name).read(tmp_path / "set")[0].slots[0].instruction == text


def test_sets_that_were_moved_are_found_below_their_folder(tmp_path: Path) -> None:
    find_format("musubi").write(_pages("tint", 2), tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / "elsewhere")
    assert len(list(find_format("musubi").read(tmp_path / "elsewhere"))) == 2


def test_ai_toolkit_targets_of_any_format_and_controls_by_their_stems(tmp_path: Path) -> None:
    for name in ("mine/a.JPG", "mine/b.png", "control/a.png", "control/b.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), "red").save(tmp_path / name)
    (tmp_path / "mine" / "a.txt").write_text("at night")
    entry = "folder_path: /data/mine\ncontrol_path: /data/control\ncaption_ext: txt\n"
    (tmp_path / "dataset.yaml").write_text(entry)
    pages = find_format("ai-toolkit").read(tmp_path)
    assert [(page.page_id, page.slots[0].instruction, len(page.conditions)) for page in pages] == [
        ("a", "at night", 1),
        ("b", "", 1),
    ]
    (tmp_path / "control" / "b.webp").unlink()
    with pytest.raises(SourceError, match="has no picture for b"):
        find_format("ai-toolkit").read(tmp_path)


def test_kohya_folders_with_repeats_are_read_with_their_class_where_no_text_is(tmp_path: Path) -> None:
    for name in ("10_sks cat/1.png", "10_sks cat/2.jpeg", "1_dog/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), "red").save(tmp_path / name)
    (tmp_path / "10_sks cat" / "2.caption").write_text("a cat on a mat")
    pages = find_format("kohya").read(tmp_path)
    assert [(page.page_id, page.slots[0].instruction) for page in pages] == [
        ("1_dog-1", "dog"),
        ("10_sks cat-1", "sks cat"),
        ("2", "a cat on a mat"),
    ]


def test_ai_toolkit_controls_lie_in_any_folder_named_so(tmp_path: Path) -> None:
    for folder in ("targets", "control"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (32, 32), "teal").save(tmp_path / folder / "a.png")
    (page,) = find_format("ai-toolkit").read(tmp_path)
    assert len(page.conditions) == 1


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "parquet"])
def test_read_names_pictures_that_it_leaves_out(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    find_format(name).write(_pages("tint", 2), tmp_path / "set")
    caplog.clear()
    assert len(find_format(name).read(tmp_path / "set")) == 2
    assert not caplog.records
    # Beside conditions, where there are any: beside the answers another picture would be another page.
    beside = min((path for path in (tmp_path / "set").rglob("*.png")), key=lambda path: "ontrol" not in str(path))
    Image.new("RGB", (32, 32), "teal").save(beside.with_name("forgotten.JPG"), format="JPEG")
    assert len(find_format(name).read(tmp_path / "set")) == 2
    assert "forgotten.JPG" in caplog.text


def test_musubi_layers_keep_one_condition_and_all_slots(tmp_path: Path) -> None:
    pages = _pages("per-panel", 2)
    find_format("musubi-layers").write(pages, tmp_path / "set")
    assert "multiple_target = true" in (tmp_path / "set" / "dataset.toml").read_text()
    for source in ("set", "set/images"):
        for page, other in zip(pages, find_format("musubi-layers").read(tmp_path / source), strict=True):
            assert _same(page.conditions[0].image, other.conditions[0].image)
            assert all(_same(a.answer, b.answer) for a, b in zip(page.slots, other.slots, strict=True))
            assert page.overview in other.overview


def test_ic_lora_without_a_text_is_refused_naming_it(tmp_path: Path) -> None:
    find_format("ic-lora").write(_pages("tint", 1), tmp_path / "set")
    next((tmp_path / "set").glob("*.txt")).unlink()
    with pytest.raises(PageError, match=r"\.txt does not exist"):
        find_format("ic-lora").read(tmp_path / "set")


@pytest.mark.parametrize(
    "data, said",
    [(b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"), (b"PAR1", "not a whole")],
)
def test_parquet_that_is_none_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.parquet").write_bytes(data)
    with pytest.raises(PageError, match=said):
        find_format("parquet").read(tmp_path)


def test_read_back_of_what_was_damaged_is_refused_and_removed(tmp_path: Path) -> None:
    pages = _pages("tint", 2)
    entry = find_format("diffsynth")
    entry.write(pages, tmp_path / "set")
    read_back(entry, pages, tmp_path / "set")
    with pytest.raises(OutputError, match="cannot be read back, and was removed"):
        read_back(entry, pages[:1], tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("name", ["kohya", "musubi", "musubi-layers"])
def test_toml_of_a_folder_with_quotes_in_its_name_is_toml(name: str, tmp_path: Path) -> None:
    home = tmp_path / 'my "best" \\ pictures'
    find_format(name).write(_pages("mirror", 1), home)
    (entry,) = tomllib.loads((home / "dataset.toml").read_text())["datasets"]
    named = entry["image_jsonl_file"] if name != "kohya" else entry["subsets"][0]["image_dir"]
    assert Path(named).exists() and Path(named).parent == home
    assert len(find_format(name).read(home)) == 1


def test_kohya_folders_may_hold_links_to_pictures_and_folders_elsewhere(tmp_path: Path) -> None:
    store, home = tmp_path / "store", tmp_path / "home"
    (home / "10_fox").mkdir(parents=True)
    store.mkdir()
    Image.new("RGB", (16, 16), "red").save(store / "a.png")
    (home / "10_fox" / "one.png").symlink_to(store / "a.png")
    (home / "5_all").symlink_to(store, target_is_directory=True)
    pages = find_format("kohya").read(home)
    assert [page.page_id for page in pages] == ["a", "one"]
    assert [page.slots[0].instruction for page in pages] == ["all", "fox"]
