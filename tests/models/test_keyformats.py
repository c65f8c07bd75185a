"""Keys of other programs: diffusers' own loader is the oracle, and every format is read back to what was written."""

import copy

import pytest
import torch
from diffusers import Flux2KleinPipeline, FluxPipeline
from diffusers.loaders.single_file_utils import (
    convert_flux2_transformer_checkpoint_to_diffusers,
    convert_flux_transformer_checkpoint_to_diffusers,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from tiny_models import dynamic_scheduler, filled, flux1, klein, picture
from triptych.errors import SkillError
from triptych.models.adapters import Skills, linear_names
from triptych.models.backbone import Conditioning
from triptych.models.flux1.backbone import Flux1
from triptych.models.keyformats import KeyFormat, exported, inspect_lora, read_lora, save_exported
from triptych.models.keyformats.fusing import fuse, swap_halves, unfuse
from triptych.models.keyformats.layers import layers_of
from triptych.page import Page, condition, slot
from triptych.prompts import find_template
from triptych.skill import Skill, SkillCard

BLOCKS = ("transformer_blocks.*", "single_transformer_blocks.*")
DOUBLE = ("transformer_blocks.*",)
PAGE = Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(32, 24))))


def made(backbone, family, patterns=BLOCKS, **changes):
    transformer = backbone.transformer
    generator = torch.Generator().manual_seed(5)
    tensors = {}
    for module in linear_names(transformer, patterns):
        layer = transformer.get_submodule(module)
        tensors[f"transformer.{module}.lora_A.weight"] = torch.randn(3, layer.in_features, generator=generator) * 0.3
        tensors[f"transformer.{module}.lora_B.weight"] = torch.randn(layer.out_features, 3, generator=generator) * 0.3
    facts = {
        "name": "made",
        "backbone": "tiny",
        "family": family,
        "rank": 3,
        "alpha": 2,
        "template": find_template("panels"),
    }
    return Skill(card=SkillCard(**(facts | changes)), tensors=tensors)


def deltas(skill):
    return {module: skill.scale * skill.pair(module)[1] @ skill.pair(module)[0] for module in skill.modules}


def assert_same_updates(first, second):
    ours, theirs = deltas(first), deltas(second)
    assert ours.keys() == theirs.keys()
    for module, value in ours.items():
        torch.testing.assert_close(value, theirs[module], atol=1e-5, rtol=1e-5)


def pipeline_of(backbone):
    if isinstance(backbone, Flux1):
        text = backbone.text
        return FluxPipeline(
            scheduler=dynamic_scheduler(),
            vae=backbone.codec.vae,
            text_encoder=text.clip,
            tokenizer=text.clip_tokenizer,
            text_encoder_2=text.t5,
            tokenizer_2=text.t5_tokenizer,
            transformer=backbone.transformer,
        )
    return Flux2KleinPipeline(
        scheduler=dynamic_scheduler(),
        vae=backbone.codec.vae,
        text_encoder=backbone.text.encoder,
        tokenizer=backbone.text.tokenizer,
        transformer=backbone.transformer,
    )


@pytest.mark.parametrize(
    ("family", "patterns", "keys"),
    [
        ("flux2", BLOCKS, KeyFormat.DIFFUSERS),
        ("flux2", BLOCKS, KeyFormat.KOHYA),
        ("flux2", BLOCKS, KeyFormat.COMFYUI),
        ("flux1", BLOCKS, KeyFormat.DIFFUSERS),
        # diffusers splits the single blocks of kohya files at the widths of the full-size model only.
        ("flux1", DOUBLE, KeyFormat.KOHYA),
    ],
)
@pytest.mark.parametrize("stabilised", [False, True])
def test_save_exported_loaded_by_diffusers_gives_the_same_pictures(tmp_path, family, patterns, keys, stabilised):
    backbone = klein() if family == "flux2" else flux1(Flux1)
    way = Conditioning.REFERENCE if family == "flux2" else Conditioning.REPAINT
    skill = made(backbone, family, patterns, rank_stabilised=stabilised)
    bare = filled(backbone, PAGE, way)[0]
    with Skills(skill).applied(backbone):
        ours = filled(backbone, PAGE, way)[0]
    save_exported(skill, tmp_path / "lora.safetensors", keys)
    pipeline_of(backbone).load_lora_weights(tmp_path, weight_name="lora.safetensors")
    theirs = filled(backbone, PAGE, way)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert (ours - bare).abs().max() > 1e-2


