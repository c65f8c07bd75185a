"""A transformer from one file: its base, other names, and what is refused."""

import shutil

import pytest
import torch
from safetensors.torch import save_file

from tiny_files import original_names
from tiny_models import filled, flux2_transformer, picture
from triptych.errors import BackboneError
from triptych.models.backbone import Conditioning
from triptych.models.fingerprints import file_fingerprint
from triptych.models.loading import load
from triptych.models.options import LoadOptions, Quantise
from triptych.page import Page, condition, slot

ON_CPU = LoadOptions(device="cpu", dtype=torch.float32)
PAGE = Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 64))))


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
