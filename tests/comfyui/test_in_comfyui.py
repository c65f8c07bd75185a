"""Workflows run by ComfyUI itself, on small random weights in its own formats: its picture is ours.

Needs a checkout, which the repository does not hold: `TRIPTYCH_COMFYUI=CHECKOUT pytest -m comfyui tests/comfyui`.
`TRIPTYCH_COMFYUI_PYTHON` names the Python that has its requirements, where that is another one. docs/comfyui.md says
which versions it was run with.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, Flux2Transformer2DModel, FluxTransformer2DModel
from einops import rearrange
from PIL import Image
from safetensors.torch import save_file

from tiny_models import card, clip, dynamic_scheduler, frozen, picture, qwen3, t5, tokenizer
from tiny_training import random_skill
from triptych.comfyui import LoRA, page_pictures, page_workflow
from triptych.comfyui.files import files_of
from triptych.conditioning import Solver
from triptych.models.adapters import Skills
from triptych.models.backbone import Backbone, Conditioning, Grid
from triptych.models.flux1.backbone import Flux1, Flux1Text
from triptych.models.flux1.fill import Flux1Fill
from triptych.models.flux1.kontext import Kontext
from triptych.models.flux2.backbone import Flux2, QwenText
from triptych.models.keyformats import KeyFormat, save_exported
from triptych.models.keyformats.layers import layers_of
from triptych.page import Layout, Page, Role, condition, slot
from triptych.prompts import write_prompt
from triptych.sampling import Engine
from triptych.sampling.request import Request
from triptych.sampling.ways.base import slot_noise
from triptych.sampling.working import working_page

CHECKOUT = os.environ.get("TRIPTYCH_COMFYUI", "")
PYTHON = os.environ.get("TRIPTYCH_COMFYUI_PYTHON", sys.executable)
STEPS = 4
SIDE = 64
# ComfyUI cuts a colour off where we round it, which is one level; its `simple` schedule has a thousandth of a step,
# and its attention and its codec add in another order, which are the second. Bringing a slot to another size sharpens
# edges, and what they differ by with them.
LEVELS, RESIZED_LEVELS = 2, 3

pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif(not CHECKOUT, reason="TRIPTYCH_COMFYUI names no checkout of ComfyUI"),
]

ONE = Page(
    panels=(
        condition(picture(1, SIDE, 48), "a fox", role=Role.EDIT),
        slot("the fox in snow", size_px=(SIDE, 48)),
    ),
    overview="a red fox",
    layout=Layout.ROW,
)
TWO = Page(
    panels=(
        condition(picture(1, SIDE, 48), "a fox"),
        condition(picture(2, 48, 48), "a beach"),
        slot("the fox", size_px=(SIDE, 48)),
        slot("at dusk", size_px=(48, 48)),
    ),
    layout=Layout.ROW,
)
WIDE = Page(panels=(*TWO.conditions, slot("the fox", size_px=(64, 64)), slot("at dusk", size_px=(80, 64))))
ODD = Page(panels=(*ONE.conditions, slot("the fox in snow", size_px=(60, 50))))
SEVERAL = Page(panels=(*TWO.conditions, slot("the fox at dusk", size_px=(SIDE, 48))))

_BLOCKS = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "norm_num_groups": 32}
_KINDS = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}


def flux1(kind: type[Flux1], way: Conditioning, family: str, name: str) -> Flux1:
    transformer = FluxTransformer2DModel(
        in_channels=384 if way is Conditioning.FILL else 64,
        out_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=128,
        num_attention_heads=1,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        guidance_embeds=True,
    )
    vae = AutoencoderKL(
        latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
        **_BLOCKS, **_KINDS,
    )  # fmt: skip
    text = Flux1Text(
        clip=clip(), clip_tokenizer=tokenizer(), t5=t5(), t5_tokenizer=tokenizer(), limit=256, clip_limit=16
    )
    facts = card(way, channels=64, factor=16, side_px=SIDE, family=family, name=name, guidance=3.5)
    return kind(card=facts, transformer=frozen(transformer), vae=frozen(vae), text=text, scheduler=_flux1_scheduler())


def _flux1_scheduler():
    scheduler = dynamic_scheduler()
    scheduler.register_to_config(base_shift=0.5, max_shift=1.15, base_image_seq_len=256, max_image_seq_len=4096)
    return scheduler


def flux2(way: Conditioning, **facts) -> Flux2:
    transformer = Flux2Transformer2DModel(
        in_channels=128,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=128,
        num_attention_heads=1,
        joint_attention_dim=48,
        guidance_embeds=False,
    )
    vae = frozen(AutoencoderKLFlux2(latent_channels=32, **_BLOCKS, **_KINDS))
    generator = torch.Generator().manual_seed(3)
    vae.bn.running_mean.normal_(0, 0.3, generator=generator)
    vae.bn.running_var.uniform_(0.5, 2, generator=generator)
    name = "FLUX.2-klein-4B"
    return Flux2(
        card=card(way, channels=128, factor=16, side_px=SIDE, family="flux2", name=name, **facts),
        transformer=frozen(transformer),
        vae=vae,
        text=QwenText(qwen3(), tokenizer(), limit=512, layers=(1, 2, 3)),
        scheduler=dynamic_scheduler(),
    )


CASES = {
    "flux1 repaint": (lambda: flux1(Flux1, Conditioning.REPAINT, "flux1", "FLUX.1-dev"), TWO, Conditioning.REPAINT),
    "flux1 fill": (
        lambda: flux1(Flux1Fill, Conditioning.FILL, "flux1-fill", "FLUX.1-Fill-dev"), TWO, Conditioning.FILL
    ),
    "kontext": (
        lambda: flux1(Kontext, Conditioning.REFERENCE, "kontext", "FLUX.1-Kontext-dev"), ONE, Conditioning.REFERENCE
    ),
    "kontext, two conditions and two slots": (
        lambda: flux1(Kontext, Conditioning.REFERENCE, "kontext", "FLUX.1-Kontext-dev"), WIDE, Conditioning.REFERENCE
    ),
    "flux2 reference": (lambda: flux2(Conditioning.REFERENCE), SEVERAL, Conditioning.REFERENCE),
    "flux2 repaint": (lambda: flux2(Conditioning.REPAINT), TWO, Conditioning.REPAINT),
    "flux2 base, guided": (
        lambda: flux2(Conditioning.REFERENCE, guidance=4.0, negative=""), ONE, Conditioning.REFERENCE
    ),
    "flux2 reference, another size, heun": (lambda: flux2(Conditioning.REFERENCE), ODD, Conditioning.REFERENCE),
    "flux2 repaint, heun": (lambda: flux2(Conditioning.REPAINT), TWO, Conditioning.REPAINT),
}  # fmt: skip


@pytest.mark.parametrize("with_skill", [False, True], ids=["bare", "skill"])
@pytest.mark.parametrize("case", CASES)
def test_workflow_run_by_comfyui_gives_our_picture(tmp_path, case, with_skill):
    make, page, way = CASES[case]
    backbone, solver = make(), Solver.HEUN if case.endswith("heun") else Solver.EULER
    skill = random_skill(backbone, patterns=("*",)) if with_skill else None
    adapter = Skills(skill, weights=[0.5]) if skill else None
    request = Request(page=page, seed=4, steps=STEPS, conditioning=way, solver=solver)
    with Engine(backbone) as engine:
        ours = engine.generate([request], skill=adapter)[0].images

    names = _prepared(tmp_path, backbone, request)
    loras = [LoRA(file="skill.safetensors", weight=0.5)] if skill else []
    if skill:
        save_exported(skill, tmp_path / "models" / "loras" / "skill.safetensors", KeyFormat.COMFYUI)
    workflow = page_workflow(request, backbone.card, pictures=names, loras=loras)
    (tmp_path / "workflow.json").write_text(json.dumps(workflow))
    run = subprocess.run(
        [PYTHON, Path(__file__).with_name("in_comfyui.py"), CHECKOUT, tmp_path],
        capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )  # fmt: skip

    assert run.returncode == 0, run.stdout[-3000:] or run.stderr[-3000:]
    for number, own in enumerate(ours, 1):
        (made,) = (tmp_path / "output").glob(f"triptych-{number}_*.png")
        with Image.open(made) as theirs:
            assert theirs.size == own.size
            difference = np.abs(np.asarray(own, dtype=int) - np.asarray(theirs, dtype=int))
        most = RESIZED_LEVELS if page is ODD else LEVELS
        assert difference.max() <= most, f"{difference.max()} levels, {difference.mean():.3f} in the mean"
        assert np.asarray(own).std() > 10


def _prepared(folder: Path, backbone: Backbone, request: Request) -> list[str]:
    """ComfyUI's folders with the weights, pictures, texts and noise; names of the pictures."""
    for name in ("diffusion_models", "text_encoders", "vae", "loras"):
        (folder / "models" / name).mkdir(parents=True)
    for name in ("input", "output"):
        (folder / name).mkdir()
    files = files_of(backbone.card)
    save_file(_weights(backbone), folder / "models" / "diffusion_models" / files.transformer)
    save_file(_whole(backbone.codec.vae), folder / "models" / "vae" / files.codec)
    for name in files.encoders:
        (folder / "models" / "text_encoders" / name).touch()
    names = []
    for number, image in enumerate(page_pictures(request, backbone.card), 1):
        names.append(f"condition-{number}.png")
        image.save(folder / "input" / names[-1])
    save_file(_given(backbone, request), folder / "given.safetensors")
    return names