@pytest.mark.parametrize("family", ["flux1", "flux2"])
@pytest.mark.parametrize("keys", list(KeyFormat))
def test_read_lora_gives_back_what_was_exported(tmp_path, family, keys):
    backbone = klein() if family == "flux2" else flux1(Flux1)
    skill = made(backbone, family)
    save_exported(skill, tmp_path / "made.safetensors", keys)
    read, report = read_lora(
        tmp_path / "made.safetensors", family=family, backbone="tiny", transformer=backbone.transformer
    )
    assert report.is_whole
    assert_same_updates(skill, read)


def _xlabs(tensors):
    names = {
        "img_attn.qkv": "processor.qkv_lora1",
        "txt_attn.qkv": "processor.qkv_lora2",
        "img_attn.proj": "processor.proj_lora1",
        "txt_attn.proj": "processor.proj_lora2",
    }
    return _renamed(tensors, names, {"lora_A": "down", "lora_B": "up"}, "")


def _diffsynth(tensors):
    names = {
        "double_blocks": "blocks",
        "img_attn.qkv": "attn.a_to_qkv",
        "txt_attn.qkv": "attn.b_to_qkv",
        "img_attn.proj": "attn.a_to_out",
        "txt_attn.proj": "attn.b_to_out",
        "img_mlp": "ff_a",
        "txt_mlp": "ff_b",
        "img_mod.lin": "norm1_a.linear",
        "txt_mod.lin": "norm1_b.linear",
    }
    return _renamed(tensors, names, {"lora_A": "lora_A.default", "lora_B": "lora_B.default"}, "")


def _renamed(tensors, names, sides, prefix):
    renamed = {}
    for key, value in tensors.items():
        key = key.removeprefix("diffusion_model.")
        for old, new in (*names.items(), *sides.items()):
            key = key.replace(old, new)
        renamed[prefix + key] = value
    return renamed


@pytest.mark.parametrize(
    ("rename", "patterns"),
    [
        (_xlabs, ("transformer_blocks.*.attn.*",)),
        (_diffsynth, DOUBLE),
        (lambda tensors: _renamed(tensors, {}, {}, ""), BLOCKS),
        (lambda tensors: _renamed(tensors, {}, {}, "base_model.model."), BLOCKS),
    ],
    ids=["xlabs", "diffsynth", "bfl", "fal"],
)
def test_read_lora_other_programs_keys(tmp_path, rename, patterns):
    backbone = flux1(Flux1)
    skill = made(backbone, "flux1", patterns)
    save_file(
        {key: value.clone() for key, value in rename(exported(skill, KeyFormat.COMFYUI)).items()},
        tmp_path / "x.safetensors",
    )
    read, _ = read_lora(tmp_path / "x.safetensors", family="flux1", backbone="tiny", transformer=backbone.transformer)
    assert_same_updates(skill, read)


def test_read_lora_xlabs_single_blocks_go_to_queries_keys_and_values(tmp_path):
    tensors = {
        "single_blocks.1.processor.qkv_lora.down.weight": torch.randn(2, 32),
        "single_blocks.1.processor.qkv_lora.up.weight": torch.randn(96, 2),
    }
    save_file(tensors, tmp_path / "x.safetensors")
    read, _ = read_lora(
        tmp_path / "x.safetensors", family="flux1", backbone="tiny", transformer=flux1(Flux1).transformer
    )
    assert read.modules == tuple(f"single_transformer_blocks.1.attn.to_{side}" for side in "kqv")
    update = (
        tensors["single_blocks.1.processor.qkv_lora.up.weight"]
        @ tensors["single_blocks.1.processor.qkv_lora.down.weight"]
    )
    torch.testing.assert_close(deltas(read)["single_transformer_blocks.1.attn.to_k"], update[32:64])


