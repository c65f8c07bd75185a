"""FLUX 3 Image Klein against diffusers' own blocks, on the same small random weights."""

import json
from dataclasses import replace
from inspect import signature

import pytest
import torch
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_flux3_lora_to_diffusers
from diffusers.loaders.single_file_utils import convert_flux3_transformer_checkpoint_to_diffusers
from diffusers.modular_pipelines.flux3.before_denoise import Flux3PrepareLatentsStep, Flux3SetTimestepsStep
from diffusers.modular_pipelines.flux3.encoders import Flux3TextEncoderStep
from diffusers.modular_pipelines.flux3.prompt_upsampler import MAX_REFERENCES, prepare_references, upsample_prompt
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BatchEncoding

import triptych as tt
from tiny_flux3 import Speaker, blocks, flux3, latents, seen, write_flux3
from tiny_models import LAYERS, assert_same, filled, picture, start
from tiny_training import made_page, random_skill, recipe
from triptych.errors import BackboneError, PromptError
from triptych.models.adapters import Skills
from triptych.models.backbone import Conditioning, Grid, Targets
from triptych.models.flux3.backbone import _SCALE, _WINDOW, Flux3Text
from triptych.models.flux3.building import _SHIFT
from triptych.models.flux3.family import FLUX3
from triptych.models.keyformats import KeyFormat, read_lora, save_exported
from triptych.models.keyformats.fusing import swap_halves
from triptych.models.keyformats.layers import find_layer, layers_of
from triptych.models.options import LoadOptions
from triptych.models.reading import read
from triptych.models.side_by_side import SideBySide
from triptych.page import NamedBox, Page, condition, slot
from triptych.pagefile import load_page, save_page
from triptych.prompts import Prompt, PromptPart
from triptych.sampling.encode import encode_text, prompt_of
from triptych.training.loop import train

ON_CPU = LoadOptions(device="cpu", dtype=torch.float32)
# Sides of 64 px at least, which the blocks would fill up to, and of whole tokens.
FOX, SNOW = condition(picture(1, 64, 80), "a fox"), condition(picture(2, 96, 64), "snow")
PAGES = {
    "no condition": Page(panels=(slot("the red fox", size_px=(48, 32)),)),
    "one condition": Page(panels=(FOX, slot("on the beach", size_px=(32, 48)))),
    "two conditions": Page(panels=(FOX, SNOW, slot("at dusk", size_px=(48, 32)))),
}
WORDS = {
    "no condition": "the red fox",
    "one condition": "<ref_image_0>: a fox\non the beach",
    "two conditions": "<ref_image_0>: a fox\n<ref_image_1>: snow\nat dusk",
}


def theirs(backbone, page: Page, prompt: str, output: str = "images", **more: object) -> Tensor:
    pipeline = more.pop("pipeline", None) or blocks(backbone)
    width, height = page.slots[0].size_px
    noise, grid = start(backbone, width, height)
    if backbone.card.negative is not None:
        pipeline.guider.guidance_scale = 4.0
        more["negative_prompt"] = backbone.card.negative
    return pipeline(
        prompt=prompt,
        width=width,
        height=height,
        latents=latents(noise, grid.rows),
        text_encoder_out_layers=backbone.text.layers,
        output=output,
        **seen([panel.image for panel in page.conditions]),
        **{"num_inference_steps": 4, "output_type": "pt", **more},
    )


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("distilled", [False, True])
def test_flux3_equals_stock_blocks_with_references_in_their_own_words(name, distilled):
    backbone, page = flux3(distilled=distilled), PAGES[name]
    expected = theirs(backbone, page, WORDS[name])
    ours = filled(backbone, page, Conditioning.REFERENCE, steps=4, guidance=backbone.card.guidance)[0]
    assert_same(ours, expected)
    alone = replace(page, panels=page.slots)
    if page.conditions:
        without = filled(backbone, alone, Conditioning.REFERENCE, steps=4, guidance=backbone.card.guidance)[0]
        assert (without - ours).abs().max() > 1e-2, "the conditions are heard"


