"""What the README and the help promise holds: examples parse and run, the docs are in date, imports are light."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image

import triptych as tt
from triptych.cli.main import app
from triptych.models.pocket import PocketConfig, PocketNetwork, save_pocket
from triptych.models.pocket.text import train_tokenizer

ROOT = Path(__file__).resolve().parents[1]


def _docs_script():
    spec = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _commands(text: str) -> list[str]:
    """Lines that begin with `triptych`, with the lines they go on in."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip().startswith("triptych ")]


def _examples() -> list[str]:
    readme = "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    help_texts = (ROOT / "docs" / "cli.md").read_text()
    return sorted(set(_commands(readme) + _commands(help_texts)))


def test_examples_of_readme_and_help_are_many():
    assert len(_examples()) > 20


@pytest.mark.parametrize("example", _examples())
def test_example_of_readme_or_help_is_understood_by_the_command_line(example):
    command, context, arguments = typer.main.get_command(app), None, shlex.split(example)
    path = [arguments.pop(0)]
    context = command.make_context("triptych", [], resilient_parsing=True)
    while arguments and arguments[0] in getattr(command, "commands", {}):
        path.append(arguments[0])
        command = command.commands[arguments.pop(0)]
    assert len(path) > 1, f"no command in {example!r}"
    # Parsing alone: an unknown option, a missing or a superfluous argument raises here.
    command.make_context(path[-1], arguments, parent=context)


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (60, 40), "orange").save("fox.png")
    tokenizer = train_tokenizer(["a fox on a beach"], size=300)
    torch.manual_seed(0)
    config = PocketConfig(
        channels=8, width=64, double_blocks=1, single_blocks=1, head_width=32, vocabulary=tokenizer.get_vocab_size()
    )
    save_pocket(PocketNetwork(config), tokenizer, Path("pocket.safetensors"), dtype=torch.float32)
    before, after, mine = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "green"))
    names = {"before": before, "after": after, "mine": mine}

    for block in blocks:
        exec(block.replace('tt.load("pocket")', 'tt.load("pocket.safetensors")'), names)

    assert Image.open("shot-2.png").size == (128, 85)
    assert len(names["results"]) == 2
    assert len(names["asked"].context) == 1


def test_command_line_reference_is_in_date():
    written = (ROOT / "docs" / "cli.md").read_text()

    assert written == _docs_script().cli_reference(), "run `make docs`"


def test_import_of_triptych_and_its_pages_reads_no_torch():
    code = "import sys, triptych as tt; tt.Page, tt.load_page, tt.write_prompt; print('torch' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "False"


def test_command_line_answers_help_without_torch():
    code = (
        "import sys\nfrom triptych.cli.main import app\n"
        "try:\n    app(['generate', '--help'])\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules)"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip().endswith("False")


@pytest.mark.parametrize("name", tt.__all__)
def test_public_name_can_be_reached(name):
    assert getattr(tt, name) is not None


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'generat'"):
        _ = tt.generat
