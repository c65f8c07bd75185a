"""What is known of a backbone before its weights are read."""

from dataclasses import replace
from pathlib import Path

import pytest

from tiny_flux3 import write_flux3
from triptych.models.catalog import CHECKPOINTS, SHIPPED, find_checkpoint, known_card
from triptych.models.loading import load
from triptych.models.pocket import save_pocket
from triptych.models.pocket.backbone import pocket_card
from triptych.models.pocket.files import pocket_config, shipped_pocket


@pytest.mark.parametrize("card", [each.card for each in SHIPPED], ids=lambda card: card.name)
def test_shipped_pocket_says_in_its_file_what_the_catalogue_says(card):
    assert pocket_card(pocket_config(shipped_pocket(card.name))) == card


def test_known_card_of_a_pockets_file_is_read_from_the_file(pocket, tmp_path: Path):
    save_pocket(pocket.network, pocket.tokenizer, tmp_path / "mine.safetensors")
    assert known_card(str(tmp_path / "mine.safetensors")) == pocket.card


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", b"GGUF\x03\x00\x00\x00"])
def test_known_card_of_another_file_is_none(content, tmp_path: Path):
    (tmp_path / "other.gguf").write_bytes(content)
    assert known_card(str(tmp_path / "other.gguf")) is None


def test_known_card_by_the_end_of_a_hub_name():
    card = known_card("FLUX.2-klein-4B")
    assert card is not None
    assert card.name == "black-forest-labs/FLUX.2-klein-4B"


def test_undistilled_checkpoints_are_known_and_of_one_network_with_theirs():
    distilled = [checkpoint for checkpoint in CHECKPOINTS if checkpoint.undistilled]
    assert {each.card.name.rpartition("/")[2] for each in distilled} >= {"FLUX.2-klein-4B", "FLUX.1-schnell"}
    for each in distilled:
        base = find_checkpoint(each.undistilled)
        assert base is not None and base.shape == each.shape and base.card.family == each.card.family
        assert base.card.steps > each.card.steps and not base.undistilled


@pytest.mark.parametrize("distilled", [True, False])
def test_known_card_of_a_folder_is_the_one_that_it_is_loaded_with(distilled, tmp_path: Path):
    write_flux3(tmp_path / "mine", distilled=distilled)
    known, loaded = known_card(str(tmp_path / "mine")), load(str(tmp_path / "mine")).card
    assert known is not None and known.reads_boxes and (known.negative is None) is distilled
    assert replace(known, factor=loaded.factor, channels=loaded.channels) == loaded


def test_known_card_of_a_folder_with_a_known_name_is_that_checkpoints(tmp_path: Path):
    (tmp_path / "FLUX.2-klein-4B").mkdir()
    assert known_card(str(tmp_path / "FLUX.2-klein-4B")) == known_card("FLUX.2-klein-4B")


def test_known_card_of_a_file_with_its_base_is_the_bases(tmp_path: Path):
    (tmp_path / "klein-Q4.gguf").write_bytes(b"GGUF")
    base = known_card("FLUX.2-klein-4B")
    assert base is not None and known_card(f"{tmp_path / 'klein-Q4.gguf'}@FLUX.2-klein-4B") == base


@pytest.mark.parametrize("index", [None, "{", '{"_class_name": "NoSuchPipeline"}'])
def test_known_card_of_another_folder_is_none(index, tmp_path: Path):
    if index is not None:
        (tmp_path / "model_index.json").write_text(index)
    assert known_card(str(tmp_path)) is None