class Upsampler:
    """Answers as the prompt upsampler does, which has nine thousand million parameters: with a caption it was given."""

    device = "cpu"

    def __init__(self, caption: str) -> None:
        self.caption, self.request = caption, ""

    def apply_chat_template(self, messages, **_: object) -> BatchEncoding:
        self.request = messages[1]["content"][-1]["text"]
        return BatchEncoding({"input_ids": torch.zeros(1, 3, dtype=torch.long)})

    def generate(self, input_ids: Tensor, **_: object) -> Tensor:
        return input_ids

    def decode(self, ids: Tensor, **_: object) -> str:  # noqa: ARG002
        return self.caption


@pytest.mark.parametrize("conditions", [(), (FOX, SNOW)])
@pytest.mark.parametrize("distilled", [False, True])
def test_flux3_boxes_make_the_embeddings_and_the_pictures_of_the_blocks(distilled, conditions):
    backbone = flux3(distilled=distilled, reads_boxes=True)
    cup = NamedBox(name="cup_1", corners=(0.1, 0.2, 0.4, 0.9), words="a red cup")
    bare = Page(panels=(*conditions, slot("a cup <cup_1> in the snow", size_px=(48, 32))))
    page = replace(bare, panels=(*conditions, replace(bare.slots[0], boxes=(cup,))))
    place = [0.2, 0.1, 0.9, 0.4]
    told = {"from": "target", "tgt_bbox": place} if conditions else {"bbox": place}
    caption = prompt_of(bare, backbone.card).text
    prompt = upsample_prompt(
        writer := Upsampler(caption), writer, caption,
        [panel.image for panel in conditions], [{"id": "cup_1", "desc": cup.words} | told],
    )  # fmt: skip
    assert "LOCKED BOUNDING-BOX ANNOTATIONS" in writer.request
    assert prompt_of(page, backbone.card).text == prompt
    text = backbone.text
    embeds = Flux3TextEncoderStep._get_qwen3_vl_prompt_embeds(
        text.encoder, Speaker(text), prompt, hidden_states_layers=LAYERS
    )
    torch.testing.assert_close(encode_text(backbone, [page]).embeds, embeds)
    settings = {"steps": 2, "guidance": backbone.card.guidance}
    ours = filled(backbone, page, Conditioning.REFERENCE, **settings)[0]
    assert_same(ours, theirs(backbone, page, prompt, num_inference_steps=2))
    without = filled(backbone, bare, Conditioning.REFERENCE, **settings)[0]
    assert (without - ours).abs().max() > 1e-2, "the boxes are heard"


@pytest.mark.parametrize("conditions", [(), (FOX, SNOW)])
@pytest.mark.parametrize("boxes", [False, True])
def test_flux3_with_the_upsamplers_caption_in_the_slot_is_the_whole_pipeline(boxes, conditions, tmp_path):
    """What docs/backbones/flux3.md advises: the caption is written beforehand, by diffusers' own function."""
    backbone = flux3(distilled=True, reads_boxes=True)
    caption = "a red fox <fox_1> at dusk " * 20
    place = {"from": "target", "tgt_bbox": [0.2, 0.1, 0.9, 0.4]} if conditions else {"bbox": [0.2, 0.1, 0.9, 0.4]}
    table = [{"id": "fox_1", "desc": "a fox"} | place] if boxes else None
    given = [panel.image for panel in conditions]
    written = upsample_prompt(writer := Upsampler(caption), writer, "a fox", prepare_references(given), table)
    assert written.startswith(caption.strip()) and (written != caption.strip()) is boxes

    silent = tuple(replace(panel, instruction="") for panel in conditions)
    save_page(Page(panels=(*silent, slot(written, size_px=(48, 32)))), tmp_path / "page.yaml")
    page = load_page(tmp_path / "page.yaml")
    assert prompt_of(page, backbone.card).text == written
    whole = theirs(
        backbone, page, "a fox", pipeline=blocks(backbone, Upsampler(caption)), boxes=table, num_inference_steps=2
    )
    assert_same(filled(backbone, page, Conditioning.REFERENCE, steps=2)[0], whole)


