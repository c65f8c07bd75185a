"""Qwen-Image-Layered against diffusers' own pipeline, on the same small random weights."""

from typing import Any

import pytest
import torch
from diffusers import QwenImageLayeredPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_layered
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import triptych as tt
from qwen_folders import write_layered
from tiny_models import assert_same, filled, picture, solved, start
from tiny_pipelines import stock
from tiny_qwen import qwen_layered
from tiny_training import recipe
from triptych.cli.main import app
from triptych.errors import BackboneError, LayoutError
from triptych.images import load_image, opaque, save_png
from triptych.models.adapters import AdapterSpec, Skills, inject, linear_names
from triptych.models.backbone import Conditioning
from triptych.models.keyformats import KeyFormat, save_exported
from triptych.models.loading import load
from triptych.models.options import LoadOptions
from triptych.models.qwen_layered.backbone import _TEMPLATE, QwenLayered, QwenLayeredText
from triptych.page import Page, condition, slot
from triptych.prompts import write_prompt
from triptych.sampling.encode import encode_picture
from triptych.sampling.remote.calls import calls_of, card_of, kind_of
from triptych.sampling.ways import WAYS
from triptych.sampling.ways.base import slot_noise
from triptych.sampling.working import working_page
from triptych.training.loop import train
from triptych.training.objective import draw_item, group_losses
from triptych.training.prepare import Setting, prepare_page
from triptych.training.recipe import Levels, LossSpace

PARTS = ("scheduler", "vae", "text_encoder", "tokenizer", "processor", "transformer")
PAGES = {
    "one layer": ((64, 64), 1, ""),
    "two layers": ((64, 48), 2, "a fox on the beach"),
    "four layers": ((32, 96), 4, "the red fox"),
}


def page_of(size: tuple[int, int], count: int, words: str) -> Page:
    return Page(panels=(condition(picture(1, *size)), *[slot(size_px=size)] * count), overview=words)


def noise(backbone: QwenLayered, size: tuple[int, int], count: int, seed: int = 0) -> Tensor:
    """As our slots begin; the whole, which stands first, takes the noise behind theirs."""
    _, grid = start(backbone, *size)
    return torch.cat([slot_noise(seed, place, grid, 8) for place in (count, *range(count))])[None]


def theirs(backbone: QwenLayered, page: Page, monkeypatch: pytest.MonkeyPatch, **more: Any) -> tuple[Tensor, Tensor]:
    """The pipeline's layers at the size of the page, and its latents; it knows areas of 640 and 1024 squared alone."""
    last: list[Tensor] = []
    size = page.slots[0].size_px
    assert size is not None
    monkeypatch.setattr(pipeline_qwenimage_layered, "calculate_dimensions", lambda *_: size)
    settings = {"num_inference_steps": 5, "latents": noise(backbone, size, len(page.slots))} | more
    pipeline = stock(backbone, QwenImageLayeredPipeline)
    pipeline.prompt_template_encode_start_idx = backbone.text.untold
    (layers,) = pipeline(
        image=page.conditions[0].image.convert("RGBA"),
        prompt=write_prompt(page).text,
        layers=len(page.slots),
        use_en_prompt=True,
        cfg_normalize=True,
        output_type="pt",
        callback_on_step_end=lambda _, __, ___, told: last.append(told["latents"]) or told,
        **settings,
    ).images
    return layers, last[-1]


