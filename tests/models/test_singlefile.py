"""A transformer from one file: other names, scales beside the weights, GGUF, and what is refused."""

import importlib.util
import json
import shutil
import time
from pathlib import Path

import huggingface_hub
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers
from safetensors.torch import save_file
from torch import Tensor

from tiny_files import original_names, write_gguf, write_klein
from tiny_models import filled, flux2_transformer, picture
from tiny_training import random_skill
from triptych.errors import BackboneError
from triptych.models.adapters import Skills
from triptych.models.backbone import Conditioning
from triptych.models.fingerprints import file_fingerprint
from triptych.models.keyformats.fusing import swap_halves
from triptych.models.keyformats.layers import layers_of
from triptych.models.loading import load
from triptych.models.options import LoadOptions, Quantise
from triptych.models.singlefile import unscaled
from triptych.page import Page, condition, slot

ON_CPU = LoadOptions(device="cpu", dtype=torch.float32)
PAGE = Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 64))))
FP8 = torch.float8_e4m3fn


@pytest.fixture(scope="module")
def klein_folder(tmp_path_factory) -> Path:
    return write_klein(tmp_path_factory.mktemp("klein"), is_distilled=True)


def test_load_single_file_takes_its_other_parts_from_base(klein_folder, tmp_path):
    file = tmp_path / "transformer.safetensors"
    weights = {name: tensor.clone() for name, tensor in flux2_transformer().state_dict().items()}
    weights["proj_out.weight"] *= 2
    save_file(weights, file)
    with pytest.raises(BackboneError, match="holds a transformer alone"):
        load(file, ON_CPU)
    backbone = load(file, LoadOptions(device="cpu", dtype=torch.float32, base=str(klein_folder)))
    torch.testing.assert_close(backbone.transformer.proj_out.weight, weights["proj_out.weight"])
    # The base's name alone would find other weights.
    assert backbone.card.weights == file_fingerprint(file)
    assert load(klein_folder, ON_CPU).card.weights is None


@pytest.mark.parametrize("length", [0, 1000, 3 * 2**16, 2**26, 2**26 + 2**16 + 5])
def test_fingerprint_follows_length_and_bytes_wherever_they_are_read(tmp_path, length):
    files = [tmp_path / "one.bin", tmp_path / "same.bin", tmp_path / "longer.bin", tmp_path / "last.bin"]
    data = b"\1" * length
    for file, content in zip(files, [data, data, data + b"\1", data[:-1] + b"\2"], strict=True):
        file.write_bytes(content)
    one, same, longer, last = map(file_fingerprint, files)
    assert one == same
    assert len({one, longer, last}) == 3


def scales_of(weight: Tensor, blocks: int) -> Tensor:
    """The greatest number of the weight, of each row (1) or of each block of a row; none: of the whole."""
    if not blocks:
        return (weight.abs().max() / 448).reshape(1)
    return weight.reshape(len(weight), blocks, -1).abs().amax(-1, keepdim=True) / 448


