"""Skills on the command line: what `--skill` takes, the shapes that come out, foreign LoRAs."""

import json

import pytest
import torch
import typer
from PIL import Image
from safetensors.torch import load_file, save_file

from tiny_glm import glm_image
from tiny_training import random_skill
from triptych.cli.options import read_skills
from triptych.images import load_image
from triptych.page import Page, condition, slot
from triptych.pagefile import save_page
from triptych.prompts import PageSketch, PanelSketch, find_template
from triptych.skill import Skill, SkillCard, load_skill, save_skill


@pytest.mark.parametrize(
    ("behind", "weight"), [("", 1), ("@.5", 0.5), ("@0.5", 0.5), ("@-1", -1), ("@+2", 2), ("@1.", 1), ("@5e-1", 0.5)]
)
def test_read_skills_weight_is_any_number(skill_file, behind, weight):
    skills = read_skills([f"{skill_file}{behind}"])
    assert skills.weights == (weight,)
    assert skills.skills[0].name == "square"


@pytest.mark.parametrize("behind", ["@", "@x", "@0,5", "@50%"])
def test_read_skills_what_is_not_a_weight_is_named(skill_file, behind):
    with pytest.raises(typer.BadParameter, match="is not a weight"):
        read_skills([f"{skill_file}{behind}"])


@pytest.mark.parametrize("name", ["me@home/s.safetensors", "a@2.safetensors", "a@b.safetensors"])
def test_read_skills_at_sign_in_a_name_is_part_of_it(skill_file, tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(skill_file.read_bytes())
    assert read_skills([str(path)]).weights == (1,)
    assert read_skills([f"{path}@.25"]).weights == (0.25,)


@pytest.mark.parametrize(
    ("size", "wanted"), [((), (157, 105)), (("--size", "90x60"), (90, 60)), (("--size", 64), (78, 52))]
)
def test_generate_with_a_skill_keeps_the_condition_s_shape_and_obeys_size(
    triptych, pocket_file, skill_file, tmp_path, size, wanted
):
    photograph = tmp_path / "photograph.png"
    Image.new("RGB", (300, 200), "green").save(photograph)

    result = triptych(
        "generate", "--condition", photograph, "--skill", skill_file, "--backbone", pocket_file, "--steps", 1,
        "--out", tmp_path / "out", *size,
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    with Image.open(tmp_path / "out" / "page-seed0-1.png") as picture:
        assert picture.size == wanted


def test_generate_with_a_weight_of_a_billion_is_an_error_and_no_black_picture(
    triptych, pocket_file, skill_file, fox, tmp_path
):
    result = triptych(
        "generate", "--condition", fox, "--skill", f"{skill_file}@1e9", "--backbone", pocket_file, "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "the weight of skill 'square' is 1e+09" in result.stderr
    assert not (tmp_path / "out" / "page-seed0-1.png").exists()


def test_skills_import_with_text_encoder_layers_takes_the_rest_where_asked(triptych, tmp_path):
    lora = tmp_path / "lora.safetensors"
    tensors = {
        "lora_unet_final_layer_adaLN_modulation_1.lora_down.weight": torch.ones(2, 8),
        "lora_unet_final_layer_adaLN_modulation_1.lora_up.weight": torch.ones(16, 2),
        "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.ones(1, 1),
    }
    save_file(tensors, lora)
    out = tmp_path / "skill.safetensors"
    asked = ("skills", "import", lora, "--out", out, "--family", "flux2", "--backbone", "FLUX.2-klein-4B")

    refused, taken = triptych(*asked), triptych(*asked, "--ignore-text-encoder")

    assert refused.exit_code == 2
    assert "--ignore-text-encoder leaves them out" in refused.stderr
    assert taken.exit_code == 0, taken.stderr
    assert "2 keys matched, 0 unmatched, 0 misshaped, 1 of text encoders left out" in taken.stderr
    assert load_skill(out).modules == ("norm_out.linear",)


def test_skills_import_is_scaled_by_the_configuration_beside_it(triptych, tmp_path):
    stem = "base_model.model.transformer_blocks.0.attn.to_q"
    save_file(
        {f"{stem}.lora_A.weight": torch.ones(2, 8), f"{stem}.lora_B.weight": torch.ones(8, 2)},
        tmp_path / "adapter_model.safetensors",
    )
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 8}))
    out = tmp_path / "skill.safetensors"

    result = triptych(
        "skills", "import", tmp_path / "adapter_model.safetensors", "--out", out, "--family", "flux2", "--backbone", "x"
    )

    assert result.exit_code == 0, result.stderr
    assert load_skill(out).scale == 4


