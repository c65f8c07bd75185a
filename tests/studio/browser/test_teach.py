"""Teaching a skill: from a rule, stopped and gone on with, made longer; the shelf and its exports."""

import json
import sqlite3
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from page_in_browser import command
from triptych.page import Layout, Role
from triptych.prompts import PageSketch, PanelSketch, Template, find_template
from triptych.skill import Skill, SkillCard, save_skill

pytestmark = pytest.mark.browser


def test_rule_is_taught_and_the_skill_stands_on_the_shelf(page):
    command(page, "Go to the rules lab")
    page.get_by_label("Find a rule").fill("outline")
    page.get_by_role("navigation", name="Rules").get_by_role("button", name="outline").first.click()
    page.get_by_role("heading", name="outline").wait_for()
    _teach_the_rule(page, "Outlines by test", steps=2)
    skill = page.locator("li").filter(has_text="Outlines by test")
    skill.get_by_role("button", name="Use on the page").wait_for(timeout=300_000)
    picture = skill.get_by_role("img", name="What Outlines by test does")
    shown = picture.evaluate("async (one) => (await one.decode(), [one.naturalWidth, one.naturalHeight])")
    assert shown == [264, 264]  # four of its samples, none of the whole sheet
    skill.get_by_role("button", name="More for Outlines by test").click()
    page.get_by_role("menuitem", name="Rename and describe").click()
    page.get_by_label("Name").fill("Outlines, renamed")
    page.get_by_label("What it does").fill("draws the edges")
    page.get_by_role("button", name="Save", exact=True).click()
    skill = page.locator("li").filter(has_text="Outlines, renamed")
    skill.get_by_text("draws the edges").wait_for()
    skill.get_by_role("button", name="More for Outlines, renamed").click()
    page.get_by_role("menuitem", name="Move to the bin").click()
    skill.wait_for(state="detached")
    page.get_by_role("button", name="Bring back").click()
    skill.get_by_role("button", name="Use on the page").click()
    page.get_by_role("button", name="Skills: Outlines, renamed").wait_for()


def test_training_is_stopped_and_goes_on_and_is_made_longer(page):
    command(page, "Go to the rules lab")
    _teach_the_rule(page, "Stopped by test", steps=4)
    training = page.get_by_role("article", name="Stopped by test")
    training.get_by_text("train · step").wait_for(timeout=300_000)
    training.get_by_text("loss").wait_for()
    training.get_by_role("img", name="Sample").first.wait_for(timeout=300_000)
    training.get_by_role("button", name="Stop").click()
    training.get_by_role("button", name="Go on from there").click()
    skill = page.locator("li").filter(has_text="Stopped by test")
    skill.get_by_role("button", name="Use on the page").wait_for(timeout=300_000)
    skill.get_by_role("button", name="More for Stopped by test").click()
    page.get_by_role("menuitem", name="Teach it longer").click()
    longer = page.locator("li").filter(has_text="Stopped by test, longer")
    longer.get_by_text("6 steps").wait_for(timeout=300_000)


def test_exports_that_cannot_be_are_refused_before_they_are_tried(page):
    command(page, "Go to the skills")
    page.get_by_role("button", name="More for storyboard").click()
    for name in ("Export for kohya", "Export for ComfyUI", "Workflow for ComfyUI"):
        entry = page.get_by_role("menuitem", name=name)
        assert entry.is_disabled()
        assert "Only Triptych runs the pocket" in entry.text_content()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="Export for diffusers").click()
    assert all(key.startswith("transformer.") for key in load_file(saved.value.path()))


@pytest.mark.parametrize(
    ("program", "begin"), [("diffusers", "transformer."), ("kohya", "lora_unet_"), ("ComfyUI", "diffusion_model.")]
)
def test_skill_is_exported_for_other_programs(page, data_folder, program, begin):
    _put_on_shelf(data_folder, "Film by test")
    command(page, "Go to the skills")
    page.get_by_role("button", name="More for Film by test").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name=f"Export for {program}").click()
    assert saved.value.suggested_filename == f"Film-by-test-{program.lower()}.safetensors"
    keys = load_file(saved.value.path())
    assert keys and all(key.startswith(begin) for key in keys)


def test_workflow_for_comfyui_loads_the_export_of_the_same_skill(page, data_folder):
    _put_on_shelf(data_folder, "Film by test")
    command(page, "Go to the skills")
    saved = []
    for name in ("Export for ComfyUI", "Workflow for ComfyUI"):
        page.get_by_role("button", name="More for Film by test").click()
        with page.expect_download() as one:
            page.get_by_role("menuitem", name=name).click()
        saved.append(one.value)
    lora, workflow = saved
    assert workflow.suggested_filename == "Film-by-test-comfyui.workflow.json"
    nodes = json.loads(workflow.path().read_text()).values()
    kinds = {node["class_type"]: node["inputs"] for node in nodes}
    assert kinds["LoraLoaderModelOnly"]["lora_name"] == lora.suggested_filename
    assert kinds["LoadImage"]["image"] == "condition-1.png"
    assert "of rain" in kinds["CLIPTextEncode"]["text"]


def test_workflow_of_a_skill_without_a_page_is_refused_before_it_is_tried(page, data_folder):
    _put_on_shelf(data_folder, "Pageless by test", template=find_template("panels"), skill="0dd5" * 4)
    command(page, "Go to the skills")
    page.get_by_role("button", name="More for Pageless by test").click()
    entry = page.get_by_role("menuitem", name="Workflow for ComfyUI")
    assert entry.is_disabled()
    assert "no page of its own" in entry.text_content()
    assert page.get_by_role("menuitem", name="Export for ComfyUI").is_enabled()


def _teach_the_rule(page, name: str, *, steps: int) -> None:
    """Begin a training on ten pages of the rule that the lab shows, and go to the shelf."""
    page.get_by_role("button", name="Teach it from ten").click()
    page.get_by_text("10 of 10").wait_for()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Steps").fill(str(steps))
    page.get_by_role("button", name="Look them over").click()
    page.get_by_text("Looked over").wait_for()
    page.get_by_role("button", name="Teach", exact=True).click()
    command(page, "Go to the skills")


def _with_page() -> Template:
    """A template whose page has one condition and one slot."""
    panels = (
        PanelSketch(role=Role.SUBJECT, size_px=(256, 256), hint=""),
        PanelSketch(role=Role.SLOT, size_px=(256, 256), hint="the same, of rain"),
    )
    return find_template("panels").model_copy(update={"page": PageSketch(layout=Layout.AUTO, hint="", panels=panels)})


def _put_on_shelf(folder: Path, name: str, *, template: Template | None = None, skill: str = "f11a" * 4) -> None:
    """A skill of FLUX.2, as a training on a large machine would leave it."""
    template = template or _with_page()
    card = SkillCard(name=name, backbone="FLUX.2-klein-4B", family="flux2", rank=1, alpha=1, template=template)
    stem = "transformer.transformer_blocks.0.attn.to_q"
    tensors = {f"{stem}.lora_A.weight": torch.ones(1, 8), f"{stem}.lora_B.weight": torch.ones(8, 1)}
    save_skill(Skill(card=card, tensors=tensors), folder / "skills" / f"{skill}.safetensors")
    with sqlite3.connect(folder / "studio.sqlite") as store:
        store.execute(
            "INSERT OR IGNORE INTO skills (id, name, summary, backbone, pages, steps, created) "
            "VALUES (?, ?, '', 'FLUX.2-klein-4B', 10, 500, ?)",
            (skill, name, time.time()),
        )
