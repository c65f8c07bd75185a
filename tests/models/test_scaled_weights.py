"""A transformer from one file with scales beside its weights, and ways of storing that are not read."""

import json
import shutil

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers
from safetensors.torch import save_file
from torch import Tensor

from tiny_files import original_names
from tiny_models import flux2_transformer
from triptych.errors import BackboneError
from triptych.models.keyformats.fusing import swap_halves
from triptych.models.keyformats.layers import layers_of
from triptych.models.loading import load
from triptych.models.options import LoadOptions
from triptych.models.singlefile import unscaled

ON_CPU = LoadOptions(device="cpu", dtype=torch.float32)
FP8 = torch.float8_e4m3fn


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