@pytest.mark.parametrize("distilled", [False, True])
def test_flux3_folder_of_a_modular_pipeline_makes_the_pictures_of_the_blocks(distilled, tmp_path):
    page = PAGES["two conditions"]
    made = write_flux3(tmp_path, distilled=distilled)
    backbone = tt.load(tmp_path, ON_CPU)
    assert (backbone.card.family, backbone.card.steps) == ("flux3", 16 if distilled else 50)
    assert (backbone.card.guidance, backbone.card.negative) == ((None, None) if distilled else (4.0, ""))
    assert backbone.text.layers == made.text.layers
    width, height = page.slots[0].size_px
    (ours,) = tt.generate(backbone, page, steps=4, seed=0).images
    (expected,) = theirs(backbone, page, WORDS["two conditions"], output_type="pil")
    assert ours.size == expected.size == (width, height)
    differing = [abs(a - b) for a, b in zip(ours.tobytes(), expected.tobytes(), strict=True)]
    assert max(differing) <= 1, "rounding to eight bits"


def test_flux3_index_that_has_a_part_elsewhere_is_refused_unless_it_is_in_the_folder(tmp_path):
    write_flux3(tmp_path)
    index = json.loads((tmp_path / "modular_model_index.json").read_text())
    index["vae"][2]["pretrained_model_name_or_path"] = "owner/other"
    (tmp_path / "modular_model_index.json").write_text(json.dumps(index))
    assert tt.load(tmp_path, ON_CPU).card.family == "flux3"
    (tmp_path / "vae").rename(tmp_path / "codec")
    with pytest.raises(BackboneError, match="the part 'vae' is at owner/other"):
        tt.load(tmp_path, ON_CPU)


def test_flux3_index_of_another_kind_than_its_transformer_is_refused(tmp_path):
    write_flux3(tmp_path, distilled=True)
    index = tmp_path / "modular_model_index.json"
    index.write_text(index.read_text().replace("Flux3DistilledModularPipeline", "Flux3ModularPipeline"))
    with pytest.raises(BackboneError, match="is a Flux3ModularPipeline, but flow_map is True"):
        tt.load(tmp_path, ON_CPU)