def in_fp8(named: dict[str, Tensor], ending: str, blocks: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A file with its scales called `ending`, and the weights that it stands for."""
    stored, exact = {}, {}
    for name, tensor in named.items():
        if tensor.ndim < 2 or "blocks" not in name:
            stored[name] = exact[name] = tensor
            continue
        scale = scales_of(tensor, blocks)
        rows = tensor.reshape(len(scale), max(blocks, 1), -1) / scale.reshape(len(scale), -1, 1)
        stored[name] = rows.reshape(tensor.shape).to(FP8)
        exact[name] = (stored[name].float().reshape(rows.shape) * scale.reshape(len(scale), -1, 1)).reshape(
            tensor.shape
        )
        layer = name.removesuffix(".weight")
        stored[f"{layer}.{ending}"] = scale if blocks > 1 else scale.reshape(-1)
        stored[f"{layer}.{'scale_input' if ending == 'scale_weight' else 'input_scale'}"] = torch.ones(1)
        if ending == "weight_scale":
            said = json.dumps({"format": "float8_e4m3fn"}).encode()
            stored[f"{layer}.comfy_quant"] = torch.tensor(list(said), dtype=torch.uint8)
    if ending == "scale_weight":
        stored["scaled_fp8"] = torch.zeros(2, dtype=FP8)
    return stored, exact


@pytest.mark.parametrize("blocks", [0, 1, 4], ids=["one number", "a row", "a block"])
@pytest.mark.parametrize("ending", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_load_single_file_in_scaled_fp8_equals_the_same_weights_unscaled(
    prefix, ending, blocks, klein_folder, tmp_path
):
    stored, exact = in_fp8(original_names(flux2_transformer().state_dict()), ending, blocks)
    loaded = []
    for name, tensors in (("stored", stored), ("exact", exact)):
        save_file({prefix + key: value.clone() for key, value in tensors.items()}, tmp_path / f"{name}.safetensors")
        loaded.append(load(f"{tmp_path / name}.safetensors@{klein_folder}", ON_CPU).transformer.state_dict())
    assert loaded[0].keys() == flux2_transformer().state_dict().keys()
    for name, weight in loaded[1].items():
        assert torch.equal(loaded[0][name], weight), name
    assert any(not torch.equal(loaded[0][name], weight) for name, weight in flux2_transformer().state_dict().items())


def flux1_file(width: int, columns: int | None = None) -> dict[str, Tensor]:
    """A FLUX.1 transformer of one double and one single block under its authors' names; layers of `columns` inputs."""
    generator = torch.Generator().manual_seed(5)
    named = {}
    for layer in layers_of("flux1"):
        if "processor" in layer.original:  # of another trainer, not in the authors' code
            continue
        whole = torch.randn(width * sum(layer.heights), columns or width, generator=generator)
        stem = layer.original.replace("{n}", "0")
        named[f"{stem}.weight"] = swap_halves(whole) if layer.swapped else whole
        named[f"{stem}.bias"] = whole[:, 0].clone()
    for place in ("double_blocks.0.img_attn", "double_blocks.0.txt_attn", "single_blocks.0"):
        named |= {f"{place}.norm.{side}_norm.scale": torch.ones(1) for side in ("query", "key")}
    return named


@pytest.mark.parametrize("ending", ["scale_weight", "weight_scale"])
def test_scaled_fp8_of_flux1_equals_the_same_weights_unscaled(ending):
    """Of the released width, at which diffusers' converter splits `linear1`, but of few inputs."""
    stored, exact = in_fp8(flux1_file(3072, 2), ending)
    file = {f"model.diffusion_model.{name}": tensor for name, tensor in stored.items()}
    ours = convert_flux_transformer_checkpoint_to_diffusers(unscaled(file, torch.float32))
    expected = convert_flux_transformer_checkpoint_to_diffusers(dict(exact))
    assert ours.keys() == expected.keys()
    for name, weight in expected.items():
        assert torch.equal(ours[name], weight), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"comfy_quant": {"format": "nvfp4"}}, r"stores single_blocks\.0\.linear2 as nvfp4, which cannot be read"),
        ({"comfy_quant": {"format": "float8_e4m3fn", "convrot": True}}, "as float8_e4m3fn, rotated"),
        (
            {"comfy_quant": torch.tensor(list(b"fp8?"), dtype=torch.uint8)},
            r"linear2\.comfy_quant .* known \(b'fp8\?'\)",
        ),
        ({"comfy_quant": torch.tensor([1.5])}, "how its layers are stored, in another way than is known"),
        ({"comfy_quant": torch.tensor(list(b"[1]"), dtype=torch.uint8)}, "in another way than is known"),
        ({"scale_weight": torch.zeros(0)}, r"the scales of single_blocks\.0\.linear2\.weight .* are of size \(0,\)"),
        ({"weight_scale_2": torch.ones(1)}, "as nvfp4"),
        ({"weight_scale": torch.ones(3)}, r"scales of single_blocks\.0\.linear2\.weight .* are of size \(3,\)"),
        ({"other.weight_scale": torch.ones(1)}, r"scale for single_blocks\.0\.linear2\.other\.weight, and no such"),
    ],
)
def test_load_single_file_in_bits_that_are_not_read_is_refused_by_name(change, said, klein_folder, tmp_path):
    named = original_names(flux2_transformer().state_dict())
    for ending, value in change.items():
        if isinstance(value, dict):
            value = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
        named[f"single_blocks.0.linear2.{ending}"] = value
    save_file(named, tmp_path / "other.safetensors")
    with pytest.raises(BackboneError, match=said):
        load(f"{tmp_path / 'other.safetensors'}@{klein_folder}", ON_CPU)


def test_load_single_file_whose_metadata_says_nvfp4_is_refused_by_name(klein_folder, tmp_path):
    said = json.dumps({"layers": {"double_blocks.0.img_mlp.0": {"format": "nvfp4"}}})
    named = original_names(flux2_transformer().state_dict())
    save_file(named, tmp_path / "other.safetensors", metadata={"_quantization_metadata": said})
    with pytest.raises(BackboneError, match=r"stores double_blocks\.0\.img_mlp\.0 as nvfp4"):
        load(f"{tmp_path / 'other.safetensors'}@{klein_folder}", ON_CPU)


