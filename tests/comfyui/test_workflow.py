"""What a workflow says, without ComfyUI: its boxes are the canvas's, its links lead somewhere, its limits are told."""

from dataclasses import replace

import pytest

from tiny_models import picture
from triptych.canvas import arrange
from triptych.comfyui import LoRA, page_pictures, page_workflow, skill_workflow
from triptych.comfyui.files import card_for, files_of
from triptych.conditioning import Conditioning, Solver
from triptych.errors import BackboneError, SkillError
from triptych.models.catalog import CHECKPOINTS
from triptych.page import NamedBox, Page, Role, condition, slot
from triptych.prompts import PageSketch, PanelSketch, find_template, write_prompt
from triptych.sampling.request import Request
from triptych.sampling.working import working_page
from triptych.skill import Skill, SkillCard

PAGE = Page(
    panels=(
        condition(picture(1, 512, 384), "a fox", role=Role.EDIT),
        slot("on a beach", size_px=(512, 384)),
        slot("in snow", size_px=(384, 384)),
    ),
    overview="a story",
)
ONE = replace(PAGE, panels=PAGE.panels[:2])


def exported(page, name, **changes):
    request, card = Request(page=page, **changes), card_for(name)
    return page_workflow(request, card, pictures=[f"{n}.png" for n, _ in enumerate(page_pictures(request, card))])


def nodes(workflow, kind):
    return [node["inputs"] for node in workflow.values() if node["class_type"] == kind]


@pytest.mark.parametrize(
    "checkpoint",
    [one for one in CHECKPOINTS if one.card.family in ("flux1", "flux1-fill", "kontext", "flux2")],
    ids=lambda one: one.card.name,
)
def test_page_workflow_every_backbone_links_lead_to_nodes_and_one_picture_a_slot_is_saved(checkpoint):
    workflow = exported(ONE, checkpoint.card.name)
    for node in workflow.values():
        for value in node["inputs"].values():
            assert not isinstance(value, list) or value[0] in workflow
    assert len(nodes(workflow, "SaveImage")) == 1
    files = files_of(checkpoint.card)
    assert nodes(workflow, "UNETLoader")[0]["unet_name"] == files.transformer
    assert nodes(workflow, "VAELoader")[0]["vae_name"] == files.codec


def test_page_workflow_on_a_canvas_pastes_masks_and_cuts_where_the_canvas_says():
    card = card_for("FLUX.1-dev")
    workflow = exported(PAGE, "FLUX.1-dev")
    canvas = arrange(working_page(PAGE, card), multiple=card.factor, fit=True)
    pasted, *holes = canvas.boxes
    assert [(one["x"], one["y"]) for one in nodes(workflow, "ImageCompositeMasked")] == [
        (pasted.left_px, pasted.top_px)
    ]
    assert [(one["x"], one["y"]) for one in nodes(workflow, "MaskComposite")] == [
        (box.left_px, box.top_px) for box in holes
    ]
    assert [(one["x"], one["y"], one["width"], one["height"]) for one in nodes(workflow, "ImageCrop")] == [
        (box.left_px, box.top_px, *box.size_px) for box in holes
    ]
    assert nodes(workflow, "EmptyImage")[0]["width"] == canvas.width_px
    assert nodes(workflow, "CLIPTextEncode")[0]["text"] == write_prompt(PAGE).text


def test_page_workflow_of_several_slots_on_flux2_is_by_repaint_and_of_one_by_reference():
    assert len(nodes(exported(PAGE, "FLUX.2-klein-4B"), "SetLatentNoiseMask")) == 1
    assert len(nodes(exported(ONE, "FLUX.2-klein-4B"), "ReferenceLatent")) == 1


def test_page_workflow_says_seed_steps_guidance_and_loras_as_asked():
    card = card_for("FLUX.1-dev")
    request = Request(page=ONE, seed=5, steps=7, guidance=2.5)
    workflow = page_workflow(request, card, pictures=["a.png"], loras=[LoRA(file="x.safetensors", weight=0.5)])
    assert nodes(workflow, "RandomNoise") == [{"noise_seed": 5}]
    assert nodes(workflow, "BasicScheduler")[0]["steps"] == 7
    assert nodes(workflow, "FluxGuidance")[0]["guidance"] == 2.5
    (lora,) = nodes(workflow, "LoraLoaderModelOnly")
    assert (lora["lora_name"], lora["strength_model"]) == ("x.safetensors", 0.5)


