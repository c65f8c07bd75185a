"""`triptych train` and `triptych skills` as a user meets them."""

import json

import pytest
import yaml
from PIL import Image

from triptych.data.pagesets import save_pageset
from triptych.page import Page, Role, condition, slot
from triptych.prompts import find_template
from triptych.training.recipe import load_recipe, recipe_names

SMALL = ("--set", "batch=1", "--set", "draws=1", "--set", "optimizer.warmup=1", "--set", "watch.samples=1")


def _plain(number, size):
    return Image.linear_gradient("L").resize(size).rotate(23 * number, fillcolor=40).convert("RGB")


def _page(number, template):
    """A page as the template wants it."""
    sketch = find_template(template).page if template else None
    if sketch is None:
        panels = (condition(_plain(number, (128, 128))), slot("turned", answer=_plain(number + 6, (128, 128))))
        return Page(panels=panels, page_id=f"p{number}")
    panels = []
    for place, panel in enumerate(sketch.panels):
        picture = _plain(3 * number + place, panel.size_px)
        is_slot = panel.role is Role.SLOT
        panels.append(slot(f"part {place}", answer=picture) if is_slot else condition(picture, role=panel.role))
    return Page(panels=tuple(panels), page_id=f"p{number}", overview="a set", template=template)


@pytest.fixture
def pageset(tmp_path):
    save_pageset([_page(number, None) for number in range(3)], tmp_path / "set")
    return tmp_path / "set"


@pytest.mark.parametrize("name", recipe_names())
def test_train_dry_run_of_a_shipped_recipe_needs_no_weights(triptych, tmp_path, name):
    save_pageset([_page(number, load_recipe(name).template) for number in range(2)], tmp_path / "set")

    result = triptych("train", tmp_path / "set", "--out", tmp_path / "s.safetensors", "--recipe", name, "--dry-run")

    assert result.exit_code == 0, result.stderr
    assert "GiB" in result.stderr
    assert "error" not in result.stderr
    assert not (tmp_path / "s.run").exists()


@pytest.mark.parametrize(("change", "said"), [("batch=[1", "not valid YAML"), ("watch={a: 1, a: 2}", "duplicate key")])
def test_train_with_a_change_that_is_no_yaml_names_it(triptych, pageset, tmp_path, change, said):
    result = triptych("train", pageset, "--set", change, "--out", tmp_path / "skill.safetensors")

    assert result.exit_code == 2
    assert change in result.stderr and said in result.stderr


def test_train_dry_run_on_the_pocket_finds_words_beyond_its_limit(triptych, tmp_path):
    page = _page(1, None)
    long = Page(panels=(page.panels[0], slot("word " * 70, answer=page.panels[1].answer)), page_id="long")
    save_pageset([page, long], tmp_path / "set")

    result = triptych("train", tmp_path / "set", "--out", tmp_path / "s.safetensors", "--dry-run")

    assert result.exit_code == 2
    assert "line 2: 70 words; pocket reads at most 64 tokens" in result.stderr


def test_train_without_a_terminal_tells_steps_and_shows_before_and_after(triptych, pageset, pocket_file, tmp_path):
    out = tmp_path / "turned.safetensors"

    result = triptych("train", pageset, "--out", out, "--backbone", pocket_file, "--steps", 2, *SMALL)

    assert result.exit_code == 0, result.stderr
    assert "step 1 of 2: loss" in result.stderr
    with Image.open(tmp_path / "turned.run" / "contact-sheet.png") as sheet:
        # given, right, before, after
        assert sheet.height == 4 * 128


def test_generate_with_a_skill_says_by_itself_what_all_training_pages_said(
    triptych, pageset, pocket_file, fox, tmp_path
):
    out = tmp_path / "turned.safetensors"
    triptych("train", pageset, "--out", out, "--backbone", pocket_file, "--steps", 1, *SMALL)

    shown = triptych("skills", "show", out)
    prompt = triptych("generate", "--condition", fox, "--skill", out, "--backbone", pocket_file, "--dry-run")

    assert "slot     128x128 px  turned" in shown.stdout
    assert "turned" in prompt.stdout


def test_skills_export_with_card_and_gallery_for_the_hub(triptych, pageset, pocket_file, fox, tmp_path):
    out, shared = tmp_path / "turned.safetensors", tmp_path / "shared"
    triptych("train", pageset, "--out", out, "--backbone", pocket_file, "--steps", 1, *SMALL)
    triptych("generate", "--condition", fox, "--skill", out, "--backbone", pocket_file, "--steps", 1, "--out", tmp_path)

    result = triptych(
        "skills", "export", out, "--out", shared / "lora.safetensors", "--card", "--picture",
        tmp_path / "page-seed0-1.png",
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    _, facts, text = (shared / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(facts)["widget"] == [{"text": "turned", "output": {"url": "images/1.png"}}]
    assert "base_model" not in yaml.safe_load(facts)
    assert "--condition PICTURE.png --skill turned.safetensors" in text
    assert (shared / "images" / "1.png").is_file()
    assert json.loads((shared / "lora.json").read_text())["description"] == "turned"
