"""Z-Image-Omni against diffusers' own pipeline, on the same small random weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ZImageOmniPipeline
from torch import Tensor

import triptych as tt
from tiny_models import assert_same, filled, picture, solved, start
from tiny_pipelines import stock
from tiny_training import recipe
from tiny_z_image import z_image_omni
from triptych.errors import BackboneError, PromptError
from triptych.models.adapters import AdapterSpec, Skills, inject, linear_names
from triptych.models.backbone import Conditioning
from triptych.models.codecs import unpack
from triptych.models.keyformats import KeyFormat, save_exported
from triptych.models.loading import load
from triptych.models.options import LoadOptions
from triptych.models.z_image.backbone import ZImageOmni
from triptych.models.z_image.text import pieces_of, sights_of
from triptych.page import Page, condition, slot
from triptych.prompts import Prompt, PromptPart, write_prompt
from triptych.sampling.ways import WAYS
from triptych.sampling.working import working_page
from triptych.training.loop import train
from triptych.training.objective import draw_item, group_losses
from triptych.training.prepare import Setting, prepare_page
from triptych.training.recipe import Levels, LossSpace

PARTS = {"vae": "diffusers", "transformer": "diffusers", "text_encoder": "transformers", "siglip": "transformers"}
PAGES = {
    "no condition": Page(panels=(slot("the red fox", size_px=(96, 64)),)),
    "one condition": Page(panels=(condition(picture(1, 72, 64), "a fox"), slot("on the beach", size_px=(64, 96)))),
    "two conditions": Page(
        panels=(
            condition(picture(1), "a fox"),
            condition(picture(2, 64, 96), "snow"),
            slot("at dusk", size_px=(64, 64)),
        )
    ),
}


@pytest.fixture(autouse=True)
def one_type(monkeypatch):
    """The pipeline hands conditions to the codec in bfloat16, whatever the codec's own type is."""
    monkeypatch.setattr(Tensor, "bfloat16", lambda self: self)


def theirs(backbone: ZImageOmni, page: Page, **more: Any) -> tuple[Tensor, Tensor]:
    """The pipeline's picture, and its latents."""
    size = page.slots[0].size_px
    assert size is not None
    noise, grid = start(backbone, *size)
    last: list[Tensor] = []
    made = stock(backbone, ZImageOmniPipeline)(
        image=[panel.image for panel in page.conditions] or None,
        prompt=write_prompt(page).text,
        width=size[0],
        height=size[1],
        max_sequence_length=64,
        output_type="pt",
        callback_on_step_end=lambda _, __, ___, told: last.append(told["latents"]) or told,
        **{"num_inference_steps": 5, "latents": unpack(noise, grid), "guidance_scale": 0.0} | more,
    ).images
    return made, last[-1]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("guidance", [None, 2.0])
def test_z_image_omni_equals_stock_pipeline(page, guidance):
    backbone = z_image_omni(guidance=guidance, negative="" if guidance else None)
    made, latents = theirs(backbone, page, guidance_scale=guidance or 0.0)
    working = working_page(page, backbone.card)
    plan = WAYS[Conditioning.REFERENCE].plan(backbone, [working], [0])
    with torch.no_grad():
        reached = solved(backbone, working, plan, steps=5, guidance=guidance).tokens
    assert_same(unpack(reached, plan.targets.grids[0]), latents)
    assert_same(filled(backbone, page, Conditioning.REFERENCE, steps=5, guidance=guidance)[0], made)


def test_trained_skill_loaded_by_diffusers_pipeline_gives_the_same_picture(tmp_path):
    backbone, page = z_image_omni(family="z-image-omni"), PAGES["two conditions"]
    taught = Page(panels=(condition(picture(3)), slot("a fox", answer=picture(4))))
    plan = recipe(steps=2, batch=1, draws=1, sides_px=(64,), optimizer={"learning_rate": 0.05})
    skill = train([taught], tmp_path / "skill.safetensors", plan, backbone)
    (bare,) = filled(backbone, page, Conditioning.REFERENCE, steps=3)
    with Skills(skill).applied(backbone):
        (ours,) = filled(backbone, page, Conditioning.REFERENCE, steps=3)
    save_exported(skill, tmp_path / "lora.safetensors", KeyFormat.DIFFUSERS)
    stock(backbone, ZImageOmniPipeline).load_lora_weights(tmp_path, weight_name="lora.safetensors")
    made, _ = theirs(backbone, page, num_inference_steps=3)
    assert_same(ours, made)
    assert (ours - bare).abs().max() > 1e-2