def _whole(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in module.state_dict().items()}


def _weights(backbone: Backbone) -> dict[str, torch.Tensor]:
    """The transformer as Black Forest Labs publish it: fused layers, and shift above scale at the end."""
    own = backbone.transformer.state_dict()
    norms = {
        "transformer_blocks.{n}.attn.norm_q": "double_blocks.{n}.img_attn.norm.query_norm",
        "transformer_blocks.{n}.attn.norm_k": "double_blocks.{n}.img_attn.norm.key_norm",
        "transformer_blocks.{n}.attn.norm_added_q": "double_blocks.{n}.txt_attn.norm.query_norm",
        "transformer_blocks.{n}.attn.norm_added_k": "double_blocks.{n}.txt_attn.norm.key_norm",
        "single_transformer_blocks.{n}.attn.norm_q": "single_blocks.{n}.norm.query_norm",
        "single_transformer_blocks.{n}.attn.norm_k": "single_blocks.{n}.norm.key_norm",
    }
    weights = {theirs.format(n=0) + ".scale": own[ours.format(n=0) + ".weight"] for ours, theirs in norms.items()}
    for layer in layers_of(backbone.card.family):
        for side in ("weight", "bias"):
            parts = [own.get(f"{module.replace('{n}', '0')}.{side}") for module in layer.modules]
            if layer.original.endswith("processor.qkv_lora") or any(part is None for part in parts):
                continue
            if layer.swapped:
                parts = parts[0].chunk(2)[::-1]
            weights[f"{layer.original.replace('{n}', '0')}.{side}"] = torch.cat(parts)
    return {name: tensor.contiguous() for name, tensor in weights.items()}


