"""Checkpoints written by diffusers and read by us: folders, single files, options, and what is refused."""

import json
import re
import shutil

import pytest
import torch
from diffusers import (
    Flux2KleinKVPipeline,
    FluxPipeline,
    QwenImage21Pipeline,
    QwenImageEditPlusPipeline,
    StableDiffusion3Pipeline,
)
from safetensors.torch import load_file, save_file

from qwen_folders import write_qwen
from tiny_files import write_klein
from tiny_models import dynamic_scheduler, filled, flux1, flux2_transformer, flux2_vae, picture, qwen3, sd3, tokenizer
from tiny_qwen import qwen21, qwen_edit
from tiny_training import made_page, random_skill, recipe
from triptych.errors import BackboneError
from triptych.models.adapters import Skills
from triptych.models.backbone import Conditioning
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux2.backbone import Flux2, QwenText, References
from triptych.models.loading import load
from triptych.models.offloading import lend_blocks
from triptych.models.options import LoadOptions, Quantise, StepCache
from triptych.models.sd3.backbone import SD3
from triptych.page import Page, condition, slot
from triptych.training.loop import train

ON_CPU = LoadOptions(device="cpu", dtype=torch.float32)
PAGE = Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 64))))


def test_load_klein_folder_equals_the_same_parts_in_memory(klein_folder):
    loaded = load(klein_folder, ON_CPU)
    assert isinstance(loaded, Flux2)
    assert loaded.references is References.JOINT
    assert (loaded.card.factor, loaded.card.channels, loaded.card.negative) == (4, 16, None)
    in_memory = Flux2(
        card=loaded.card,
        transformer=flux2_transformer(),
        vae=flux2_vae(),
        text=QwenText(qwen3(layers=28), tokenizer(), limit=512),
        scheduler=dynamic_scheduler(),
    )
    ours, expected = (filled(each, PAGE, Conditioning.REFERENCE, steps=2)[0] for each in (loaded, in_memory))
    torch.testing.assert_close(ours, expected)


def test_load_klein_base_folder_has_guidance(tmp_path):
    card = load(write_klein(tmp_path, is_distilled=False), ON_CPU).card
    assert (card.guidance, card.negative) == (4.0, "")


def test_load_klein_kv_folder_reads_references_alone_which_is_exact_there(tmp_path):
    backbone = load(write_klein(tmp_path, Flux2KleinKVPipeline), ON_CPU)
    assert isinstance(backbone, Flux2)
    assert (backbone.references, backbone.approximates) == (References.ALONE, False)


def test_load_klein_with_references_alone_approximates_klein_and_says_how_far_off_once(klein_folder, caplog):
    exact = load(klein_folder, ON_CPU)
    approximate = load(klein_folder, LoadOptions(device="cpu", dtype=torch.float32, references=References.ALONE))
    first = [filled(each, PAGE, Conditioning.REFERENCE, steps=1)[0] for each in (exact, approximate)]
    pictures = [filled(each, PAGE, Conditioning.REFERENCE, steps=2)[0] for each in (exact, approximate)]
    assert not torch.allclose(*pictures, atol=1e-4)
    assert not torch.allclose(*first, atol=1e-4)
    (told,) = [record.getMessage() for record in caplog.records if "approximation" in record.getMessage()]
    assert f"{100 * approximate.reference_error:.1f}% off" in told
    assert exact.reference_error is None


@pytest.mark.parametrize("kind", [Flux1, SD3])
def test_load_folder_of_text_to_picture_families_equals_the_same_parts_in_memory(kind, tmp_path):
    made = flux1(Flux1) if kind is Flux1 else sd3(guidance=4.5, negative="")
    text = made.text
    clips = (text.clip, None) if kind is Flux1 else text.clips
    parts = {"text_encoder": clips[0], "tokenizer": tokenizer(), "text_encoder_2": text.t5, "tokenizer_2": tokenizer()}
    if kind is SD3:
        parts |= {"text_encoder_2": clips[1], "text_encoder_3": text.t5, "tokenizer_3": tokenizer()}
    pipeline = FluxPipeline if kind is Flux1 else StableDiffusion3Pipeline
    pipeline(scheduler=made._scheduler, vae=made.codec.vae, transformer=made.transformer, **parts).save_pretrained(
        tmp_path
    )
    loaded = load(tmp_path, ON_CPU)
    assert isinstance(loaded, kind)
    loaded.text.limit, loaded.text.clip_limit = text.limit, text.clip_limit
    settings = {"steps": 2, "guidance": 4.5 if kind is SD3 else 3.5}
    ours, expected = (filled(each, PAGE, Conditioning.REPAINT, **settings)[0] for each in (loaded, made))
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("make", "pipeline", "processor"),
    [
        (qwen_edit, QwenImageEditPlusPipeline, "Qwen2VLProcessor"),
        (qwen21, QwenImage21Pipeline, "Qwen3VLProcessor"),
    ],
)
def test_load_folder_of_vision_language_families_equals_the_same_parts_in_memory(make, pipeline, processor, tmp_path):
    made = make()
    write_qwen(tmp_path, made, pipeline, processor)
    loaded = load(tmp_path, ON_CPU)
    assert isinstance(loaded, type(made))
    loaded.text.limit = made.text.limit
    if make is qwen_edit:
        loaded.text.seen_side_px = made.text.seen_side_px
    ours, expected = (filled(each, PAGE, Conditioning.REFERENCE, steps=2)[0] for each in (loaded, made))
    torch.testing.assert_close(ours, expected)