@pytest.mark.parametrize(("page", "name"), [(ONE, "FLUX.2-klein-4B"), (PAGE, "FLUX.1-dev")])
def test_page_workflow_saves_slots_at_the_sizes_asked_for(page, name):
    assert not nodes(exported(page, name), "ImageScale")
    odd = replace(page, panels=(*page.panels[:-1], slot("odd", size_px=(500, 333))))
    (scaled,) = nodes(exported(odd, name), "ImageScale")
    assert (scaled["width"], scaled["height"], scaled["upscale_method"]) == (500, 333, "lanczos")


@pytest.mark.parametrize("solver", Solver)
def test_page_workflow_steps_as_the_request_says(solver):
    for name in ("FLUX.2-klein-4B", "FLUX.1-dev"):
        assert nodes(exported(ONE, name, solver=solver), "KSamplerSelect") == [{"sampler_name": solver.value}]


def test_page_workflow_classifier_free_guidance_has_a_second_prompt():
    workflow = exported(ONE, "FLUX.2-klein-base-4B")
    assert [one["text"] for one in nodes(workflow, "CLIPTextEncode")] == [write_prompt(ONE).text, ""]
    assert nodes(workflow, "CFGGuider")[0]["cfg"] == 4.0


@pytest.mark.parametrize(
    ("page", "name", "changes", "says"),
    [
        (PAGE, "FLUX.2-klein-4B", {"conditioning": Conditioning.REFERENCE}, "one slot a run; the page has 2"),
        (ONE, "Qwen-Image-2.1", {}, "no workflow of ComfyUI"),
        (ONE, "pocket", {}, "pocket is of the family pocket, for which there is no workflow of ComfyUI"),
        (ONE, "FLUX.1-dev", {"conditioning": Conditioning.FILL}, "cannot take conditions by 'fill'"),
        (
            replace(
                ONE, panels=(ONE.panels[0], slot("<a>", boxes=(NamedBox(name="a", corners=(0.0, 0.0, 1.0, 1.0)),)))
            ),
            "FLUX.2-klein-4B",
            {},
            "FLUX.2-klein-4B reads none",
        ),
        (
            replace(PAGE, panels=(*PAGE.panels[:2], slot(size_px=(512, 512)))),
            "FLUX.1-Kontext-dev",
            {},
            "2 slots of different heights",
        ),
    ],
)
def test_page_workflow_that_comfyui_has_no_nodes_for_is_refused(page, name, changes, says):
    with pytest.raises(BackboneError, match=says):
        exported(page, name, **changes)


def made_skill(**changes):
    panels = (PanelSketch(role="edit", size_px=(512, 512), hint=""), PanelSketch(size_px=(512, 512), hint="as film"))
    template = find_template("panels").model_copy(update={"page": PageSketch(layout="row", hint="", panels=panels)})
    facts = {
        "name": "film", "backbone": "black-forest-labs/FLUX.1-dev", "family": "flux1", "rank": 1, "alpha": 1,
        "template": template, "trigger": "[FILM]", "overview": "old film", "instructions": ("", ""),
    }  # fmt: skip
    import torch

    stem = "transformer.transformer_blocks.0.attn.to_q"
    tensors = {f"{stem}.lora_A.weight": torch.ones(1, 8), f"{stem}.lora_B.weight": torch.ones(8, 1)}
    return Skill(card=SkillCard(**(facts | changes)), tensors=tensors)


def test_skill_workflow_loads_its_conditions_and_says_its_words():
    workflow = skill_workflow(made_skill(), card_for("FLUX.1-dev"), lora=LoRA(file="film.safetensors"))
    assert [one["image"] for one in nodes(workflow, "LoadImage")] == ["condition-1.png"]
    prompt = nodes(workflow, "CLIPTextEncode")[0]["text"]
    assert prompt.startswith("[FILM] old film")
    assert prompt.endswith("as film")


def test_skill_workflow_without_a_page_is_refused():
    skill = made_skill(template=find_template("panels"))
    with pytest.raises(SkillError, match="no page of its own"):
        skill_workflow(skill, card_for("FLUX.1-dev"), lora=LoRA(file="x.safetensors"))


def test_card_for_a_folder_of_ones_own_is_that_of_its_family():
    assert card_for("/models/mine", "kontext").family == "kontext"
    with pytest.raises(BackboneError, match="not known by name"):
        card_for("/models/mine")