def _given(backbone: Backbone, request: Request) -> dict[str, torch.Tensor]:
    given, page = {}, request.page
    texts = {write_prompt(page).text: page}
    if backbone.card.negative is not None:
        texts[backbone.card.negative] = Page(panels=(slot(""),))
    for words, asked in texts.items():
        text = backbone.encode_prompts([write_prompt(asked)], [])
        given[f"text {words}"] = text.embeds.contiguous()
        if text.pooled is not None:
            given[f"pooled {words}"] = text.pooled.contiguous()
    given["noise"] = _noise(backbone, working_page(page, backbone.card), request.conditioning)
    return given


def _noise(backbone: Backbone, page: Page, way: Conditioning) -> torch.Tensor:
    """What our slots begin with, as ComfyUI lays latents out; Kontext's slots stand side by side."""
    facts = backbone.card
    if way is Conditioning.REFERENCE:
        sizes = [panel.size_px for panel in page.slots]
    else:
        from triptych.canvas import arrange

        sizes = [arrange(page, multiple=facts.factor, fit=True).size_px]
    grids = [Grid(frame=0, rows=height // facts.factor, columns=width // facts.factor) for width, height in sizes]
    pictures = []
    for number, grid in enumerate(grids):
        tokens = slot_noise(4, number, grid, facts.channels)
        if facts.family == "flux2":
            pictures.append(rearrange(tokens, "(h w) c -> 1 c h w", h=grid.rows))
        else:
            pictures.append(rearrange(tokens, "(h w) (c p q) -> 1 c (h p) (w q)", h=grid.rows, p=2, q=2))
    return torch.cat(pictures, dim=3).contiguous()
