"""`triptych pocket`: from packages to sprites to a small backbone that makes pictures, and bad input on the way."""

import json
import signal
from pathlib import Path

import pytest
from PIL import Image
from tests.cli.conftest import Command

RECIPE = """
seed: 3
sizes: {width: 64, double_blocks: 1, single_blocks: 1, vocabulary: 400}
corpus_pages: 20
steps: %d
warmup: 1
load: 6
mixture:
  - {name: words, rules: [mirror], weight: 1}
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every SVG package with the same eight drawings, and the labels and one file of the 3D set."""
    from triptych.data.sprites import STYLES

    folder = tmp_path_factory.mktemp("packages")
    bodies = {
        f"shape-{n}": {"body": f'<path fill="#{n}0{n}080" d="M{n * 8} 8h60v{40 + n * 8}H{n * 8}z"/>'} for n in range(8)
    }
    for package in {style.package for style in STYLES.values()} - {"@lobehub/fluent-emoji-3d"}:
        path = folder / "node_modules" / package / "icons.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"width": 128, "height": 128, "icons": bodies}))
    labels = folder / "node_modules/emojibase-data/en"
    labels.mkdir(parents=True)
    (labels / "compact.json").write_text(json.dumps([{"hexcode": "1F98A", "label": "shape 0"}]))
    assets = folder / "node_modules/@lobehub/fluent-emoji-3d/assets"
    assets.mkdir(parents=True)
    Image.new("RGBA", (128, 128), (250, 120, 0, 255)).save(assets / "1f98a.webp")
    return folder


@pytest.fixture(scope="module")
def sprites(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from triptych.data.rendering import render_sprites

    folder = tmp_path_factory.mktemp("sprites")
    # Phosphor has only its plain weight here: the others have no drawing of their own.
    list(render_sprites(packages, folder, styles=("noto", "noto-v1", "ph-regular", "icon-park", "fluent-emoji-3d")))
    return folder


def test_sprites_from_a_folder_of_packages_renders_every_style_there(
    triptych: Command, packages: Path, tmp_path: Path
) -> None:
    result = triptych("pocket", "sprites", "--packages", packages, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "ph-thin" in result.output


def test_pretrain_makes_a_pocket_that_generates_and_goes_on_from_it(
    triptych: Command, sprites: Path, fox: Path, tmp_path: Path
) -> None:
    recipe, run = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE % 2)
    trained = triptych("pocket", "pretrain", recipe, "--run", run, "--sprites", sprites, "--codec-steps", 2, "--eager")
    assert trained.exit_code == 0, trained.output
    page = ("--condition", fox, "the fox", "--slot", "mirror it", "--out", tmp_path / "out", "--seed", 1)
    made = triptych("generate", *page, "--backbone", run / "pocket.safetensors")
    assert made.exit_code == 0, made.output
    assert list((tmp_path / "out").glob("*.png"))

    recipe.write_text(RECIPE % 3)
    again = triptych("pocket", "pretrain", recipe, "--run", run, "--sprites", sprites, "--codec-steps", 2, "--eager")
    assert again.exit_code == 0, again.output
    assert {path.name for path in run.glob("checkpoints/*")} == {
        "step-00000002.safetensors",
        "step-00000003.safetensors",
    }

    options = ("--run", tmp_path / "done", "--recipe", recipe, "--sprites", sprites, "--steps", 1)
    finished = triptych("pocket", "finish", run / "pocket.safetensors", *options)
    assert finished.exit_code == 0, finished.output
    assert (tmp_path / "done" / "pocket.safetensors").is_file()


def test_pretrain_from_an_earlier_pocket_takes_its_words_and_codec(
    triptych: Command, sprites: Path, pocket_file: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    from triptych.models.pocket.files import pocket_tokenizer

    recipe, run = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE % 1)
    result = triptych(
        "pocket", "pretrain", recipe, "--run", run, "--sprites", sprites, "--start", pocket_file, "--eager"
    )
    assert result.exit_code == 0, result.output
    made = run / "pocket.safetensors"
    assert pocket_tokenizer(made).to_str() == pocket_tokenizer(pocket_file).to_str()
    before, after = load_file(pocket_file), load_file(made)
    assert all((before[name].bfloat16() == value).all() for name, value in after.items() if name.startswith("codec."))


def test_pretrain_stopped_by_ctrl_c_says_where_it_goes_on(
    triptych: Command, sprites: Path, pocket_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE % 60)
    from triptych.events import CancelToken
    from triptych.training.core import Core

    step = Core._step

    def pressed(core: Core, rate: float, cancel: CancelToken) -> float | None:
        loss = step(core, rate, cancel)
        if core.state.step == 2:
            signal.raise_signal(signal.SIGINT)
        return loss

    monkeypatch.setattr(Core, "_step", pressed)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = triptych(
            "pocket", "pretrain", recipe, "--run", run, "--sprites", sprites, "--start", pocket_file, "--eager"
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == 130
    assert "step-00000002.safetensors; the same command continues" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("recipe", "says"),
    [("no-such-recipe", "no-such-recipe"), ("steps: 3", "mixture"), ("steps: 1\nmixture: [{name: a}]", "rules")],
)
def test_pretrain_with_a_bad_recipe_names_what_is_wrong(
    triptych: Command, sprites: Path, tmp_path: Path, recipe: str, says: str
) -> None:
    name = recipe
    if ":" in recipe:
        name = str(tmp_path / "bad.yaml")
        Path(name).write_text(recipe)
    result = triptych("pocket", "pretrain", name, "--run", tmp_path / "run", "--sprites", sprites)
    assert result.exit_code == 2
    assert says in result.output
    assert not (tmp_path / "run").exists()


def test_pretrain_without_sprites_says_how_to_get_them(triptych: Command, tmp_path: Path) -> None:
    result = triptych("pocket", "pretrain", "--run", tmp_path / "run", "--sprites", tmp_path / "none")
    assert result.exit_code == 2
    assert "triptych pocket sprites" in result.output