@pytest.mark.parametrize(("size", "count", "words"), PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_qwen_layered_equals_stock_pipeline(size, count, words, guidance, monkeypatch):
    """Without words too: then both let the encoder describe the picture."""
    backbone = qwen_layered(guidance=guidance, negative=" " if guidance > 1 else None)
    page = page_of(size, count, words)
    asked = {"true_cfg_scale": guidance, "negative_prompt": " " if guidance > 1 else None}
    layers, latents = theirs(backbone, page, monkeypatch, **asked)
    working = working_page(page, backbone.card)
    plan = WAYS[Conditioning.REFERENCE].plan(backbone, [working], [0])
    with torch.no_grad():
        assert_same(solved(backbone, working, plan, steps=5, guidance=guidance).tokens, latents)
    ours = filled(backbone, page, Conditioning.REFERENCE, steps=5, guidance=guidance)
    assert_same(torch.cat(ours), layers)


def test_trained_skill_loaded_by_diffusers_pipeline_gives_the_same_layers(tmp_path, monkeypatch):
    backbone, (size, count, words) = qwen_layered(family="qwen-layered", guidance=1.0), PAGES["two layers"]
    taught = Page(panels=(condition(picture(3)), slot("a fox", answer=picture(4))))
    plan = recipe(steps=2, batch=1, draws=1, sides_px=(64,), optimizer={"learning_rate": 0.05})
    skill = train([taught], tmp_path / "skill.safetensors", plan, backbone)
    page = page_of(size, count, words)
    bare = torch.cat(filled(backbone, page, Conditioning.REFERENCE, steps=3))
    with Skills(skill).applied(backbone):
        ours = torch.cat(filled(backbone, page, Conditioning.REFERENCE, steps=3))
    save_exported(skill, tmp_path / "lora.safetensors", KeyFormat.DIFFUSERS)
    stock(backbone, QwenImageLayeredPipeline).load_lora_weights(tmp_path, weight_name="lora.safetensors")
    layers, _ = theirs(backbone, page, monkeypatch, num_inference_steps=3, true_cfg_scale=1.0)
    assert_same(ours, layers)
    assert (ours - bare).abs().max() > 1e-2


def test_constants_of_the_text_are_those_of_the_pipeline():
    pipeline = QwenImageLayeredPipeline(**dict.fromkeys(PARTS))
    assert QwenLayeredText.untold == pipeline.prompt_template_encode_start_idx
    assert pipeline.prompt_template_encode == _TEMPLATE


def test_layers_of_a_loaded_folder_are_pictures_with_alpha_and_those_of_the_pipeline(tmp_path, monkeypatch):
    made = qwen_layered(guidance=4.0, negative=" ")
    write_layered(tmp_path / "layered", made)
    backbone = load(tmp_path / "layered", LoadOptions(device="cpu", dtype=torch.float32))
    assert isinstance(backbone, QwenLayered)
    assert (backbone.card.layered, backbone.card.factor, backbone.card.channels) == (True, 4, 8)
    backbone.text.untold, page = made.text.untold, page_of((64, 48), 2, "a fox")
    result = tt.generate(backbone, page, steps=4, seed=3, size_px=55)
    latents = noise(backbone, (64, 48), 2, seed=3)
    expected, _ = theirs(
        made, page, monkeypatch, num_inference_steps=4, latents=latents, true_cfg_scale=4.0, negative_prompt=" "
    )
    assert [image.mode for image in result.images] == ["RGBA", "RGBA"]
    for image, right in zip(result.images, expected, strict=True):
        assert (to_tensor(image) - right).abs().max() < 0.6 / 255
    save_png(result.images[1], tmp_path / "layer.png")
    assert load_image(tmp_path / "layer.png", keep_alpha=True).tobytes() == result.images[1].tobytes()
    answered = result.finished.slots[1].answer
    assert answered is not None and answered.mode == "RGBA"


def to_tensor(image: Image.Image) -> Tensor:
    return (
        torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(*image.size[::-1], 4).permute(2, 0, 1)
        / 255
    )


def test_pages_that_are_not_one_picture_and_its_layers_are_refused_with_the_reason():
    backbone, (one, *_) = qwen_layered(), page_of((64, 64), 1, "").panels
    for panels, shown in (((slot(size_px=(64, 64)),), 0), ((one, one, slot()), 2)):
        with pytest.raises(BackboneError, match=f"this page shows it {shown}"):
            tt.generate(backbone, Page(panels=panels, overview="a fox"), steps=1)
    unlike = Page(panels=(one, slot(size_px=(64, 64)), slot(size_px=(64, 32))))
    with pytest.raises(LayoutError, match="the slots are 64x32, 64x64"):
        tt.generate(backbone, unlike, steps=1)


def test_condition_of_another_size_is_brought_to_that_of_the_layers():
    page = Page(panels=(condition(picture(1, 96, 32)), slot("a fox", size_px=(48, 64))))
    working = working_page(page, qwen_layered().card)
    assert [panel.image.size if panel.image else panel.size_px for panel in working.panels] == [(48, 64)] * 2


def layer(seed: int) -> Image.Image:
    made = picture(seed, 64, 48)
    made.putalpha(picture(seed + 10, 64, 48).convert("L"))
    return made


def test_training_compares_the_whole_and_the_layers_with_their_alpha():
    backbone, layers = qwen_layered(), (layer(2), layer(3))
    given = picture(1, 64, 48)
    page = Page(panels=(condition(given), *(slot("a fox", answer=each) for each in layers)))
    ready = prepare_page(backbone, page, Setting(conditioning=Conditioning.REFERENCE, side_px=55))
    right = torch.cat([encode_picture(backbone, each) for each in (given, *layers)], dim=1)
    assert torch.equal(ready.clean, right)
    assert not torch.equal(encode_picture(backbone, layers[0]), encode_picture(backbone, opaque(layers[0])))
    assert torch.equal(ready.weights, torch.ones(1, right.shape[1]))
    network = backbone.transformer
    learnt = inject(network, linear_names(network, ("*to_q",)), AdapterSpec(rank=2, alpha=2.0))
    item = draw_item(ready, draws=2, levels=Levels(), seed=5)
    group_losses(backbone, [item], space=LossSpace.VELOCITY).sum().backward()
    grads = [parameter.grad for name, parameter in learnt.items() if "lora_B" in name]
    assert grads and all(grad is not None and float(grad.abs().max()) > 0 for grad in grads)


def test_server_that_fills_slots_one_by_one_is_not_asked_for_layers():
    card = card_of("http://localhost:8091/v1#Qwen/Qwen-Image-Layered", "Qwen/Qwen-Image-Layered")
    request = tt.Request(page=page_of((64, 64), 2, "a fox"))
    with pytest.raises(BackboneError, match="makes all layers together, and vLLM-Omni is asked for one slot a call"):
        calls_of(request, card, kind_of("vllm"), "Qwen/Qwen-Image-Layered")
    (whole,) = calls_of(request, card, kind_of("triptych"), "Qwen/Qwen-Image-Layered")
    assert whole.slots == 2


def test_layers_are_written_with_alpha_and_replayed_to_the_same_pixels(tmp_path):
    write_layered(tmp_path / "layered", qwen_layered())
    picture(1, 64, 48).save(tmp_path / "given.png")
    run = CliRunner()
    asked = ["--condition", str(tmp_path / "given.png"), "--slot", "a fox on the beach", "--slot", "", "--size", "55"]
    how = ["--backbone", str(tmp_path / "layered"), "--steps", "2", "--guidance", "1", "--out", str(tmp_path / "out")]
    made = run.invoke(app, ["generate", *asked, *how])
    assert made.exit_code == 0, made.output
    layers = sorted((tmp_path / "out").glob("*.png"))
    assert [load_image(each, keep_alpha=True).getchannel("A").getextrema() != (255, 255) for each in layers] == [
        True
    ] * 2
    again = run.invoke(app, ["replay", *map(str, layers), "--out", str(tmp_path / "again")])
    assert again.exit_code == 0, again.output
    for each in layers:
        twin = load_image(tmp_path / "again" / each.name, keep_alpha=True)
        assert twin.tobytes() == load_image(each, keep_alpha=True).tobytes()
