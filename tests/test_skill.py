import json
import struct

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from triptych.errors import SkillError
from triptych.page import Role
from triptych.prompts import PageSketch, PanelSketch, find_template
from triptych.skill import Skill, SkillCard, load_skill, payload_sha256, save_skill, shipped_skills


def made_skill(**changes):
    sketch = PageSketch(
        layout="row",
        hint="",
        panels=(
            PanelSketch(role="edit", size_px=(64, 48), hint="before"),
            PanelSketch(size_px=(64, 48), hint="after"),
        ),
    )
    facts = {
        "name": "outline",
        "backbone": "pocket",
        "family": "pocket",
        "rank": 2,
        "alpha": 4,
        "template": find_template("panels").model_copy(update={"page": sketch}),
        "trigger": "[OUTLINE]",
    }
    generator = torch.Generator().manual_seed(1)
    tensors = {
        "transformer.blocks.0.a.lora_A.weight": torch.randn(2, 5, generator=generator),
        "transformer.blocks.0.a.lora_B.weight": torch.randn(7, 2, generator=generator),
    }
    return Skill(card=SkillCard(**(facts | changes)), tensors=tensors)


def test_save_skill_then_load_gives_the_same(tmp_path):
    skill = made_skill(recipe={"steps": 3, "nested": {"ä": [1, 2.5]}}, rank_stabilised=True)
    save_skill(skill, tmp_path / "s.safetensors")
    loaded = load_skill(tmp_path / "s.safetensors")
    assert loaded.card == skill.card
    assert loaded.scale == pytest.approx(4 / 2**0.5)
    assert all(torch.equal(value, loaded.tensors[name]) for name, value in skill.tensors.items())


def test_save_skill_hash_in_model_spec_is_that_of_the_bytes_behind_the_header(tmp_path):
    import hashlib

    path = tmp_path / "s.safetensors"
    save_skill(made_skill(), path)
    data = path.read_bytes()
    (header,) = struct.unpack("<Q", data[:8])
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["modelspec.hash_sha256"] == "0x" + hashlib.sha256(data[8 + header :]).hexdigest()
    assert metadata["modelspec.trigger_phrase"] == "[OUTLINE]"
    assert json.loads(metadata["lora_adapter_metadata"])["transformer.lora_alpha"] == 4


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_load_skill_truncated_file_is_refused(tmp_path, cut):
    path = tmp_path / "s.safetensors"
    save_skill(made_skill(), path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(SkillError, match="cannot be read"):
        load_skill(path)


def test_load_skill_flipped_bit_is_found(tmp_path):
    path = tmp_path / "s.safetensors"
    save_skill(made_skill(), path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 8
    path.write_bytes(data)
    with pytest.raises(SkillError, match="damaged"):
        load_skill(path)


def test_load_skill_plain_lora_is_sent_to_import(tmp_path):
    save_file({"x.lora_A.weight": torch.zeros(1, 1)}, tmp_path / "x.safetensors")
    with pytest.raises(SkillError, match="skills import"):
        load_skill(tmp_path / "x.safetensors")


def test_load_skill_pickle_is_refused_unread(tmp_path):
    with pytest.raises(SkillError, match="may run code"):
        load_skill(tmp_path / "x.pt")


def test_load_skill_unknown_card_key_is_refused(tmp_path):
    path = tmp_path / "s.safetensors"
    save_skill(made_skill(), path)
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    metadata["triptych.skill"] = metadata["triptych.skill"].replace('"trigger"', '"triger"')
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(SkillError, match="triger"):
        load_skill(path)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"transformer.a.lora_A.weight": torch.zeros(2, 3)},
        {"transformer.a.lora_A.weight": torch.zeros(3, 3), "transformer.a.lora_B.weight": torch.zeros(3, 3)},
        {"a.weight": torch.zeros(2, 3)},
    ],
    ids=["none", "half", "rank", "key"],
)
def test_skill_with_wrong_tensors_is_refused(tensors):
    with pytest.raises(SkillError):
        Skill(card=made_skill().card, tensors=tensors)


