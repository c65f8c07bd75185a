"""Errors name what the user wrote, count as people count, and say what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from triptych.data.pagesets import save_pageset
from triptych.page import Page, condition, slot


def _page_file(folder: Path, image: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "page.yaml"
    path.write_text(f"panels:\n  - {{image: {image}}}\n  - {{instruction: b}}\n")
    return path


def test_generate_with_a_weighed_skill_that_is_missing_names_the_file_alone(triptych, tmp_path):
    result = triptych("generate", "--slot", "a", "--skill", "x.safetensors@.5", "--out", tmp_path / "out")

    assert result.exit_code == 2
    assert "there is no skill x.safetensors." in result.stderr and "@" not in result.stderr


def test_generate_from_a_page_in_this_folder_names_the_folder(triptych, tmp_path, monkeypatch):
    _page_file(tmp_path / "here", "../fox.png")
    monkeypatch.chdir(tmp_path / "here")

    result = triptych("generate", "page.yaml", "--out", "out")

    assert result.exit_code == 2
    assert f"leaves the folder {tmp_path / 'here'}. Put the image into it." in result.stderr


def test_generate_from_a_linked_folder_of_images_says_that_it_is_a_link(triptych, fox, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    fox.rename(tmp_path / "elsewhere" / "fox.png")
    page = _page_file(tmp_path / "pages", "images/fox.png")
    (tmp_path / "pages" / "images").symlink_to(tmp_path / "elsewhere")

    result = triptych("generate", page, "--out", tmp_path / "out")

    assert result.exit_code == 2
    assert f"'images' is a link to {tmp_path / 'elsewhere'}" in result.stderr


def test_a_page_set_whose_panel_is_missing_counts_from_one(triptych, tmp_path):
    pages = [Page(panels=(condition(Image.new("RGB", (16, 16))), slot(answer=Image.new("RGB", (16, 16)))), page_id="p")]
    save_pageset(pages, tmp_path / "set")
    min((tmp_path / "set" / "images").iterdir()).unlink()

    result = triptych("pages", "check", tmp_path / "set")

    assert result.exit_code == 2
    assert "panel 1" in result.stderr and "panel 0" not in result.stderr and "place 0" not in result.stderr


@pytest.mark.parametrize("command", ["check", "train"])
def test_commands_on_a_panel_one_pixel_wide_end_without_a_traceback(triptych, tmp_path, command):
    thin = Image.new("RGB", (1, 50))
    pages = [Page(panels=(condition(thin), slot(answer=thin)), page_id=f"p{number}") for number in range(2)]
    save_pageset(pages, tmp_path / "set")
    more = {"check": (), "train": ("--out", tmp_path / "skill.safetensors", "--steps", 1, "--dry-run")}[command]

    result = triptych(*({"check": ("pages", "check"), "train": ("train",)}[command]), tmp_path / "set", *more)

    assert result.exit_code in (0, 1, 2) and isinstance(result.exception, SystemExit | None)
    assert result.output


def test_output_in_ascii_spells_out_what_the_terminal_lacks(tmp_path, pocket_file):
    command = ("generate", "--slot", "a", "--steps", "1", "--backbone", str(pocket_file), "--out", "\u00e9")
    done = subprocess.run(
        [sys.executable, "-m", "triptych.cli.main", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.strip() == "\\xe9/page-seed0-1.png"
    assert (tmp_path / "\u00e9" / "page-seed0-1.png").is_file()


def test_evaluate_into_a_folder_with_other_files_leaves_it_alone(triptych, pocket_file, tmp_path):
    (tmp_path / "report.html").write_text("somebody's work")

    result = triptych("evaluate", "pocket", "--count", 1, "--backbone", pocket_file, "--out", tmp_path)

    assert result.exit_code == 2
    assert "holds other files" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