def write_folder(made: ZImageOmni, folder: Path) -> None:
    """As diffusers writes it; the class that its index names for SigLIP's processor needs torchvision."""
    index: dict[str, object] = {"_class_name": "ZImageOmniPipeline"}
    index |= {"scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"]}
    index |= {"tokenizer": ["transformers", type(made.text.tokenizer).__name__]}
    index |= {"siglip_processor": ["transformers", "Siglip2ImageProcessor"]}
    modules = {"vae": made.codec.vae, "transformer": made.transformer}
    modules |= {"text_encoder": made.text.encoder, "siglip": made.text.eyes}
    for name, part in modules.items():
        part.save_pretrained(folder / name)
        index[name] = [PARTS[name], type(part).__name__]
    made._scheduler.save_pretrained(folder / "scheduler")
    made.text.tokenizer.save_pretrained(folder / "tokenizer")
    made.text.image_processor.save_pretrained(folder / "siglip_processor")
    (folder / "model_index.json").write_text(json.dumps(index))


def test_picture_of_a_loaded_folder_is_that_of_the_pipeline(tmp_path):
    made, page = z_image_omni(), PAGES["two conditions"]
    write_folder(made, tmp_path)
    backbone = load(tmp_path, LoadOptions(device="cpu", dtype=torch.float32))
    assert isinstance(backbone, ZImageOmni)
    assert (backbone.card.factor, backbone.card.channels, backbone.card.guidance) == (4, 16, 5.0)
    (image,) = tt.generate(backbone, page, steps=4, guidance=5.0).images
    (right,), _ = theirs(made, page, num_inference_steps=4, guidance_scale=5.0)
    ours = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(64, 64, 3).permute(2, 0, 1) / 255
    assert (ours - right).abs().max() < 0.6 / 255


def test_slots_side_by_side_are_cut_from_one_wide_picture_and_have_one_height():
    both = Page(panels=(condition(picture(1), "a fox"), *(slot("at dusk", size_px=(64, 64)) for _ in range(2))))
    halves = filled(z_image_omni(), both, Conditioning.REFERENCE, steps=2)
    assert [half.shape for half in halves] == [(1, 3, 64, 64)] * 2
    assert (halves[0] - halves[1]).abs().max() > 1e-3
    unlike = Page(panels=(slot("a fox", size_px=(64, 64)), slot("snow", size_px=(64, 96))))
    with pytest.raises(BackboneError, match=r"they are \[64, 96\] px high"):
        filled(z_image_omni(), unlike, Conditioning.REFERENCE)


def test_pages_of_a_batch_are_read_as_each_alone():
    backbone = z_image_omni()
    prompts = [Prompt(text=text, parts=()) for text in ("the red fox", "a fox on the beach at dusk in snow")]
    seen = [[picture(1), picture(2, 64, 96)], [picture(3), picture(4, 64, 96)]]
    both = backbone.encode_prompts_with_images(prompts, [0], seen)
    assert both.mask is not None
    for row, (prompt, images) in enumerate(zip(prompts, seen, strict=True)):
        alone = backbone.encode_prompts_with_images([prompt], [0], [images])
        for ours, right in ((pieces_of, row), (sights_of, row)):
            for part, expected in zip(ours(both, right), ours(alone, 0), strict=True):
                torch.testing.assert_close(part, expected)
    assert [tuple(sight.shape) for sight in sights_of(both, 0)] == [(4, 4, 16), (5, 3, 16)]
    with pytest.raises(PromptError, match="Qwen3 reads 64: the instruction of panel 1"):
        part = PromptPart(panel=0, text="the fox " * 60)
        backbone.encode_prompts([Prompt(text=part.text, parts=(part,))], [0])


def test_loss_reaches_an_adapter_through_conditions_and_several_draws():
    backbone = z_image_omni()
    page = Page(panels=(condition(picture(1)), slot("a fox", answer=picture(2))))
    ready = prepare_page(backbone, page, Setting(conditioning=Conditioning.REFERENCE))
    network = backbone.transformer
    learnt = inject(network, linear_names(network, ("layers.*to_q",)), AdapterSpec(rank=2, alpha=2.0))
    item = draw_item(ready, draws=2, levels=Levels(), seed=5)
    group_losses(backbone, [item], space=LossSpace.VELOCITY).sum().backward()
    grads = [parameter.grad for name, parameter in learnt.items() if "lora_B" in name]
    assert grads and all(grad is not None and float(grad.abs().max()) > 0 for grad in grads)
