"""Rules, page sets, models and skills on the command line."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from PIL import Image

from triptych.data.pagesets import load_pageset, save_pageset
from triptych.data.rules import RULES
from triptych.models.catalog import CHECKPOINTS
from triptych.models.pocket import pocket_card
from triptych.skill import load_skill

_RULES = """
from PIL import ImageOps

from triptych.data.rules import Change, picture_rule
from triptych.data.rules.verifiers import Verdict


@picture_rule("flip", "geometric", "top and bottom change places")
def flip(rng):
    return Change(says=("flip it",), apply=lambda look: look.moved(ImageOps.flip))


@picture_rule("lax", "geometric", "accepts everything", check=lambda *_: Verdict(ok=True, score=1.0, detail=""))
def lax(rng):
    return Change(says=("anything",), apply=lambda look: look.moved(ImageOps.flip))
"""


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_rules.py"
    path.write_text(_RULES)
    return path


def test_rules_list_has_every_rule(triptych):
    result = triptych("rules", "list")

    assert result.exit_code == 0
    assert {line.split()[0] for line in result.stdout.splitlines()[1:]} == set(RULES)


def test_rules_show_with_out_draws_a_sheet(triptych, rules_file, tmp_path):
    result = triptych("rules", "show", f"{rules_file}:flip", "--out", tmp_path / "sheets")

    assert result.exit_code == 0, result.stderr
    assert "flip it" in result.stdout
    assert Image.open(tmp_path / "sheets" / "flip.png").width > 300


def test_rules_check_of_a_lax_verifier_fails_with_1(triptych, rules_file):
    result = triptych("rules", "check", f"{rules_file}:flip", f"{rules_file}:lax", "--count", 2)

    assert result.exit_code == 1
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [["flip", "ok"], ["lax", "FAILED"]]


def test_build_with_one_seed_writes_the_same_bytes(triptych, tmp_path):
    for name in ("one", "two"):
        result = triptych("build", "mirror", "--count", 3, "--seed", 4, "--out", tmp_path / name, "--preview")
        assert result.exit_code == 0, result.stderr

    first, second = (sorted((tmp_path / name).rglob("*.*")) for name in ("one", "two"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len(load_pageset(tmp_path / "one")) == 3
    assert (tmp_path / "one-preview.png").exists()


def test_build_from_a_folder_of_pictures_uses_them(triptych, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        noise = Image.effect_noise((50, 40), 90).convert("RGB")
        noise.save(tmp_path / "photos" / f"{number}.jpg")

    result = triptych("build", "mirror", "--source", tmp_path / "photos", "--count", 2, "--out", tmp_path / "set")

    assert result.exit_code == 0, result.stderr
    assert len(load_pageset(tmp_path / "set")) == 2


def test_build_card_names_rule_seed_and_licence_and_makes_the_same_again(triptych, tmp_path):
    triptych("build", "tint", "--count", 2, "--seed", 4, "--size", 32, "--one-task", "--out", tmp_path / "set")
    card = (tmp_path / "set" / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    again = next(line for line in card.splitlines() if line.startswith("triptych build")).split()[1:]

    assert (header["license"], header["size_categories"]) == ("apache-2.0", ["n<1K"])
    assert "- rule: tint, 2 pages\n" in card and "- seed: 4\n" in card and "licence Apache-2.0" in card
    assert triptych(*again, "--out", tmp_path / "again").exit_code == 0
    first, second = (sorted((tmp_path / name).rglob("*.*")) for name in ("set", "again"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("name", ["parquet", "ic-lora"])
def test_pages_exported_and_imported_are_the_same_pages(triptych, tmp_path, name):
    pytest.importorskip("pyarrow")
    triptych("build", "per-panel", "--count", 2, "--size", 32, "--out", tmp_path / "set")
    there = triptych("pages", "export", tmp_path / "set", "--format", name, "--out", tmp_path / "there")
    back = triptych("pages", "import", tmp_path / "there", "--format", name, "--out", tmp_path / "back")

    assert (there.exit_code, back.exit_code) == (0, 0), there.output + back.output
    assert name in triptych("pages", "formats").stdout
    for page, other in zip(load_pageset(tmp_path / "set"), load_pageset(tmp_path / "back"), strict=True):
        assert [p.picture.tobytes() for p in page.panels] == [p.picture.tobytes() for p in other.panels]
        assert (page.overview, page.rule) == (other.overview, other.rule)


def test_pages_check_finds_a_page_that_stands_twice(triptych, tmp_path):
    triptych("build", "tint", "--count", 2, "--size", 64, "--out", tmp_path / "set")
    pages = list(load_pageset(tmp_path / "set"))
    save_pageset([*pages, replace(pages[0], page_id="again")], tmp_path / "twice")
    found = triptych("pages", "check", tmp_path / "twice")

    assert found.exit_code == 1
    assert "duplicate" in found.stdout
    assert "leak" in triptych("pages", "check", tmp_path / "set", "--held-out", tmp_path / "twice").stdout


def test_models_list_names_all_and_show_needs_no_network(triptych):
    listed = triptych("models", "list")
    shown = triptych("models", "show", "FLUX.2-klein-4B")

    assert all(checkpoint.card.name in listed.stdout for checkpoint in CHECKPOINTS)
    own = pocket_card()
    assert re.search(rf"^{own.name} .* {own.steps} .*{own.licence}", listed.stdout, re.MULTILINE)
    assert shown.exit_code == 0, shown.stderr
    assert "reference, repaint" in shown.stdout and "1024" in shown.stdout
    (announced,) = (line for line in listed.stdout.splitlines() if line.startswith("Tongyi-MAI/Z-Image-Omni-Base"))
    assert "the Hub" not in announced and "not public yet" in announced
    assert "hf download" not in triptych("models", "show", "Tongyi-MAI/Z-Image-Omni-Base").stdout


def test_models_check_makes_a_picture(triptych, pocket_file):
    result = triptych("models", "check", pocket_file)

    assert result.exit_code == 0, result.stderr
    assert "pocket works on cpu in" in result.stdout


def test_train_then_generate_with_the_skill_from_pictures_alone(triptych, fox, pocket_file, tmp_path):
    skill = tmp_path / "mirror.safetensors"
    built = triptych("build", "mirror", "--count", 2, "--one-task", "--out", tmp_path / "set")
    assert built.exit_code == 0, built.stderr

    trained = triptych(
        "train", tmp_path / "set", "--out", skill, "--backbone", pocket_file, "--steps", 2,
        "--set", "batch=1", "--set", "draws=1", "--set", "optimizer.warmup=1", "--set", "watch.samples=0",
    )  # fmt: skip
    shown = triptych("skills", "show", skill)
    made = triptych(
        "generate", "--condition", fox, "--skill", skill, "--out", tmp_path / "out", "--backbone", pocket_file,
        "--steps", 1,
    )  # fmt: skip
    replayed = triptych("replay", tmp_path / "out" / "page-seed0-1.png", "--backbone", pocket_file, "--out", tmp_path)

    assert trained.exit_code == 0, trained.stderr
    assert load_skill(skill).card.pages == 2
    assert "trained      2 steps on 2 pages" in shown.stdout
    assert made.exit_code == 0, made.stderr
    assert replayed.exit_code == 2
    assert "with the skill 'mirror'" in replayed.stderr


def test_skills_list_of_a_folder_without_skills_says_so(triptych, tmp_path):
    result = triptych("skills", "list", tmp_path)

    assert result.exit_code == 2
    assert "no skill in" in result.stderr


def test_build_into_a_folder_that_is_there_needs_overwrite(triptych, tmp_path):
    arguments = ("build", "tint", "--count", 2, "--out", tmp_path / "set")
    assert triptych(*arguments).exit_code == 0
    before = (tmp_path / "set" / "metadata.jsonl").read_bytes()
    refused = triptych(*arguments, "--seed", 1)
    assert refused.exit_code == 2 and "already exists" in refused.stderr and "--overwrite" in refused.stderr
    assert (tmp_path / "set" / "metadata.jsonl").read_bytes() == before
    assert triptych(*arguments, "--seed", 1, "--overwrite").exit_code == 0
    assert (tmp_path / "set" / "metadata.jsonl").read_bytes() != before


def test_pages_import_of_pairs_sets_and_composites(triptych, tmp_path):
    for name in ("a/1.png", "b/1.jpg", "sets/s_0.png", "sets/s_1.tif", "sets/s_2.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.effect_noise((32, 16), 60).convert("RGB").save(tmp_path / name)
    out, a, b = ("--out", tmp_path / "out", "--overwrite"), tmp_path / "a", tmp_path / "b"
    result = triptych("pages", "import", a, b, "--format", "pairs", "--words", "{name}", *out)
    assert result.exit_code == 0, result.stderr
    (page,) = load_pageset(tmp_path / "out")
    assert (page.page_id, page.slots[0].instruction) == ("1", "1")
    result = triptych("pages", "import", tmp_path / "sets", "--format", "sets", "--given", 2, "--role", "edit", *out)
    assert result.exit_code == 0, result.stderr
    (page,) = load_pageset(tmp_path / "out")
    assert [panel.role.value for panel in page.panels] == ["edit", "edit", "slot"]
    result = triptych("pages", "import", a, "--format", "composites", "--grid", "2x1", *out)
    assert result.exit_code == 0, result.stderr
    assert load_pageset(tmp_path / "out")[0].panels[0].picture.size == (16, 16)
    assert triptych("pages", "import", a, "--format", "pairs", *out).exit_code == 2
    assert triptych("pages", "import", a, "--format", "composites", "--grid", "0x1", *out).exit_code == 2


def test_pages_import_that_watches_goes_on_when_texts_are_there(triptych, tmp_path, monkeypatch):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.effect_noise((32, 16), 60).convert("RGB").save(tmp_path / name)
    (tmp_path / "a" / ".DS_Store").write_bytes(b"")
    looks = []

    def sleep(_: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            (tmp_path / "b" / "1.txt").write_text("at night")

    monkeypatch.setattr("triptych.cli.importing.time.sleep", sleep)
    result = triptych(
        "pages", "import", tmp_path / "a", tmp_path / "b", "--format", "pairs", "--watch", "--out", tmp_path / "out"
    )
    assert result.exit_code == 0, result.stderr
    assert "waiting: 1 text missing: 1" in result.stderr
    # It looked five times, the last two at the same files, and every time it passed that over.
    assert len(looks) == 4 and result.stderr.count(".DS_Store") == 1
    assert load_pageset(tmp_path / "out")[0].slots[0].instruction == "at night"


def test_pages_import_that_watches_does_not_read_a_picture_that_is_still_being_copied(triptych, tmp_path, monkeypatch):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.effect_noise((32, 16), 60).convert("RGB").save(tmp_path / name)
    copied = tmp_path / "b" / "1.png"
    whole = copied.read_bytes()
    copied.write_bytes(whole[:100])
    looks = []

    def sleep(_: float) -> None:
        looks.append(1)
        if len(looks) <= 3:
            copied.write_bytes(whole[: len(whole) * len(looks) // 3])

    monkeypatch.setattr("triptych.cli.importing.time.sleep", sleep)
    result = triptych(
        "pages", "import", tmp_path / "a", tmp_path / "b", "--format", "pairs", "--words", "at night", "--watch",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    # Four looks find it changed, the fifth as the fourth did.
    assert "may still be on their way" in result.stderr and len(looks) == 4
    assert load_pageset(tmp_path / "out")[0].slots[0].answer.size == (32, 16)


@pytest.mark.parametrize(
    ("format", "option", "value"),
    [("pairs", "--given", 2), ("sets", "--grid", "2x1"), ("kohya", "--gutter", 4), ("musubi", "--encoding", "cp1252")],
)
def test_pages_import_refuses_an_option_that_the_format_has_no_use_for(triptych, tmp_path, format, option, value):
    folders = [tmp_path, tmp_path] if format == "pairs" else [tmp_path]
    result = triptych("pages", "import", *folders, "--format", format, option, value, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert f"{option} is for" in result.stderr and f"{format} has no use for it" in result.stderr


def test_pages_import_of_another_trainers_folder_takes_an_encoding_and_words(triptych, tmp_path):
    for number in (1, 2):
        (tmp_path / "set").mkdir(exist_ok=True)
        Image.effect_noise((32, 16), 60).convert("RGB").save(tmp_path / "set" / f"{number}.png")
    (tmp_path / "set" / "1.txt").write_bytes("夜の狐".encode("shift_jis"))
    result = triptych(
        "pages", "import", tmp_path / "set", "--format", "kohya", "--encoding", "shift_jis", "--words", "a fox",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert [page.slots[0].instruction for page in load_pageset(tmp_path / "out")] == ["夜の狐", "a fox"]