def test_read_lora_with_one_strange_key_takes_nothing_and_says_which(tmp_path):
    backbone = klein()
    path = tmp_path / "x.safetensors"
    tensors = exported(made(backbone, "flux2"), KeyFormat.KOHYA)
    save_file(tensors | {"lora_te1_text_model.lora_up.weight": torch.zeros(1, 1)}, path)
    with pytest.raises(SkillError, match="1 unmatched, 0 misshaped") as raised:
        read_lora(path, family="flux2", backbone="tiny")
    assert "lora_te1_text_model" in str(raised.value)


def test_inspect_lora_of_another_width_is_misshaped():
    backbone = klein()
    tensors = exported(made(backbone, "flux2"), KeyFormat.COMFYUI)
    key = "diffusion_model.double_blocks.0.img_attn.proj.lora_B.weight"
    report = inspect_lora(tensors | {key: torch.zeros(40, 3)}, "flux2", backbone.transformer)
    assert len(report.misshaped) == 2
    assert all("img_attn.proj" in one for one in report.misshaped)
    assert inspect_lora(tensors, "flux2", backbone.transformer).is_whole


@pytest.mark.parametrize("family", ["flux1", "flux2"])
@pytest.mark.parametrize("keys", list(KeyFormat))
def test_read_lora_of_every_linear_layer_gives_back_what_was_exported(tmp_path, family, keys):
    backbone = klein() if family == "flux2" else flux1(Flux1)
    skill = made(backbone, family, ("*",))
    assert "norm_out.linear" in skill.modules
    save_exported(skill, tmp_path / "made.safetensors", keys)
    read, _ = read_lora(tmp_path / "made.safetensors", family=family, backbone="tiny", transformer=backbone.transformer)
    assert_same_updates(skill, read)


def test_exported_final_modulation_has_shift_above_scale_as_the_original_code():
    skill = made(klein(), "flux2", ("norm_out.linear",))
    tensors = exported(skill, KeyFormat.COMFYUI)
    ours = deltas(skill)["norm_out.linear"]
    stem = "diffusion_model.final_layer.adaLN_modulation.1"
    theirs = tensors[f"{stem}.lora_B.weight"] @ tensors[f"{stem}.lora_A.weight"]
    scale, shift = ours.chunk(2)
    torch.testing.assert_close(theirs, torch.cat([shift, scale]))


def test_exported_layer_without_a_name_is_refused():
    skill = made(klein(), "flux2", DOUBLE)
    odd = {key.replace("attn.to_out.0", "attn.to_nowhere"): value for key, value in skill.tensors.items()}
    with pytest.raises(SkillError, match=r"layers.*to_nowhere"):
        exported(Skill(card=skill.card, tensors=odd), KeyFormat.COMFYUI)


@pytest.mark.parametrize("keys", [KeyFormat.KOHYA, KeyFormat.COMFYUI])
def test_exported_skill_of_the_pocket_is_no_lora_of_flux2(keys):
    with pytest.raises(SkillError, match="only triptych runs"):
        exported(made(klein(), "pocket"), keys)


_ONETRAINER_TOPS = (
    "context_embedder",
    "norm_out_linear",
    "proj_out",
    "time_text_embed_guidance_embedder_linear_1",
    "time_text_embed_text_embedder_linear_2",
    "time_text_embed_timestep_embedder_linear_1",
    "x_embedder",
)


