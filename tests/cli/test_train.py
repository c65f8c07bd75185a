"""`triptych train` and `triptych skills` as a user meets them."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from triptych.cli.training import saying_where
from triptych.data.pagesets import save_pageset
from triptych.page import Page, Role, condition, slot
from triptych.prompts import find_template
from triptych.skill import load_skill
from triptych.training.recipe import load_recipe, recipe_names
from triptych.training.running import Stopped

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


def test_train_on_base_is_a_plan_for_the_distilled_sibling(triptych, pageset, tmp_path):
    common = ("train", pageset, "--out", tmp_path / "s.safetensors", "--recipe", "flux2-klein", "--dry-run")

    plain = triptych(*common, "--backbone", "FLUX.2-klein-4B")
    on_base = triptych(*common, "--backbone", "FLUX.2-klein-4B", "--train-on", "base")
    of_none = triptych(*common, "--backbone", "pocket", "--train-on", "base")

    assert plain.exit_code == on_base.exit_code == 0, plain.stderr + on_base.stderr
    assert "--train-on base" in plain.stderr and "--train-on" not in on_base.stderr
    assert "trained on black-forest-labs/FLUX.2-klein-base-4B" in " ".join(on_base.stderr.split())
    assert of_none.exit_code == 2 and "pocket is not known as one" in " ".join(of_none.stderr.split())


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
    assert "--condition PICTURE.png --skill lora.safetensors" in text
    assert (shared / "images" / "1.png").is_file()
    assert json.loads((shared / "lora.json").read_text())["description"] == "turned"


def test_skills_export_with_a_card_where_a_readme_is_writes_nothing(triptych, skill_file, tmp_path):
    readme = tmp_path / "shared" / "README.md"
    readme.parent.mkdir()
    readme.write_text("mine")

    result = triptych("skills", "export", skill_file, "--out", readme.with_name("lora.safetensors"), "--card")

    assert result.exit_code == 2 and "README.md already exists" in result.stderr
    assert [path.name for path in readme.parent.iterdir()] == ["README.md"]
    assert readme.read_text() == "mine"


def test_train_goes_on_by_the_recipe_that_the_run_began_with(triptych, pageset, pocket_file, tmp_path):
    out = tmp_path / "turned.safetensors"
    begun = triptych("train", pageset, "--out", out, "--backbone", pocket_file, "--steps", 2, *SMALL)
    assert begun.exit_code == 0, begun.stderr

    longer = triptych("train", pageset, "--out", out, "--more-steps", 1)

    assert longer.exit_code == 0, longer.stderr
    assert load_skill(out).card.steps == 3
    other = triptych("train", pageset, "--out", out, "--more-steps", 1, "--set", "batch=2")
    assert other.exit_code == 2 and "recipe key batch (1 then, 2 now)" in other.stderr


@pytest.mark.parametrize("option", [("--resume",), ("--more-steps", 3)])
def test_train_where_the_run_is_gone_says_how_to_go_on_from_the_skill(triptych, pageset, skill_file, option):
    result = triptych("train", pageset, "--out", skill_file, *option)

    assert result.exit_code == 2
    assert f"--from {skill_file}" in result.stderr


@pytest.mark.parametrize("name", ["step-3.safetensors", None])
def test_saying_where_tells_of_a_stopped_run_what_it_was_saved_as(capsys, name):
    with pytest.raises(Stopped), saying_where("the same command"):
        raise Stopped(Path(name) if name else None)
    said = capsys.readouterr().err
    assert said == (f"saved as {name}; the same command continues from there.\n" if name else "")


@pytest.fixture
def turned(triptych, pageset, pocket_file, tmp_path):
    """A skill, and fifteen picks of what it made."""
    from triptych.picks import Shown, Verdict, add_picks
    from triptych.sampling.request import Request, SkillUse

    out = tmp_path / "turned.safetensors"
    triptych("train", pageset, "--out", out, "--backbone", pocket_file, "--steps", 1, *SMALL)
    for number in range(15):
        asked = Page(panels=(condition(_plain(number, (128, 128))), slot("turned")))
        add_picks(
            tmp_path / "picks",
            [
                Shown(
                    request=Request(page=asked, seed=seed, skills=(SkillUse(name="turned"),)),
                    images=(Image.new("RGB", (128, 128), colour),),
                    verdict=verdict,
                )
                for seed, (colour, verdict) in enumerate((("blue", Verdict.KEPT), ("red", Verdict.REJECTED)))
            ],
        )
    return out


def test_train_prefer_tunes_a_skill_to_picks_beside_the_pages_its_run_notes(triptych, turned, tmp_path):
    words = ("--prefer", tmp_path / "picks", "--from", turned, "--out", tmp_path / "better.safetensors")
    small = ("--steps", 3, "--set", "batch=2", "--set", "draws=1", "--set", "preference.measure_every=1")

    looked = triptych("train", *words, *small, "--dry-run")
    made = triptych("train", *words, *small, "--set", "preference.most_worse_db=60", "--set", "watch.samples=0")

    assert looked.exit_code == 0, looked.stderr
    assert "15 picks, beside 3 teaching pages" in looked.stderr
    assert made.exit_code == 0, made.stderr
    assert "picks foretold" in made.stderr
    assert (tmp_path / "better-before.safetensors").is_file()
    assert "better-before.safetensors" in made.stderr
    assert "turned" in triptych("skills", "show", tmp_path / "better.safetensors").stdout


def test_train_prefer_says_what_is_missing(triptych, turned, pageset, tmp_path):
    out = ("--out", tmp_path / "better.safetensors")
    prefer = ("train", "--prefer", tmp_path / "picks", *out)

    assert "--from" in triptych(*prefer).stderr
    assert "--pages" in triptych("train", pageset, "--prefer", tmp_path / "picks", *out, "--from", turned).stderr
    assert "belong to --prefer" in triptych("train", pageset, *out, "--objective", "dpo").stderr
    assert "preference.kind" in triptych(*prefer, "--from", turned, "--objective", "ppo").stderr
    (tmp_path / "turned.run" / "pages.json").unlink()
    assert "Name their page set with --pages" in triptych(*prefer, "--from", turned).stderr
    few = (tmp_path / "picks" / "picks.jsonl").read_text(encoding="utf-8").splitlines()[:14]
    (tmp_path / "picks" / "picks.jsonl").write_text("\n".join(few) + "\n", encoding="utf-8")
    refused = triptych(*prefer, "--from", turned, "--pages", pageset)
    assert refused.exit_code == 2 and "14 picks can be learned from" in refused.stderr
