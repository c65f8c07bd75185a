"""A pocket of random weights in a file, and the command line as a user meets it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from triptych.cli.main import app
from triptych.models.loading import load
from triptych.models.pocket import PocketConfig, PocketNetwork, save_pocket
from triptych.models.pocket.text import train_tokenizer
from triptych.prompts import PageSketch, PanelSketch, find_template
from triptych.skill import Skill, SkillCard, save_skill

Command = Callable[..., Result]


@pytest.fixture(scope="session")
def pocket_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone that makes noise, but makes it fast."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    tokenizer = train_tokenizer(["a red fox on a beach", "the same in flat style"], size=300)
    torch.manual_seed(0)
    config = PocketConfig(
        channels=8, width=64, double_blocks=1, single_blocks=1, head_width=32, vocabulary=tokenizer.get_vocab_size()
    )
    save_pocket(PocketNetwork(config), tokenizer, path, dtype=torch.float32)
    return path


@pytest.fixture
def triptych() -> Command:
    """Run a command; arguments may be paths and numbers."""
    runner = CliRunner()
    return lambda *args: runner.invoke(app, [str(arg) for arg in args])


@pytest.fixture
def fox(tmp_path: Path) -> Path:
    path = tmp_path / "fox.png"
    picture = Image.new("RGB", (96, 64), "orange")
    picture.paste("black", (10, 10, 40, 30))
    picture.save(path)
    return path


@pytest.fixture
def skill_file(pocket_file: Path, tmp_path: Path) -> Path:
    """A skill of one condition and one slot, trained on squares; it changes nothing."""
    module = "transformer_blocks.0.attn.to_q"
    layer = load(pocket_file).transformer.get_submodule(module)
    sketch = PageSketch(
        layout="row",
        hint="",
        panels=(PanelSketch(role="edit", size_px=(128, 128), hint=""), PanelSketch(size_px=(128, 128), hint="")),
    )
    card = SkillCard(
        name="square", backbone="pocket", family="pocket", rank=1, alpha=1,
        template=find_template("panels").model_copy(update={"page": sketch}),
    )  # fmt: skip
    tensors = {
        f"transformer.{module}.lora_A.weight": torch.ones(1, layer.in_features),
        f"transformer.{module}.lora_B.weight": torch.zeros(layer.out_features, 1),
    }
    path = tmp_path / "square.safetensors"
    save_skill(Skill(card=card, tensors=tensors), path)
    return path