def test_skill_page_puts_pictures_and_words_in_their_places():
    page = made_skill().page([Image.new("RGB", (64, 48))], instructions=["an outline"], overview="a cat")
    assert [panel.role for panel in page.panels] == [Role.EDIT, Role.SLOT]
    assert page.panels[1].instruction == "an outline"
    assert page.panels[1].size_px == (64, 48)
    assert page.overview == "[OUTLINE] a cat"


def test_skill_page_wrong_number_of_pictures_is_refused():
    with pytest.raises(SkillError, match="takes 1 pictures; 2"):
        made_skill().page([Image.new("RGB", (8, 8))] * 2)


def test_skill_page_without_words_says_what_all_training_pages_said():
    skill = made_skill(overview="a story", instructions=("", "outlined in red"))
    picture = Image.new("RGB", (64, 48))
    silent, own = skill.page([picture]), skill.page([picture], instructions=["in blue"], overview="mine")
    assert (silent.overview, silent.panels[1].instruction) == ("[OUTLINE] a story", "outlined in red")
    assert (own.overview, own.panels[1].instruction) == ("[OUTLINE] mine", "in blue")


@pytest.mark.parametrize(
    ("picture_px", "size_px", "slot_px"),
    [
        ((64, 48), None, (64, 48)),
        ((640, 480), None, (64, 48)),
        ((1200, 800), None, (68, 45)),
        ((480, 640), None, (48, 64)),
        ((1200, 800), (90, 30), (90, 30)),
        ((1200, 800), 100, (122, 82)),
        ((64, 48), 100, (115, 87)),
    ],
)
def test_skill_page_slot_takes_the_shape_of_its_condition_or_the_size_asked_for(picture_px, size_px, slot_px):
    page = made_skill().page([Image.new("RGB", picture_px)], size_px=size_px)
    assert page.panels[1].size_px == slot_px


def test_skill_page_slot_of_another_shape_than_its_condition_keeps_its_own():
    skill = made_skill()
    sketch = skill.card.template.page
    wide = sketch.model_copy(update={"panels": (sketch.panels[0], PanelSketch(size_px=(96, 32), hint=""))})
    template = skill.card.template.model_copy(update={"page": wide})
    page = made_skill(template=template).page([Image.new("RGB", (48, 64))])
    assert page.panels[1].size_px == (96, 32)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_load_skill_with_a_value_that_is_not_finite_is_refused_by_key(tmp_path, value):
    path = tmp_path / "s.safetensors"
    skill = made_skill()
    bad = dict(skill.tensors)
    save_skill(skill, path)
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    bad["transformer.blocks.0.a.lora_B.weight"][3, 1] = value
    save_file(bad, path, metadata=metadata)
    digest = payload_sha256(path.read_bytes())
    save_file(bad, path, metadata=metadata | {"modelspec.hash_sha256": f"0x{digest}"})
    with pytest.raises(SkillError, match=r"blocks\.0\.a\.lora_B.*not finite"):
        load_skill(path)


def test_load_skill_of_the_pocket_labelled_flux2_is_of_the_family_pocket(tmp_path):
    save_skill(made_skill(family="flux2"), tmp_path / "old.safetensors")
    assert load_skill(tmp_path / "old.safetensors").card.family == "pocket"


def test_save_skill_of_the_pocket_does_not_say_flux2(tmp_path):
    save_skill(made_skill(), tmp_path / "s.safetensors")
    with safe_open(tmp_path / "s.safetensors", framework="pt") as file:
        assert file.metadata()["modelspec.architecture"] == "pocket/lora"


def test_load_skill_by_the_name_of_one_in_the_package(tmp_path, monkeypatch):
    (tmp_path / "skills").mkdir()
    save_skill(made_skill(), tmp_path / "skills" / "outline.safetensors")
    monkeypatch.setattr("triptych.skill.files", lambda _: tmp_path)
    assert shipped_skills() == ("outline",)
    assert load_skill("outline").name == "outline"
    with pytest.raises(SkillError, match="there is no skill"):
        load_skill("other")