def test_load_int8_weights_change_the_picture_little(klein_folder):
    exact = load(klein_folder, ON_CPU)
    small = load(klein_folder, LoadOptions(device="cpu", dtype=torch.float32, quantise=Quantise.INT8))
    assert type(small.transformer.proj_out.weight) is not type(exact.transformer.proj_out.weight)
    pictures = [filled(each, PAGE, Conditioning.REFERENCE, steps=2)[0] for each in (exact, small)]
    assert 0 < (pictures[0] - pictures[1]).abs().mean() < 0.02


@pytest.mark.parametrize("kind", [Quantise.INT8, Quantise.FP8])
def test_load_weights_in_eight_bits_take_a_skill_and_give_it_back(klein_folder, kind):
    exact = load(klein_folder, ON_CPU)
    small = load(klein_folder, LoadOptions(device="cpu", dtype=torch.float32, quantise=kind))
    skill, pictures = random_skill(exact), []
    bare = [filled(each, PAGE, Conditioning.REFERENCE, steps=2)[0] for each in (exact, small)]
    for backbone in (exact, small):
        with Skills(skill).applied(backbone):
            pictures.append(filled(backbone, PAGE, Conditioning.REFERENCE, steps=2)[0])
    assert (pictures[0] - pictures[1]).abs().mean() < 0.02 < (bare[0] - pictures[0]).abs().mean()
    assert torch.equal(filled(small, PAGE, Conditioning.REFERENCE, steps=2)[0], bare[1])


def test_train_on_weights_in_eight_bits_learns_nearly_the_same_skill(klein_folder, tmp_path):
    skills = []
    for kind in (Quantise.NONE, Quantise.INT8):
        backbone = load(klein_folder, LoadOptions(device="cpu", dtype=torch.float32, quantise=kind))
        plan = recipe(steps=2, batch=1, draws=1, sides_px=(32,), optimizer={"learning_rate": 1e-3})
        skills.append(train([made_page(1)], tmp_path / f"{kind.value}.safetensors", plan, backbone))
    # B begins at zero: where it went is what was learned.
    learned = [
        torch.cat([value.flatten() for name, value in skill.tensors.items() if "lora_B" in name]) for skill in skills
    ]
    assert learned[1].abs().mean() > 1e-3
    assert torch.cosine_similarity(*learned, dim=0) > 0.9


@pytest.mark.parametrize("kind", [Quantise.INT8, Quantise.FP8])
def test_lent_blocks_in_eight_bits_make_the_same_picture(klein_folder, kind):
    """Copies stay what they were: on one device, since torchao's weights do not go to the second one of the tests."""
    pytest.importorskip("torchao")
    backbone = load(klein_folder, LoadOptions(device="cpu", dtype=torch.float32, quantise=kind))
    whole = filled(backbone, PAGE, Conditioning.REFERENCE, steps=2)[0]
    lend_blocks(backbone.transformer, torch.device("cpu"))
    assert torch.equal(filled(backbone, PAGE, Conditioning.REFERENCE, steps=2)[0], whole)


def test_load_pickle_is_refused_with_how_to_convert_it(tmp_path):
    file = tmp_path / "model.ckpt"
    file.write_bytes(b"anything")
    with pytest.raises(BackboneError, match=r"Only safetensors.*save_file"):
        load(file)


def test_load_broken_safetensors_is_refused(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"not weights")
    with pytest.raises(BackboneError, match="not a readable safetensors"):
        load(file)


def test_load_folder_of_pickled_weights_names_the_part(klein_folder, tmp_path):
    for item in klein_folder.rglob("*"):
        target = tmp_path / item.relative_to(klein_folder)
        if item.is_dir():
            target.mkdir(exist_ok=True)
        elif item.name != "diffusion_pytorch_model.safetensors":
            target.write_bytes(item.read_bytes())
    with pytest.raises(BackboneError, match=r"the part '(transformer|vae)' could not be loaded"):
        load(tmp_path, ON_CPU)


def test_load_folder_whose_transformer_is_cut_short_names_the_part(klein_folder, tmp_path):
    shutil.copytree(klein_folder, tmp_path / "cut")
    file = tmp_path / "cut" / "transformer" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BackboneError, match=r"the part 'transformer' could not be loaded: .*header"):
        load(tmp_path / "cut", ON_CPU)