def test_read_lora_onetrainer_keys_of_all_layers(tmp_path):
    backbone = flux1(Flux1)
    skill = made(backbone, "flux1", ("*",))
    tensors = {}
    for module in skill.modules:
        stem = "lora_transformer_" + module.replace(".", "_")
        down, up = skill.pair(module)
        tensors[f"{stem}.lora_down.weight"], tensors[f"{stem}.lora_up.weight"] = down.clone(), up.clone()
        tensors[f"{stem}.alpha"] = torch.tensor(2.0)
    assert {f"lora_transformer_{name}.alpha" for name in _ONETRAINER_TOPS} <= tensors.keys()
    save_file(tensors, tmp_path / "x.safetensors")
    read, _ = read_lora(tmp_path / "x.safetensors", family="flux1", backbone="tiny", transformer=backbone.transformer)
    assert_same_updates(skill, read)


def _peft_adapter(folder, model, **changes):
    """An adapter that PEFT itself made, trained (at random) and saved."""
    config = LoraConfig(r=2, lora_alpha=8, target_modules=["to_q", "to_k", "to_v", "to_add_out"], **changes)
    adapted = get_peft_model(copy.deepcopy(model), config)
    generator = torch.Generator().manual_seed(7)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    adapted.save_pretrained(folder)
    merged = adapted.merge_and_unload()
    return {
        name: layer.weight.detach() - model.get_submodule(name).weight.detach()
        for name, layer in merged.named_modules()
        if isinstance(layer, torch.nn.Linear)
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_rslora": True},
        {"alpha_pattern": {"to_q": 1, "transformer_blocks.0.attn.to_k": 5}},
        {"rank_pattern": {"to_v": 3}, "alpha_pattern": {"to_v": 2}},
        {"rank_pattern": {"^transformer_blocks.0.*to_q": 4}, "use_rslora": True},
    ],
    ids=["alpha", "rslora", "alphas", "ranks", "pattern"],
)
def test_read_lora_peft_adapter_is_scaled_as_its_configuration_says(tmp_path, changes):
    transformer = klein().transformer
    wanted = _peft_adapter(tmp_path, transformer, **changes)
    read, _ = read_lora(
        tmp_path / "adapter_model.safetensors", family="flux2", backbone="tiny", transformer=transformer
    )
    ours = deltas(read)
    for module, update in wanted.items():
        torch.testing.assert_close(ours.get(module, torch.zeros_like(update)), update, atol=1e-4, rtol=1e-4)
    assert len(ours) > 4


def test_read_lora_beside_the_configuration_of_another_adapter_is_refused(tmp_path):
    backbone = klein()
    save_exported(made(backbone, "flux2"), tmp_path / "x.safetensors", KeyFormat.COMFYUI)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8, "lora_alpha": 8}')
    with pytest.raises(SkillError, match=r"adapter_config\.json says rank 8"):
        read_lora(tmp_path / "x.safetensors", family="flux2", backbone="tiny")


def test_read_lora_beside_a_dora_configuration_is_refused(tmp_path):
    save_exported(made(klein(), "flux2"), tmp_path / "x.safetensors", KeyFormat.COMFYUI)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 3, "lora_alpha": 8, "use_dora": true}')
    with pytest.raises(SkillError, match="DoRA"):
        read_lora(tmp_path / "x.safetensors", family="flux2", backbone="tiny")


@pytest.mark.parametrize(
    "key",
    [
        "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight",
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight",
        "text_encoders.clip_l.transformer.text_model.x.lora_A.weight",
        "bundle_emb.fox.clip_l",
    ],
)
def test_read_lora_with_text_encoder_keys_takes_the_rest_only_where_asked(tmp_path, key):
    backbone, path = klein(), tmp_path / "x.safetensors"
    skill = made(backbone, "flux2")
    save_file(exported(skill, KeyFormat.KOHYA) | {key: torch.zeros(1, 1)}, path)
    with pytest.raises(SkillError, match="--ignore-text-encoder leaves them out"):
        read_lora(path, family="flux2", backbone="tiny")
    read, report = read_lora(path, family="flux2", backbone="tiny", ignore_text_encoder=True)
    assert report.left_out == (key,)
    assert "1 of text encoders left out" in str(report)
    assert key in str(report)
    assert_same_updates(skill, read)


