from pathlib import Path

import pytest
from PIL import Image

from triptych.data.folders import SUFFIXES, find_pictures, in_order
from triptych.errors import SourceError
from triptych.images import load_image


def test_find_pictures_of_every_format_in_any_case(tmp_path: Path) -> None:
    names = {f"{number}{suffix.upper() if number % 2 else suffix}" for number, suffix in enumerate(sorted(SUFFIXES))}
    for name in names:
        (tmp_path / name).touch()
    assert {path.name for path in find_pictures(tmp_path)} == names


def test_suffixes_hold_what_pillow_calls_the_formats_that_are_read() -> None:
    Image.init()
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in ("JPEG", "PNG", "WEBP", "GIF")}
    assert known | {".bmp", ".dib", ".tif", ".tiff"} == SUFFIXES


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_pictures_of_every_suffix_are_read(tmp_path: Path, suffix: str) -> None:
    Image.init()
    Image.new("RGB", (8, 8), "teal").save(tmp_path / f"a{suffix}", format=Image.registered_extensions()[suffix])
    assert load_image(find_pictures(tmp_path)[0]).size == (8, 8)


def test_find_pictures_comes_in_the_order_of_numbers(tmp_path: Path) -> None:
    for name in ("10.png", "1.png", "2.PNG", "a2.png", "A10.png", "02.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in find_pictures(tmp_path)] == [
        "1.png",
        "02.jpg",
        "2.PNG",
        "10.png",
        "a2.png",
        "A10.png",
    ]


def test_find_pictures_names_what_it_passes_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.png", "a.txt", "._a.png", "Thumbs.db", ".DS_Store", "b.heic"):
        (tmp_path / name).touch()
    (tmp_path / "more").mkdir()
    assert [path.name for path in find_pictures(tmp_path)] == ["a.png"]
    (record,) = caplog.records
    for name in ("._a.png", "Thumbs.db", ".DS_Store", "b.heic", "more"):
        assert name in record.getMessage()
    assert "a.txt" not in record.getMessage()


def test_find_pictures_below_leaves_hidden_folders_alone(tmp_path: Path) -> None:
    for name in ("x/y/a.png", ".git/b.png", "__MACOSX/c.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert [path.name for path in find_pictures(tmp_path, below=True)] == ["a.png"]


def test_find_pictures_of_no_folder_or_an_empty_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a folder"):
        find_pictures(tmp_path / "none")
    with pytest.raises(SourceError, match="no pictures in"):
        find_pictures(tmp_path)


def test_in_order_tells_every_two_paths_apart() -> None:
    assert in_order(Path("1.png")) != in_order(Path("01.png"))
