"""The pages of docs/backbones: their figures follow from the code, and their commands work as far as they can here."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from triptych.cli.main import app
from triptych.data.pagesets import save_pageset
from triptych.page import Page, condition, slot
from triptych.pagefile import save_page

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "backbones"


def _commands() -> list[str]:
    """Every command of the pages, with the lines it goes on in."""
    found = []
    for page in sorted(FOLDER.glob("*.md")):
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            found += re.sub(r"\\\n\s*", "", block).splitlines()
    return sorted({line for line in found if line.startswith("triptych ")})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page and a page set under the names that the commands use."""
    made = tmp_path_factory.mktemp("docs")
    colours = [Image.new("RGB", (512, 512), colour) for colour in ("orange", "navy", "olive")]
    save_page(Page(panels=(condition(colours[0], "a fox"), slot("the same fox, at night"))), made / "page.yaml")
    pages = [
        Page(
            panels=(condition(one, "a plate"), slot("the plate, a shade darker", answer=one.point(lambda v: v // 2))),
            page_id=str(number),
        )
        for number, one in enumerate(colours * 4)
    ]
    save_pageset(pages, made / "pages")
    return made


def test_pages_name_commands_of_every_family():
    text = " ".join(_commands())
    assert all(name in text for name in ("FLUX.1-dev", "Fill", "Kontext", "klein", "Qwen", "stable-diffusion-3.5"))


@pytest.mark.parametrize("command", [line for line in _commands() if "--skill" not in line])
def test_command_of_a_page_plans_what_it_would_do_and_fetches_nothing(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = CliRunner().invoke(app, [*shlex.split(command)[1:], "--dry-run"])
    assert result.exit_code == 0, result.output


def test_script_finds_a_page_that_is_out_of_date(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("backbone_docs", ROOT / "scripts" / "backbone_docs.py")
    assert spec is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main(check=True) == 0
    for page in FOLDER.glob("*.md"):
        (tmp_path / page.name).write_text(page.read_text().replace("| 40 |", "| 41 |"))
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    assert script.main(check=True) == 1
    assert "out of date: qwen.md, sd3.md" in capsys.readouterr().err
    assert script.main(check=False) == 0
    assert script.main(check=True) == 0