@pytest.mark.parametrize("said", ["nvfp4", "[]", '"layers"', '{"layers": ["nvfp4"]}'])
def test_load_single_file_whose_metadata_is_of_another_kind_says_so(said, klein_folder, tmp_path):
    named = original_names(flux2_transformer().state_dict())
    save_file(named, tmp_path / "other.safetensors", metadata={"_quantization_metadata": said})
    with pytest.raises(BackboneError, match=r"says at _quantization_metadata how its layers are stored"):
        load(f"{tmp_path / 'other.safetensors'}@{klein_folder}", ON_CPU)


@pytest.mark.parametrize("weight", [torch.tensor(1.0), torch.zeros(0, 4)])
def test_scales_of_a_weight_that_has_no_rows_are_refused(weight, klein_folder, tmp_path):
    named = original_names(flux2_transformer().state_dict())
    named |= {"single_blocks.0.linear2.weight": weight, "single_blocks.0.linear2.scale_weight": torch.ones(3)}
    save_file(named, tmp_path / "other.safetensors")
    with pytest.raises(BackboneError, match=r"the scales of single_blocks\.0\.linear2\.weight"):
        load(f"{tmp_path / 'other.safetensors'}@{klein_folder}", ON_CPU)


def test_load_folder_of_diffusers_names_with_scales_applies_them(klein_folder, tmp_path):
    """diffusers' own reader would leave them out and load weights that are hundreds of times too large."""
    stored, exact = in_fp8(flux2_transformer().state_dict(), "scale_weight")
    shutil.copytree(klein_folder, tmp_path / "copy")
    file = tmp_path / "copy" / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor.clone() for name, tensor in stored.items()}, file)
    loaded = load(tmp_path / "copy", ON_CPU).transformer.state_dict()
    for name, weight in exact.items():
        assert torch.equal(loaded[name], weight), name


def test_load_folder_with_an_original_file_as_the_error_advises(klein_folder, tmp_path):
    shutil.copytree(klein_folder, tmp_path / "copy")
    exact = flux2_transformer().state_dict()
    save_file(original_names(exact), tmp_path / "copy" / "transformer" / "diffusion_pytorch_model.safetensors")
    loaded = load(tmp_path / "copy", ON_CPU).transformer.state_dict()
    for name, weight in exact.items():
        torch.testing.assert_close(loaded[name], weight)


@pytest.mark.parametrize("fault", ["missing", "size", "family"])
def test_load_single_file_that_is_not_the_bases_says_what_is_wrong(fault, klein_folder, tmp_path):
    weights = {name: tensor.clone() for name, tensor in flux2_transformer().state_dict().items()}
    match fault:
        case "missing":
            weights = {name: tensor for name, tensor in weights.items() if "single_transformer_blocks.0." not in name}
        case "size":
            weights["proj_out.weight"] = torch.zeros(3, 3)
        case _:
            weights = {f"double_blocks.0.{name}.weight": torch.zeros(2, 2) for name in ("img_mod.lin", "vector_in")}
    save_file(weights, tmp_path / "other.safetensors")
    said = {"missing": r"\d missing", "size": "1 of another size .proj_out", "family": "another kind|missing"}[fault]
    with pytest.raises(BackboneError, match=f"not the whole Flux2Transformer2DModel.*({said})"):
        load(tmp_path / "other.safetensors", LoadOptions(device="cpu", base=str(klein_folder)))


@pytest.mark.parametrize("names", [dict, original_names])
def test_load_single_file_in_int8_is_the_folder_in_int8(names, klein_folder, tmp_path):
    """diffusers' reader of single files says nothing, and leaves their weights as they are."""
    pytest.importorskip("torchao")
    save_file(
        {name: weight.clone() for name, weight in names(flux2_transformer().state_dict()).items()},
        tmp_path / "a.safetensors",
    )
    how = {"device": "cpu", "dtype": torch.float32, "quantise": Quantise.INT8}
    folder, file = (
        load(klein_folder, LoadOptions(**how)),
        load(f"{tmp_path / 'a.safetensors'}@{klein_folder}", LoadOptions(**how)),
    )
    layers = [each.transformer.transformer_blocks[0].attn.to_q.weight for each in (folder, file)]
    assert type(layers[0]) is type(layers[1]) is not torch.nn.Parameter
    pictures = [filled(each, PAGE, Conditioning.REFERENCE, steps=2)[0] for each in (folder, file)]
    torch.testing.assert_close(*pictures)


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
