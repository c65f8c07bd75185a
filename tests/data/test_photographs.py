"""Photographs and clip art: cut and rendered from packages made here, and read back as arrays."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triptych.data.arrays import RowWriter
from triptych.data.clipart import render_clip_art
from triptych.data.debian import DEBIAN_PACKAGES
from triptych.data.photographs import PHOTO_SHAPES, cut_photographs

_FREE = "Format: https://www.debian.org/\n\nFiles: *\nCopyright: 2020, A. Person\nLicense: CC-BY-SA-4.0\n"
_DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100"><metadata><dc:title>{title}</dc:title>'
    '<license rdf:resource="{licence}"/></metadata>'
    '<rect x="{x}" y="20" width="{width}" height="60" fill="{fill}"/></svg>'
)


def _noise(size: tuple[int, int], seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def _drawing(path: Path, *, title: str, fill: str = "red", x: int = 20, width: int = 160, licence: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = _DRAWING.format(title=title, fill=fill, x=x, width=width, licence=licence)
    path.write_text(drawn.replace("<svg ", '<svg xmlns:dc="dc" xmlns:rdf="rdf" '))


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Every package with its copyright file, one wallpaper at two sizes, and some drawings."""
    folder = tmp_path / "packages"
    for package in DEBIAN_PACKAGES:
        notice = folder / package.name / "usr/share/doc" / package.name / "copyright"
        notice.parent.mkdir(parents=True, exist_ok=True)
        notice.write_text("Public Domain Dedication" if package.name == "openclipart-svg" else _FREE)
    images = folder / "plasma-workspace-wallpapers/usr/share/wallpapers/Lake/contents/images"
    images.mkdir(parents=True)
    _noise((900, 600), 0).save(images / "900x600.png")
    _noise((300, 250), 0).save(images / "300x250.png")
    svg = folder / "openclipart-svg/usr/share/openclipart/svg"
    free = "http://web.resource.org/cc/PublicDomain"
    _drawing(svg / "animals/red_cat_01.svg", title="A Red Cat!", licence=free)
    _drawing(svg / "animals/red_cat_copy.svg", title="A Red Cat again", licence=free)
    _drawing(svg / "animals/blue_cat_02.svg", title="A Blue Cat", fill="blue")
    _drawing(svg / "tools/stick.svg", title="thin", width=3)
    _drawing(
        svg / "tools/other.svg", title="other", fill="green", licence="http://creativecommons.org/licenses/GPL/2.0/"
    )
    (svg / "tools/broken.svg").write_text("<svg")
    return folder


def test_cut_photographs_takes_each_picture_once_at_its_largest(packages: Path, tmp_path: Path) -> None:
    counts = cut_photographs(packages, tmp_path / "out")
    rows = json.loads((tmp_path / "out/photos.json").read_text())
    assert counts["photos"] == len(rows) >= 4
    assert {(row["picture"], row["licence"]) for row in rows} == {("lake", "CC-BY-SA-4.0")}
    assert any(row["box"][2] > 300 for row in rows)
    for kind, (width, height) in PHOTO_SHAPES.items():
        array = np.load(tmp_path / f"out/{kind}.npy", mmap_mode="r")
        assert array.shape == (counts[kind], height, width, 3)
        assert array.dtype == np.uint8


def test_cut_photographs_cuts_what_the_box_says(packages: Path, tmp_path: Path) -> None:
    cut_photographs(packages, tmp_path / "out")
    row = json.loads((tmp_path / "out/photos-wide.json").read_text())[0]
    cut = np.load(tmp_path / "out/photos-wide.npy", mmap_mode="r")[0]
    again = _noise((900, 600), 0).resize((384, 256), Image.Resampling.LANCZOS, box=tuple(row["box"]))
    assert np.array_equal(cut, np.asarray(again))


def test_render_clip_art_leaves_out_thin_broken_unfree_and_twice_drawn_ones(packages: Path, tmp_path: Path) -> None:
    assert render_clip_art(packages, tmp_path / "out") == 2
    rows = json.loads((tmp_path / "out/clipart.json").read_text())
    assert [(row["name"], row["title"], row["group"]) for row in rows] == [
        ("animals/blue_cat_02", "a blue cat", "blue-cat"),
        ("animals/red_cat_01", "a red cat", "red-cat"),
    ]
    array = np.load(tmp_path / "out/clipart.npy", mmap_mode="r")
    assert array.shape == (2, 256, 256, 4)
    assert tuple(array[1, 128, 128]) == (255, 0, 0, 255)
    assert array[1, 10, 128, 3] == 0
    assert array[1, :, :, 3].mean() / 255 == pytest.approx(60 / 160, abs=0.01)


def test_pictures_made_before_are_kept(packages: Path, tmp_path: Path) -> None:
    counts = cut_photographs(packages, tmp_path / "out")
    render_clip_art(packages, tmp_path / "out")
    assert cut_photographs(tmp_path / "nowhere", tmp_path / "out") == counts
    assert render_clip_art(tmp_path / "nowhere", tmp_path / "out") == 2


def test_row_writer_leaves_nothing_behind_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RowWriter(tmp_path / "rows.npy", (2, 2)) as writer:
        writer.append(np.zeros((2, 2), dtype=np.uint8))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