def _flux1_skill(path):
    panels = (PanelSketch(role="edit", size_px=(512, 512), hint=""), PanelSketch(size_px=(512, 512), hint=""))
    template = find_template("panels").model_copy(update={"page": PageSketch(layout="row", hint="", panels=panels)})
    card = SkillCard(
        name="film", backbone="black-forest-labs/FLUX.1-dev", family="flux1", rank=1, alpha=1, template=template
    )
    stem = "transformer.transformer_blocks.0.attn.to_q"
    tensors = {f"{stem}.lora_A.weight": torch.ones(1, 8), f"{stem}.lora_B.weight": torch.ones(8, 1)}
    save_skill(Skill(card=card, tensors=tensors), path)


def test_skills_export_to_comfyui_writes_the_lora_and_a_workflow_that_loads_it(triptych, tmp_path):
    _flux1_skill(tmp_path / "film.safetensors")
    out = tmp_path / "comfy" / "film-lora.safetensors"
    out.parent.mkdir()

    result = triptych("skills", "export", tmp_path / "film.safetensors", "--to", "comfyui", "--out", out)

    assert result.exit_code == 0, result.stderr
    workflow = json.loads((out.parent / "film-lora.workflow.json").read_text())
    (lora,) = [node["inputs"] for node in workflow.values() if node["class_type"] == "LoraLoaderModelOnly"]
    assert lora["lora_name"] == out.name
    assert all(key.startswith("diffusion_model.") for key in load_file(out))


def test_skills_export_to_comfyui_of_the_pocket_writes_nothing(triptych, skill_file, tmp_path):
    out = tmp_path / "lora.safetensors"
    result = triptych("skills", "export", skill_file, "--to", "comfyui", "--out", out)
    assert result.exit_code == 2 and "only triptych runs" in result.stderr
    assert not out.exists()
    assert not out.with_name("lora.workflow.json").exists()


def test_page_export_writes_a_workflow_with_its_pictures_and_loras(triptych, fox, tmp_path):
    _flux1_skill(tmp_path / "film.safetensors")
    save_page(
        Page(panels=(condition(load_image(fox), "a fox"), slot("in snow", size_px=(512, 512)))), tmp_path / "page.yaml"
    )
    out = tmp_path / "workflow"

    result = triptych(
        "page", "export", tmp_path / "page.yaml", "--to", "comfyui", "--backbone", "FLUX.1-dev", "--out", out,
        "--skill", f"{tmp_path / 'film.safetensors'}@.5", "--steps", 9, "--seed", 3,
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "film.safetensors", "page-condition-1.png", "page.workflow.json"
    ]  # fmt: skip
    workflow = json.loads((out / "page.workflow.json").read_text())
    by_kind = {node["class_type"]: node["inputs"] for node in workflow.values()}
    assert by_kind["LoadImage"]["image"] == "page-condition-1.png"
    assert by_kind["LoraLoaderModelOnly"]["strength_model"] == 0.5
    assert by_kind["RandomNoise"]["noise_seed"] == 3
    assert by_kind["BasicScheduler"]["steps"] == 9


def test_page_export_for_the_pocket_says_which_backbones_there_are(triptych, fox, tmp_path):
    save_page(Page(panels=(condition(load_image(fox)), slot())), tmp_path / "page.yaml")
    result = triptych("page", "export", tmp_path / "page.yaml", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "--backbone" in result.stderr
    assert not (tmp_path / "out").exists()


def test_skills_export_to_a_pipeline_without_a_lora_loader_says_how_it_is_loaded(triptych, tmp_path):
    save_skill(random_skill(glm_image(family="glm-image")), tmp_path / "made.safetensors")
    out = tmp_path / "out" / "lora.safetensors"
    result = triptych("skills", "export", tmp_path / "made.safetensors", "--out", out, "--card")
    assert result.exit_code == 0, result.stderr
    for text in (result.stderr, (out.parent / "README.md").read_text()):
        told = " ".join(text.split())
        assert "GlmImagePipeline has no load_lora_weights" in told
        assert "pipeline.transformer.load_lora_adapter(" in told
