"""nf4 without a GPU: bitsandbytes packs and computes on the CPU too, where `pip install bitsandbytes` has been run.

transformers loads such weights there; diffusers asks for a GPU first, and so do we: both questions are left out here.
Where the processor multiplies bfloat16, bitsandbytes lays
weights out for it in groups of 32 rows, which these small layers do not have; that is left out too.
"""

from pathlib import Path

import pytest
import torch
from diffusers.quantizers.bitsandbytes.bnb_quantizer import BnB4BitDiffusersQuantizer
from torch import Tensor

from tiny_files import write_klein
from tiny_models import filled, picture
from tiny_training import made_page, random_skill, recipe
from triptych.models import choosing
from triptych.models.adapters import Skills
from triptych.models.backbone import Conditioning
from triptych.models.flux2.backbone import Flux2
from triptych.models.loading import load
from triptych.models.options import LoadOptions, Offload, Quantise
from triptych.page import Page, condition, slot
from triptych.training.loop import train

bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
PAGE = Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 64))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_klein(tmp_path_factory.mktemp("klein"), is_distilled=True)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_hindrance", lambda *_: None)
    monkeypatch.setattr(BnB4BitDiffusersQuantizer, "validate_environment", lambda *_, **__: None)
    monkeypatch.setattr(bitsandbytes.nn.modules, "has_avx512bf16", lambda: False)


def read(folder: Path, quantise: Quantise, offload: Offload = Offload.NONE) -> Flux2:
    options = LoadOptions(device="cpu", dtype=torch.float32, quantise=quantise, offload=offload)
    backbone = load(folder, options)
    assert isinstance(backbone, Flux2)
    return backbone


def made(backbone: Flux2) -> Tensor:
    return filled(backbone, PAGE, Conditioning.REFERENCE, steps=2)[0]


@pytest.mark.usefixtures("on_cpu")
def test_nf4_packs_text_encoder_and_transformer_and_changes_the_picture_little(folder: Path) -> None:
    exact, small = read(folder, Quantise.NONE), read(folder, Quantise.NF4)
    packed = [
        module
        for part in (small.transformer, small.text.encoder)
        for module in part.modules()
        if isinstance(module, bitsandbytes.nn.Linear4bit)
    ]
    assert len(packed) > 50
    assert all(module.weight.quant_state.quant_type == "nf4" for module in packed)
    assert {module.weight.dtype for module in packed} == {torch.uint8}
    assert not [module for module in small.codec.vae.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert 0 < (made(exact) - made(small)).abs().mean() < 0.06


def widened(folder: Path) -> Flux2:
    """Plain layers with the weights that nf4 stands for: what nf4 is to compute, by another way."""
    plain, small = read(folder, Quantise.NONE), read(folder, Quantise.NF4)
    for wide, packed in ((plain.transformer, small.transformer), (plain.text.encoder, small.text.encoder)):
        for name, module in packed.named_modules():
            if isinstance(module, bitsandbytes.nn.Linear4bit):
                value = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
                wide.get_submodule(name).weight.data.copy_(value)
    return plain


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("offload", [Offload.NONE, Offload.PARTS])
def test_nf4_with_a_skill_is_what_its_weights_stand_for_with_it(folder: Path, offload: Offload) -> None:
    plain, small = widened(folder), read(folder, Quantise.NF4, offload)
    skill, bare = random_skill(plain), made(small)
    torch.testing.assert_close(bare, made(plain), atol=1e-3, rtol=0)
    pictures = []
    for backbone in (plain, small):
        with Skills(skill).applied(backbone):
            pictures.append(made(backbone))
    torch.testing.assert_close(pictures[1], pictures[0], atol=1e-3, rtol=0)
    assert (bare - pictures[1]).abs().mean() > 0.02
    assert torch.equal(made(small), bare)


@pytest.mark.usefixtures("on_cpu")
def test_train_on_nf4_learns_what_its_weights_stand_for(folder: Path, tmp_path: Path) -> None:
    learned = []
    for number, backbone in enumerate((widened(folder), read(folder, Quantise.NF4))):
        plan = recipe(steps=2, batch=1, draws=1, sides_px=(32,), optimizer={"learning_rate": 1e-3})
        skill = train([made_page(1)], tmp_path / f"{number}.safetensors", plan, backbone)
        # B begins at zero: where it went is what was learned.
        learned.append(torch.cat([value.flatten() for name, value in skill.tensors.items() if "lora_B" in name]))
    assert learned[1].abs().mean() > 1e-3
    assert torch.cosine_similarity(*learned, dim=0) > 0.95
