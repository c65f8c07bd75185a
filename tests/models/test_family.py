"""The record of a family: everything about it is in its own folder, and a new one is one name in the catalogue."""

import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import diffusers
import pytest
import torch

import triptych
from tiny_models import filled, flux1, picture, tokenizer
from triptych.errors import BackboneError
from triptych.models import catalog
from triptych.models.backbone import Conditioning
from triptych.models.catalog import FAMILIES, find_family
from triptych.models.family import Checkpoint, Family
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux1.family import FLUX1
from triptych.models.keyformats.layers import find_layer
from triptych.models.loading import load
from triptych.models.options import LoadOptions
from triptych.page import Page, condition, slot

ON_CPU = LoadOptions(device="cpu", dtype=torch.float32)
PAGE = Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 64))))
# Workflows of ComfyUI are made of its own nodes, family by family; skills of 0.1 called the pocket flux2.
ELSEWHERE = {"comfyui/files.py", "comfyui/workflow.py", "skill.py"}


def test_families_have_names_and_pipelines_of_their_own():
    names = [family.name for family in FAMILIES]
    pipelines = [pipeline for family in FAMILIES for pipeline in family.pipelines]
    assert len(set(names)) == len(names)
    assert len(set(pipelines)) == len(pipelines)
    assert {each.pipeline for family in FAMILIES for each in family.checkpoints} <= {*pipelines, ""}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_code_of_a_family_is_where_its_record_says(family: Family):
    module, _, name = family.code.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_no_other_module_names_a_family():
    folder = Path(triptych.__file__).parent
    names = "|".join(re.escape(family.name) for family in FAMILIES if family.name != "pocket")
    own = {family.code.split(".")[2] for family in FAMILIES}
    found = set()
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).parts
        if not (parts[0] == "models" and parts[1] in own) and re.search(rf'"({names})"', path.read_text()):
            found.add("/".join(parts))
    assert found <= ELSEWHERE


def test_record_of_another_familys_checkpoint_is_refused():
    with pytest.raises(BackboneError, match="not of other"):
        replace(FLUX1, name="other")


def test_families_say_whether_diffusers_pipeline_loads_a_lora():
    for family in FAMILIES:
        for name in family.pipelines:
            assert hasattr(getattr(diffusers, name), "load_lora_weights") is family.lora_loader, name


def write_folder(folder: Path, pipeline: str) -> Flux1:
    made = flux1(Flux1)
    parts = {
        "text_encoder": made.text.clip,
        "text_encoder_2": made.text.t5,
        "transformer": made.transformer,
        "vae": made.codec.vae,
        "scheduler": made._scheduler,
        "tokenizer": tokenizer(),
        "tokenizer_2": tokenizer(),
    }
    index: dict[str, object] = {"_class_name": pipeline}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
        library = "diffusers" if name in ("transformer", "vae", "scheduler") else "transformers"
        index[name] = [library, type(part).__name__]
    (folder / "model_index.json").write_text(json.dumps(index))
    return made


def test_new_family_is_one_record_in_the_catalogue(tmp_path, monkeypatch):
    card = replace(FLUX1.checkpoints[0].card, name="owner/new", family="new", max_text_tokens=64)
    new = Family(
        name="new",
        code="triptych.models.flux1.building:flux1",
        pipelines=("NewPipeline",),
        checkpoints=(Checkpoint(card=card, pipeline="NewPipeline", shape=FLUX1.checkpoints[0].shape),),
        layers=FLUX1.layers,
        architecture="new",
        base_model="New",
    )
    made = write_folder(tmp_path, "NewPipeline")
    with pytest.raises(BackboneError, match="is a NewPipeline; known are"):
        load(tmp_path, ON_CPU)
    # The line that adds a family.
    monkeypatch.setattr(catalog, "FAMILIES", (*FAMILIES, new))
    loaded = load(tmp_path, ON_CPU)
    assert (loaded.card.family, loaded.card.licence) == ("new", "see the card of the checkpoint")
    loaded.text.clip_limit = made.text.clip_limit
    ours, expected = (filled(each, PAGE, Conditioning.REPAINT, steps=2)[0] for each in (loaded, made))
    torch.testing.assert_close(ours, expected)
    record = find_family("new")
    assert record is new
    place = find_layer("double_blocks.0.img_attn.proj", "new")
    assert place is not None and place.modules == ("transformer_blocks.0.attn.to_out.0",)


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("FluxInpaintPipeline", "Nearest is FluxPipeline"),
        ("Flux2KleinInpaintPipeline", "Nearest is Flux2KleinPipeline"),
        ("QwenImagePipeline", "Nearest is QwenImage"),
        ("ZZZ", "known are: Flux2KleinKVPipeline, Flux2KleinPipeline"),
    ],
)
def test_unknown_pipeline_is_refused_with_what_is_known_and_nearest(pipeline, said, tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    with pytest.raises(BackboneError, match=said) as caught:
        load(tmp_path, ON_CPU)
    assert ("Nearest" in str(caught.value)) is (pipeline != "ZZZ")