def test_read_lora_with_a_value_that_is_not_finite_is_refused_by_key(tmp_path):
    tensors = exported(made(klein(), "flux2"), KeyFormat.COMFYUI)
    key = "diffusion_model.double_blocks.0.img_attn.proj.lora_B.weight"
    tensors[key] = torch.full_like(tensors[key], float("nan"))
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(SkillError, match=r"img_attn\.proj\.lora_B\.weight \(it has values that are not finite"):
        read_lora(tmp_path / "x.safetensors", family="flux2", backbone="tiny")


def test_exported_skill_with_frozen_conditions_is_refused():
    with pytest.raises(SkillError, match="frozen_conditions"):
        exported(made(klein(), "flux2", frozen_conditions=True), KeyFormat.DIFFUSERS)


def test_save_exported_keeps_the_skills_own_tensors(tmp_path):
    skill = made(klein(), "flux2", alpha=3)
    save_exported(skill, tmp_path / "x.safetensors", KeyFormat.DIFFUSERS)
    assert all(torch.equal(value, skill.tensors[key]) for key, value in load_file(tmp_path / "x.safetensors").items())


@settings(max_examples=30, deadline=None)
@given(
    ranks=st.lists(st.integers(0, 3), min_size=2, max_size=4).filter(any),
    heights=st.lists(st.integers(1, 5), min_size=4, max_size=4),
    seed=st.integers(0, 2**31),
)
def test_unfuse_of_fuse_gives_back_every_update(ranks, heights, seed):
    generator = torch.Generator().manual_seed(seed)
    heights = heights[: len(ranks)]
    parts = [
        (torch.randn(rank, 6, generator=generator), torch.randn(height, rank, generator=generator)) if rank else None
        for rank, height in zip(ranks, heights, strict=True)
    ]
    for part, back in zip(parts, unfuse(*fuse(parts, heights), heights), strict=True):
        assert (part is None) == (back is None)
        if part is not None and back is not None:
            assert torch.equal(part[0], back[0])
            assert torch.equal(part[1], back[1])


@pytest.mark.parametrize(
    ("family", "convert"),
    [
        ("flux1", convert_flux_transformer_checkpoint_to_diffusers),
        ("flux2", convert_flux2_transformer_checkpoint_to_diffusers),
    ],
)
def test_layers_of_a_family_lie_where_diffusers_converter_puts_them(family, convert):
    """Every name and every order of fused rows: the converter is the one that turns the authors' files into folders."""
    generator = torch.Generator().manual_seed(5)
    expected, named = {}, {}
    for layer in layers_of(family):
        if "processor" in layer.original:  # of another trainer, not in the authors' code
            continue
        # FLUX.1's converter splits at the width of the released weights.
        parts = [torch.randn(3072 * height, 1, generator=generator) for height in layer.heights]
        for module, part in zip(layer.modules, parts, strict=True):
            expected[f"{module.replace('{n}', '0')}.weight"] = part
        whole = torch.cat(parts)
        named[f"{layer.original.replace('{n}', '0')}.weight"] = swap_halves(whole) if layer.swapped else whole
    for place in ("double_blocks.0.img_attn", "double_blocks.0.txt_attn", "single_blocks.0"):
        for side in ("query", "key"):
            named[f"{place}.norm.{side}_norm.scale"] = torch.zeros(1)
    if family == "flux1":
        biases = {name.replace(".weight", ".bias"): value[:, 0] for name, value in named.items() if ".weight" in name}
        named |= biases
    converted = convert(named)
    for name, weight in expected.items():
        torch.testing.assert_close(converted[name], weight, msg=name)
