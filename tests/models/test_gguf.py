"""A transformer from a GGUF file, with the base found here, in the cache of the Hub or nowhere."""

import importlib.util
import shutil
import time
from pathlib import Path

import huggingface_hub
import pytest
import torch

from tiny_files import original_names, write_gguf
from tiny_models import filled, flux2_transformer, picture
from tiny_training import made_page, random_skill, recipe
from triptych.errors import BackboneError
from triptych.models.adapters import Skills
from triptych.models.backbone import Conditioning
from triptych.models.loading import load
from triptych.models.offloading import lend_blocks
from triptych.models.options import LoadOptions
from triptych.page import Page, condition, slot
from triptych.training.loop import train

ON_CPU = LoadOptions(device="cpu", dtype=torch.float32)
PAGE = Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 64))))


def test_load_gguf_without_its_package_or_base_says_what_to_do(klein_folder, tmp_path, monkeypatch):
    (tmp_path / "klein.gguf").write_bytes(b"GGUF")
    with pytest.raises(BackboneError, match="Name the checkpoint"):
        load(tmp_path / "klein.gguf", ON_CPU)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BackboneError, match=r"pip install 'triptych\[gguf\]'"):
        load(tmp_path / "klein.gguf", LoadOptions(device="cpu", base=str(klein_folder)))


def test_load_gguf_in_eight_bits_makes_nearly_the_same_picture_and_takes_a_skill(klein_folder, tmp_path):
    write_gguf(tmp_path / "klein-Q8_0.gguf", original_names(flux2_transformer().state_dict()))
    exact = load(klein_folder, ON_CPU)
    small = load(f"{tmp_path / 'klein-Q8_0.gguf'}@{klein_folder}", ON_CPU)
    assert small.transformer.single_transformer_blocks[0].attn.to_out.weight.dtype is torch.uint8
    pictures = [filled(each, PAGE, Conditioning.REFERENCE, steps=2)[0] for each in (exact, small)]
    assert 0 < (pictures[0] - pictures[1]).abs().mean() < 0.02
    skill, made = random_skill(exact), []
    for backbone in (exact, small):
        with Skills(skill).applied(backbone):
            made.append(filled(backbone, PAGE, Conditioning.REFERENCE, steps=2)[0])
    assert (made[0] - made[1]).abs().mean() < 0.02 < (made[0] - pictures[0]).abs().mean()


def test_load_gguf_that_is_damaged_says_so(klein_folder, tmp_path):
    pytest.importorskip("gguf")
    (tmp_path / "cut.gguf").write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(BackboneError, match=r"cut\.gguf is not a readable GGUF file"):
        load(f"{tmp_path / 'cut.gguf'}@{klein_folder}", ON_CPU)


@pytest.fixture
def unreachable_hub(tmp_path, monkeypatch) -> Path:
    """Where the Hub's cache is; the Hub itself is at a port that nobody listens on."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.usefixtures("unreachable_hub")
def test_load_gguf_that_is_damaged_says_so_before_the_hub_is_asked_for_its_base(tmp_path):
    pytest.importorskip("gguf")
    (tmp_path / "cut.gguf").write_bytes(b"GGUF" + bytes(20))
    write_gguf(tmp_path / "whole.gguf", {"one": torch.zeros(4, 64), "two": torch.ones(64)})
    (tmp_path / "short.gguf").write_bytes((tmp_path / "whole.gguf").read_bytes()[:-64])
    started = time.monotonic()
    for name in ("cut", "short"):
        with pytest.raises(BackboneError, match=rf"{name}\.gguf is not a readable GGUF file"):
            load(f"{tmp_path / name}.gguf@owner/klein", ON_CPU)
    assert time.monotonic() - started < 5, "asking takes longer: the client tries again"


@pytest.mark.usefixtures("unreachable_hub")
def test_load_gguf_whose_base_is_not_here_says_so_at_once_where_the_hub_may_not_be_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    write_gguf(tmp_path / "klein.gguf", {"one": torch.zeros(4, 64)})
    started = time.monotonic()
    with pytest.raises(BackboneError, match=r"FLUX\.2-klein-4B is not in the cache .* HF_HUB_OFFLINE says not to ask"):
        load(f"{tmp_path / 'klein.gguf'}@FLUX.2-klein-4B", ON_CPU)
    assert time.monotonic() - started < 5


def test_load_gguf_takes_its_base_from_the_hubs_cache_when_offline(
    klein_folder, tmp_path, unreachable_hub, monkeypatch
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    snapshot = unreachable_hub / "models--owner--klein" / "snapshots" / ("0" * 40)
    shutil.copytree(klein_folder, snapshot)
    (unreachable_hub / "models--owner--klein" / "refs").mkdir()
    (unreachable_hub / "models--owner--klein" / "refs" / "main").write_text("0" * 40)
    write_gguf(tmp_path / "klein.gguf", original_names(flux2_transformer().state_dict()))
    here = load(f"{tmp_path / 'klein.gguf'}@{klein_folder}", ON_CPU)
    kept = load(f"{tmp_path / 'klein.gguf'}@owner/klein", ON_CPU)
    pictures = [filled(each, PAGE, Conditioning.REFERENCE, steps=2)[0] for each in (here, kept)]
    assert torch.equal(*pictures)


def test_load_gguf_with_missing_blocks_says_so(klein_folder, tmp_path):
    named = original_names(flux2_transformer().state_dict())
    write_gguf(tmp_path / "half.gguf", {name: value for name, value in named.items() if "single_blocks.1" not in name})
    with pytest.raises(BackboneError, match="not the whole Flux2Transformer2DModel"):
        load(tmp_path / "half.gguf", LoadOptions(device="cpu", dtype=torch.float32, base=str(klein_folder)))


def test_lent_blocks_of_a_gguf_file_make_the_same_picture(klein_folder, tmp_path):
    """Whatever is copied stays what it was, quantised weights too: here on one device."""
    write_gguf(tmp_path / "klein-Q8_0.gguf", original_names(flux2_transformer().state_dict()))
    backbone = load(f"{tmp_path / 'klein-Q8_0.gguf'}@{klein_folder}", ON_CPU)
    whole = filled(backbone, PAGE, Conditioning.REFERENCE, steps=2)[0]
    lend_blocks(backbone.transformer, torch.device("cpu"))
    assert torch.equal(filled(backbone, PAGE, Conditioning.REFERENCE, steps=2)[0], whole)


def test_train_on_a_gguf_file_learns_nearly_the_skill_of_the_folder(klein_folder, tmp_path):
    write_gguf(tmp_path / "klein-Q8_0.gguf", original_names(flux2_transformer().state_dict()))
    learned = []
    for name, source in (("one", klein_folder), ("other", f"{tmp_path / 'klein-Q8_0.gguf'}@{klein_folder}")):
        plan = recipe(steps=2, batch=1, draws=1, sides_px=(32,), optimizer={"learning_rate": 1e-3})
        skill = train([made_page(1)], tmp_path / f"{name}.safetensors", plan, load(source, ON_CPU))
        # B begins at zero: where it went is what was learned.
        learned.append(torch.cat([value.flatten() for key, value in skill.tensors.items() if "lora_B" in key]))
    assert learned[1].abs().mean() > 1e-3
    assert torch.cosine_similarity(*learned, dim=0) > 0.9