def test_load_folder_without_index_says_what_is_missing(tmp_path):
    with pytest.raises(BackboneError, match=r"no model_index\.json"):
        load(tmp_path)


@pytest.mark.parametrize("part", ["transformer", "text_encoder", "vae"])
def test_load_folder_with_a_weight_missing_names_it(part, klein_folder, tmp_path):
    """diffusers and transformers warn, and leave it random or without a place."""
    shutil.copytree(klein_folder, tmp_path / "copy")
    (file,) = (tmp_path / "copy" / part).glob("*.safetensors")
    weights = load_file(file)
    lost = next(name for name in reversed(weights) if name.endswith(".weight"))
    save_file({name: weight for name, weight in weights.items() if name != lost}, file, metadata={"format": "pt"})
    with pytest.raises(BackboneError, match=rf"the part '{part}' lacks 1 of its weights \({re.escape(lost)}\)"):
        load(tmp_path / "copy", ON_CPU)


def test_load_foreign_library_in_the_index_is_refused(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "Flux2KleinPipeline", "vae": ["os", "system"]}')
    with pytest.raises(BackboneError, match="library 'os'"):
        load(tmp_path, ON_CPU)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nonsense", r"or a known backbone\. Known: pocket, pocket-2, black-forest-labs/FLUX\.1-dev"),
        ("flux2-klein-4b", r"Did you mean black-forest-labs/FLUX\.2-klein-4B\? Known:"),
        ("pockets", r"Did you mean pocket\?"),
        ("./no/where", r"there is no folder or file '\./no/where'"),
        ("/no/such/folder", r"there is no folder or file '/no/such/folder'"),
        ("~/no/such", r"there is no folder or file '~/no/such'"),
        ("one/two/three", r"there is no folder or file 'one/two/three'"),
    ],
)
def test_load_unknown_name_says_what_may_be_meant(name, said):
    with pytest.raises(BackboneError, match=said):
        load(name)


@pytest.mark.parametrize("base", ["nowhere", "/no/such/folder", "one/two/three"])
def test_load_single_file_with_an_unknown_base_says_so(base, tmp_path):
    save_file({"weight": torch.zeros(1)}, tmp_path / "one.safetensors")
    with pytest.raises(BackboneError, match=rf"the base of one\.safetensors: .*'{base}'"):
        load(tmp_path / "one.safetensors", LoadOptions(device="cpu", base=base))


def test_load_options_that_cannot_be_together_are_refused():
    for dtype in (torch.int8, torch.float8_e4m3fn, torch.complex64):
        with pytest.raises(
            BackboneError, match=rf"dtype {dtype} is not .*: float32, bfloat16, float16\. .* `quantise`"
        ):
            LoadOptions(dtype=dtype)


def test_load_pocket_compiled_compiles_every_block() -> None:
    transformer = load("pocket", LoadOptions(device="cpu", compile=True)).transformer
    blocks = (*transformer.transformer_blocks, *transformer.single_transformer_blocks)
    assert all(block._compiled_call_impl is not None for block in blocks)


@pytest.mark.parametrize("options", [LoadOptions(quantise=Quantise.INT8), LoadOptions(step_cache=StepCache.TAYLORSEER)])
def test_load_pocket_with_an_option_of_large_backbones_names_it(options: LoadOptions) -> None:
    with pytest.raises(BackboneError, match="the pocket does without"):
        load("pocket", options)


def test_load_refuses_from_the_index_alone(klein_folder, tmp_path):
    for change, said in (
        ({"_class_name": "WanPipeline"}, "is a WanPipeline; known are"),
        ({"scheduler": ["diffusers", "UniPCMultistepScheduler"]}, "has the scheduler UniPCMultistepScheduler"),
        (
            {"vae": ["diffusers", "AutoencoderOfTomorrow"]},
            "'vae' is a AutoencoderOfTomorrow; this version of diffusers",
        ),
        ({"vae": ["os", "system"]}, "'vae' is of the library 'os'"),
    ):
        index = json.loads((klein_folder / "model_index.json").read_text()) | change
        (tmp_path / "model_index.json").write_text(json.dumps(index))  # and no weights at all
        with pytest.raises(BackboneError, match=said):
            load(tmp_path, ON_CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_load_on_a_device_that_is_not_there_is_refused_before_anything_is_read(device, tmp_path):
    with pytest.raises(BackboneError, match="finds no cuda device"):
        load(tmp_path / "nothing", LoadOptions(device=device))


def test_load_processor_in_place_of_a_tokenizer_needs_no_torchvision(klein_folder, tmp_path):
    shutil.copytree(klein_folder, tmp_path / "copy")
    index = json.loads((klein_folder / "model_index.json").read_text())
    index["tokenizer"] = ["transformers", "PixtralProcessor"]
    (tmp_path / "copy" / "model_index.json").write_text(json.dumps(index))
    folders = (tmp_path / "copy", klein_folder)
    ours, expected = (load(folder, ON_CPU).text.tokenizer("a fox").input_ids for folder in folders)
    assert ours == expected