@pytest.mark.parametrize("words", [3, 73, 74, 75, 76, 150])
def test_flux3_text_equals_the_encoder_step_in_windows_of_any_length(words):
    text = flux3().text
    prompt = Prompt(text="the fox " * (words // 2) + "a" * (words % 2), parts=())
    expected = Flux3TextEncoderStep._get_qwen3_vl_prompt_embeds(
        text.encoder, Speaker(text), prompt.text, hidden_states_layers=LAYERS
    )
    ours = text.encode(prompt)
    torch.testing.assert_close(ours, expected[0])
    assert len(ours) in (_WINDOW, 2 * _WINDOW)


def test_flux3_text_too_long_names_the_instruction_that_fell_off():
    part = PromptPart(panel=0, text="the fox " * 200)
    with pytest.raises(PromptError, match=r"Qwen3-VL reads 400: the instruction of panel 1"):
        flux3().encode_prompts([Prompt(text=part.text, parts=(part,))], [0])


@torch.no_grad()
def test_flux3_pages_with_windows_of_different_lengths_in_a_batch_equal_each_alone():
    backbone = flux3()
    prompts = [Prompt(text="the fox " * count, parts=()) for count in (40, 2, 40)]
    grid = Grid(frame=0, rows=3, columns=4)
    tokens = torch.randn(3, grid.tokens, 16, generator=torch.Generator().manual_seed(1))
    t, targets = torch.tensor([0.9, 0.5, 0.2]), Targets(grids=(grid,))
    text = backbone.encode_prompts(prompts, [0])
    assert text.mask is not None
    together = backbone.velocity(tokens, t, read(backbone, text), targets)
    for row, prompt in enumerate(prompts):
        alone = read(backbone, backbone.encode_prompts([prompt], [0]))
        made = backbone.velocity(tokens[row, None], t[row, None], alone, targets)[0]
        torch.testing.assert_close(together[row], made, atol=1e-5, rtol=1e-5)
    twice = backbone.velocity(
        tokens.repeat_interleave(2, dim=0), t.repeat_interleave(2), read(backbone, text).repeated(2), targets
    )
    torch.testing.assert_close(twice[::2], together, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_flux3_slots_lie_side_by_side_in_one_wide_picture():
    backbone = flux3(distilled=True)
    grids = (Grid(frame=0, rows=3, columns=4), Grid(frame=1, rows=3, columns=2))
    tokens = torch.randn(1, 18, 16, generator=torch.Generator().manual_seed(1))
    context, t = read(backbone, encode_text(backbone, [PAGES["no condition"]])), torch.tensor([0.7])
    slots = SideBySide(grids, backbone.card)
    wide = backbone.velocity(slots.join(tokens), t, context, Targets(grids=(slots.wide,)))
    ours = backbone.velocity(tokens, t, context, Targets(grids=grids))
    torch.testing.assert_close(ours, slots.part(wide), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_flux3_distilled_reads_the_level_that_a_step_leads_to():
    backbone, page = flux3(distilled=True), PAGES["one condition"]
    grid = Grid(frame=0, rows=3, columns=4)
    tokens, t = torch.randn(1, 12, 16, generator=torch.Generator().manual_seed(1)), torch.tensor([0.7])
    context = read(backbone, encode_text(backbone, [page]))
    still, here, on = (
        backbone.velocity(tokens, t, context, Targets(grids=(grid,), toward=toward))
        for toward in (None, t, torch.tensor([0.2]))
    )
    assert torch.equal(still, here)
    assert (on - here).abs().max() > 1e-2
    base = flux3()
    context = read(base, encode_text(base, [page]))
    both = [base.velocity(tokens, t, context, Targets(grids=(grid,), toward=each)) for each in (None, 0.5 * t)]
    assert torch.equal(*both)


@pytest.mark.parametrize("distilled", [False, True])
def test_flux3_skill_loaded_by_diffusers_gives_the_same_picture(distilled, tmp_path):
    backbone, page = flux3(distilled=distilled, family="flux3"), PAGES["one condition"]
    skill = random_skill(backbone)
    settings = {"steps": 2, "guidance": backbone.card.guidance}
    bare = filled(backbone, page, Conditioning.REFERENCE, **settings)[0]
    with Skills(skill).applied(backbone):
        ours = filled(backbone, page, Conditioning.REFERENCE, **settings)[0]
    save_exported(skill, tmp_path / "lora.safetensors", KeyFormat.DIFFUSERS)
    pipeline = blocks(backbone)
    pipeline.load_lora_weights(tmp_path, weight_name="lora.safetensors")
    expected = theirs(backbone, page, WORDS["one condition"], pipeline=pipeline, num_inference_steps=2)
    assert_same(ours, expected)
    assert (ours - bare).abs().max() > 1e-2


@pytest.mark.parametrize("keys", [KeyFormat.COMFYUI, KeyFormat.KOHYA])
def test_flux3_skill_by_the_authors_names_comes_back(keys, tmp_path):
    backbone = flux3(distilled=True, family="flux3")
    skill = random_skill(backbone)
    save_exported(skill, tmp_path / "made.safetensors", keys)
    again, report = read_lora(
        tmp_path / "made.safetensors", family="flux3", backbone="tiny", transformer=backbone.transformer
    )
    assert report.is_whole
    assert again.modules == skill.modules
    for module in skill.modules:
        down, up = again.pair(module)
        first, second = skill.pair(module)
        torch.testing.assert_close(again.scale * up @ down, skill.scale * second @ first, atol=1e-5, rtol=1e-5)


def test_flux3_blocks_have_the_names_of_diffusers_own_lora_reader(tmp_path):
    backbone = flux3(family="flux3")
    skill = random_skill(backbone, patterns=("*mode_blocks.*", "single_transformer_blocks.*"))
    save_exported(skill, tmp_path / "made.safetensors", KeyFormat.COMFYUI)
    converted = _convert_non_diffusers_flux3_lora_to_diffusers(load_file(tmp_path / "made.safetensors"))
    assert converted.keys() == skill.tensors.keys()


def authors_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    named = {}
    for name, tensor in weights.items():
        module = name.removesuffix(".weight")
        if "attn.norm_" in module:
            original = module.replace("attn.norm_q", "norm.query_norm").replace("attn.norm_k", "norm.key_norm")
            original = original.replace("single_transformer_blocks", "single_blocks")
            if original.startswith("mode_blocks"):
                original = f"content_{original}"
            named[original + ".scale"] = tensor.clone()
            continue
        place = find_layer(module, "flux3")
        assert place is not None, module
        original = place.filled(place.layer.original)
        named[original + ".weight"] = swap_halves(tensor) if place.layer.swapped else tensor.clone()
    return named


def test_flux3_layers_are_those_of_diffusers_converter():
    weights = flux3(distilled=True).transformer.state_dict()
    converted = convert_flux3_transformer_checkpoint_to_diffusers(authors_names(weights))
    assert converted.keys() == weights.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in weights.items())
    assert len({layer.original for layer in layers_of("flux3")}) == len(layers_of("flux3"))


def test_flux3_single_file_by_the_authors_names_is_loaded(tmp_path):
    folder = tmp_path / "folder"
    made = write_flux3(folder, distilled=True)
    weights = authors_names(made.transformer.state_dict())
    weights["final_layer.image.linear.weight"] *= 2
    save_file({f"model.diffusion_model.{name}": each for name, each in weights.items()}, tmp_path / "own.safetensors")
    loaded = tt.load(f"{tmp_path / 'own.safetensors'}@{folder}", ON_CPU)
    torch.testing.assert_close(loaded.transformer.proj_out.weight, 2 * made.transformer.proj_out.weight)


@pytest.mark.parametrize("distilled", [False, True])
def test_flux3_learns_a_skill(distilled, tmp_path):
    backbone = flux3(distilled=distilled, family="flux3")
    plan = recipe(steps=2, batch=1, draws=2, sides_px=(32,), optimizer={"learning_rate": 1e-3})
    skill = train([made_page(1)], tmp_path / "skill.safetensors", plan, backbone)
    # B begins at zero: where it went is what was learned.
    learned = {name: value.abs().max() for name, value in skill.tensors.items() if "lora_B" in name}
    heard = [name for name, value in learned.items() if value > 1e-4]
    for kind in ("mode_blocks.image.", "mode_blocks.image_cond.", "txt_mode_blocks.", "single_transformer_blocks."):
        assert any(name.startswith(f"transformer.{kind}") for name in heard), kind


def test_constants_of_flux3_are_those_of_the_blocks():
    step, ours = Flux3TextEncoderStep(), signature(Flux3Text.__init__).parameters
    asked = {each.name: each.default for each in step.inputs}
    assert (step.pad_multiple, asked["text_encoder_out_layers"]) == (_WINDOW, ours["layers"].default)
    assert asked["max_sequence_length"] == ours["limit"].default == FLUX3.checkpoints[0].card.max_text_tokens
    assert {each.card.most_references for each in FLUX3.checkpoints} == {MAX_REFERENCES}
    assert Flux3SetTimestepsStep().shift == _SHIFT
    assert Flux3PrepareLatentsStep().image_rope_scale == _SCALE
