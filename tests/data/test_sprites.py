"""Picture sets: rendered from packages drawn here in the published layout, and read back."""

import json
from pathlib import Path

import pytest
from PIL import Image

from triptych.data.rendering import render_sprites
from triptych.data.sprites import EVALUATION_STYLES, STYLES, SpriteSource, is_held_out
from triptych.errors import SourceError


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Phosphor with a square in two weights, and one 3D emoji."""
    ph = tmp_path / "node_modules/@iconify-json/ph"
    ph.mkdir(parents=True)
    square = '<path fill="currentColor" d="M0 0h128v256H0z"/>'
    icons = {"square": {"body": square}, "square-thin": {"body": '<path fill="red" d="M0 0h256v256H0z"/>'}}
    (ph / "icons.json").write_text(json.dumps({"width": 256, "height": 256, "icons": icons}))
    labels = tmp_path / "node_modules/emojibase-data/en"
    labels.mkdir(parents=True)
    (labels / "compact.json").write_text(json.dumps([{"hexcode": "1F98A", "label": "fox face"}]))
    models = tmp_path / "node_modules/@lobehub/fluent-emoji-3d/assets"
    models.mkdir(parents=True)
    Image.new("RGBA", (64, 64), (250, 120, 0, 255)).save(models / "1f98a.webp", lossless=True)
    return tmp_path


def test_render_sprites_takes_each_weight_from_its_own_drawing(packages: Path, tmp_path: Path) -> None:
    counts = dict(render_sprites(packages, tmp_path / "out", styles=("ph-regular", "ph-thin", "fluent-emoji-3d")))
    assert counts == {"ph-regular": 1, "ph-thin": 1, "fluent-emoji-3d": 1}
    source = SpriteSource(tmp_path / "out")
    regular = source.sprite("ph-regular", "square")
    assert regular.size == (128, 128)
    assert regular.getpixel((20, 60)) == (0, 0, 0, 255)
    assert regular.getpixel((100, 60)) == (0, 0, 0, 0)
    assert source.sprite("ph-thin", "square").getpixel((100, 60)) == (255, 0, 0, 255)
    assert source.sprite("fluent-emoji-3d", "fox-face").getpixel((60, 60)) == (250, 120, 0, 255)
    assert not source.has("ph-thin", "fox-face")


def test_render_sprites_again_keeps_what_is_there(packages: Path, tmp_path: Path) -> None:
    list(render_sprites(packages, tmp_path / "out", styles=("ph-thin",)))
    (packages / "node_modules/@iconify-json/ph/icons.json").unlink()
    assert list(render_sprites(packages, tmp_path / "out", styles=("ph-thin",))) == [("ph-thin", 1)]


def test_render_sprites_without_a_package_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="@iconify-json/noto"):
        list(render_sprites(tmp_path, tmp_path / "out", styles=("noto",)))


def test_sprite_of_an_unknown_style_lists_those_there(packages: Path, tmp_path: Path) -> None:
    list(render_sprites(packages, tmp_path / "out", styles=("ph-thin",)))
    with pytest.raises(SourceError, match="ph-thin"):
        SpriteSource(tmp_path / "out").sprite("noto", "square")


def test_is_held_out_keeps_a_tenth_and_the_same_names_everywhere() -> None:
    names = [f"object-{number}" for number in range(4000)]
    assert sum(map(is_held_out, names)) == pytest.approx(400, abs=80)
    # Written down when the split was made: weights that were trained with it must never meet these.
    known = ("fox", "apple", "guitar", "owl", "candle", "ladder", "avocado", "bell")
    assert [name for name in known if is_held_out(name)] == ["guitar", "candle", "avocado"]


def test_styles_for_evaluation_are_whole_packages() -> None:
    seen = {style.package for name, style in STYLES.items() if name not in EVALUATION_STYLES}
    assert not seen & {STYLES[name].package for name in EVALUATION_STYLES}
