"""Families with every offload and a skill on a second device: the CPU's picture, no mixed devices, less memory.

Run by `test_second_device.py` in a process of its own, because a device that was registered stays so until the process
ends; and on a GPU by `TRIPTYCH_DEVICE=cuda pytest tests/models/on_second_device.py`.
"""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import Flux2Transformer2DModel
from torch import nn

from second_device import Meter, MixedDevicesError, second_device
from tiny_files import write_klein
from tiny_flux3 import flux3
from tiny_glm import glm_image
from tiny_models import dev, filled, flux1, frozen, klein, picture, sd3
from tiny_pipelines import text_parts
from tiny_qwen import qwen21, qwen_edit, qwen_layered
from tiny_training import random_skill
from tiny_z_image import z_image_omni
from triptych.models import assembly
from triptych.models.adapters import AdapterSpec, Skills, inject
from triptych.models.backbone import Conditioning
from triptych.models.family import Shape
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux1.fill import Flux1Fill
from triptych.models.flux1.kontext import Kontext
from triptych.models.latent import LatentBackbone
from triptych.models.loading import load
from triptych.models.memory import estimate, step_bytes
from triptych.models.offloading import bring_back, lend_blocks
from triptych.models.options import LoadOptions, Offload, References
from triptych.models.placing import place
from triptych.page import Page, condition, slot
from triptych.sampling.encode import encode_text
from triptych.sampling.working import working_page

DEVICE = os.environ.get("TRIPTYCH_DEVICE", "far")
ON_FAR = pytest.mark.skipif(DEVICE != "far", reason="counts what only the second device without hardware counts")
TOLERANCE = 1e-5 if DEVICE == "far" else 1e-3
PAGE = Page(panels=(condition(picture(1, 64, 32), "a fox"), slot("on the beach", size_px=(64, 32))))
LONGER = Page(panels=(*PAGE.conditions, slot("the red fox on the beach at 'dusk'", size_px=(64, 32))))
TEXT = ("embeds", "pooled", "mask", "seen")
FAMILIES: dict[str, tuple[Callable[[], LatentBackbone], Conditioning]] = {
    "flux1": (lambda: flux1(Flux1), Conditioning.REPAINT),
    "kontext": (lambda: flux1(Kontext, Conditioning.REFERENCE), Conditioning.REFERENCE),
    "flux1-fill": (lambda: flux1(Flux1Fill, Conditioning.FILL), Conditioning.FILL),
    "flux2": (klein, Conditioning.REFERENCE),
    "flux2-dev": (dev, Conditioning.REFERENCE),
    "flux2-kv": (lambda: klein(References.ALONE), Conditioning.REFERENCE),
    "flux3": (flux3, Conditioning.REFERENCE),
    "flux3-distilled": (lambda: flux3(distilled=True), Conditioning.REFERENCE),
    "glm-image": (glm_image, Conditioning.REFERENCE),
    "sd3": (sd3, Conditioning.REPAINT),
    "qwen": (qwen_edit, Conditioning.REFERENCE),
    "qwen-2511": (lambda: qwen_edit(zero_cond_t=True), Conditioning.REFERENCE),
    "qwen-layered": (qwen_layered, Conditioning.REFERENCE),
    "qwen21": (qwen21, Conditioning.REFERENCE),
    "z-image-omni": (z_image_omni, Conditioning.REFERENCE),
}
QUICK = ("flux2",)
"""The family of the default run; the others run with `-m slow`."""


def families(*names: str) -> list[Any]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names or FAMILIES]


@pytest.fixture(autouse=True)
def far() -> Iterator[Meter | None]:
    if DEVICE != "far":
        yield None
        return
    with second_device() as meter:
        yield meter


def modules_of(backbone: LatentBackbone) -> dict[str, nn.Module]:
    parts = {"transformer": backbone.transformer, "vae": backbone.codec.vae, **text_parts(backbone.text)}
    return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}


def placed(backbone: LatentBackbone, offload: Offload) -> LatentBackbone:
    place(backbone, modules_of(backbone), LoadOptions(device=DEVICE, offload=offload))
    return backbone


def weight_bytes(*modules: nn.Module) -> int:
    return sum(parameter.nbytes for module in modules for parameter in module.parameters())


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_text_is_read_on_the_device(family: str) -> None:
    texts = []
    for backbone in (FAMILIES[family][0](), placed(FAMILIES[family][0](), Offload.NONE)):
        texts.append(encode_text(backbone, [working_page(page, backbone.card) for page in (PAGE, LONGER)]))
    for ours, expected in ((getattr(text, name) for text in texts[::-1]) for name in TEXT):
        assert (ours is None) == (expected is None)
        if ours is not None:
            assert ours.device.type == DEVICE
            torch.testing.assert_close(ours.cpu(), expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("offload", list(Offload))
@pytest.mark.parametrize("family", families())
def test_picture_on_a_second_device_is_the_cpus(family: str, offload: Offload) -> None:
    make, way = FAMILIES[family]
    expected = filled(make(), PAGE, way, steps=2)[0]
    ours = filled(placed(make(), offload), PAGE, way, steps=2)[0]
    assert ours.device.type == DEVICE
    torch.testing.assert_close(ours.cpu(), expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("merges", [True, False])
@pytest.mark.parametrize("offload", list(Offload))
@pytest.mark.parametrize("family", families())
def test_skill_on_a_second_device_is_the_cpus(
    family: str, offload: Offload, merges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not merges:
        monkeypatch.setattr("triptych.models.adapters._MERGE_BYTES", 0)
    make, way = FAMILIES[family]
    skill, pictures = random_skill(make()), []
    for backbone in (make(), placed(make(), offload)):
        bare = filled(backbone, PAGE, way, steps=2)[0].cpu()
        with Skills(skill).applied(backbone):
            pictures.append(filled(backbone, PAGE, way, steps=2)[0].cpu())
        assert not torch.allclose(pictures[-1], bare, atol=1e-3)
        assert torch.equal(filled(backbone, PAGE, way, steps=2)[0].cpu(), bare)
    torch.testing.assert_close(pictures[0], pictures[1], atol=TOLERANCE, rtol=TOLERANCE)


def test_gradients_of_an_adapter_in_lent_blocks_are_the_cpus() -> None:
    def network() -> nn.Module:
        torch.manual_seed(3)
        blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4)) for _ in range(2)])
        return nn.ModuleDict({"blocks": blocks}).requires_grad_(False)

    grads = []
    for device in ("cpu", DEVICE):
        module = network()
        if device == DEVICE:
            lend_blocks(module, torch.device(DEVICE))
        parameters = inject(module, ("blocks.0.0", "blocks.1.0"), AdapterSpec(rank=2, alpha=2.0))
        for parameter in parameters.values():
            torch.nn.init.constant_(parameter, 0.1)
        x = torch.linspace(-1, 1, 8).reshape(2, 4).to(device)
        for block in module["blocks"]:
            x = block(x)
        x.square().sum().backward()
        assert {parameter.device.type for parameter in parameters.values()} == {"cpu"}
        grads.append([parameter.grad for parameter in parameters.values()])
    torch.testing.assert_close(grads[0], grads[1])


@ON_FAR
def test_offload_holds_only_what_computes_on_the_device(far: Meter) -> None:
    peaks, weights = {}, {}
    for offload in Offload:
        backbone = placed(klein(), offload)
        gc.collect()
        far.begin()
        filled(backbone, PAGE, Conditioning.REFERENCE, steps=1)
        peaks[offload] = far.peak
        weights = {name: weight_bytes(module) for name, module in modules_of(backbone).items()}
        del backbone
        gc.collect()
    assert peaks[Offload.NONE] >= sum(weights.values())
    # Text encoder and transformer are never there together.
    spared = min(weights["text_encoder"], weights["transformer"])
    assert peaks[Offload.PARTS] <= peaks[Offload.NONE] - 0.9 * spared
    assert peaks[Offload.LAYERS] < peaks[Offload.PARTS]


@pytest.mark.parametrize("offload", list(Offload))
def test_folder_loaded_for_a_second_device_makes_the_cpus_picture(offload: Offload, tmp_path: Path) -> None:
    folder = write_klein(tmp_path / "klein", is_distilled=True)
    here, there = (
        load(folder, LoadOptions(device=device, dtype=torch.float32, offload=move))
        for device, move in (("cpu", None), (DEVICE, offload))
    )
    expected, ours = (filled(each, PAGE, Conditioning.REFERENCE, steps=2)[0] for each in (here, there))
    assert ours.device.type == DEVICE
    torch.testing.assert_close(ours.cpu(), expected, atol=TOLERANCE, rtol=TOLERANCE)


@ON_FAR
@pytest.mark.parametrize("offload", [Offload.PARTS, Offload.LAYERS])
def test_parts_that_are_packed_on_the_device_leave_it_before_the_next_is_read(
    offload: Offload, far: Meter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As bitsandbytes packs them."""
    folder, read = write_klein(tmp_path / "klein", is_distilled=True), assembly._load_part
    sizes = []

    def packed(*where: Any) -> Any:
        part = read(*where)
        if isinstance(part, nn.Module):
            sizes.append(weight_bytes(part))
            part.to(DEVICE)
        return part

    monkeypatch.setattr(assembly, "_load_part", packed)
    gc.collect()
    far.begin()
    before = far.now
    backbone = load(folder, LoadOptions(device=DEVICE, dtype=torch.float32, offload=offload))
    assert len(sizes) == len(modules_of(backbone))
    assert max(sizes) <= far.peak - before < 1.1 * max(sizes)


def test_parts_after_a_step_that_was_broken_off_are_one_at_a_time() -> None:
    backbone = placed(klein(), Offload.PARTS)
    modules = modules_of(backbone)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    hook = backbone.transformer.proj_out.register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        filled(backbone, PAGE, Conditioning.REFERENCE, steps=1)
    hook.remove()
    modules["vae"].encode(torch.zeros(1, 3, 32, 32, device=DEVICE))
    there = [name for name, module in modules.items() if next(module.parameters()).device.type == DEVICE]
    assert there == ["vae"]


def test_bring_back_leaves_the_modules_as_they_were() -> None:
    backbone = placed(klein(), Offload.LAYERS)
    for module in modules_of(backbone).values():
        bring_back(module)
    assert all(p.device.type == "cpu" for m in modules_of(backbone).values() for p in m.parameters())
    backbone.runs_on(torch.device("cpu"))
    expected = filled(klein(), PAGE, Conditioning.REFERENCE)[0]
    assert torch.equal(filled(backbone, PAGE, Conditioning.REFERENCE)[0], expected)


@ON_FAR
def test_second_device_raises_where_devices_meet() -> None:
    with pytest.raises(MixedDevicesError, match="far and on cpu"):
        torch.ones(2, device="far") + torch.ones(2)


@ON_FAR
def test_weights_and_a_step_take_what_memory_is_computed_to_be(far: Meter) -> None:
    width, tokens, text = 256, 240, 16
    network = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=128,
        num_attention_heads=2,
        joint_attention_dim=48,
        axes_dims_rope=(32, 32, 32, 32),
        guidance_embeds=False,
    )
    gc.collect()
    before = far.now
    frozen(network).to(DEVICE)
    billions = sum(parameter.numel() for parameter in network.parameters()) / 1e9
    shape = Shape(transformer=billions, text=0.0, codec=0.0, width=width, double_blocks=1, single_blocks=2)
    computed = estimate(shape, conditions=0, side_px=240, text_tokens=text, dtype=torch.float32).steps / 1.1
    step = step_bytes(width, 15 * 15 + text, 4)
    assert far.now - before == pytest.approx(computed - step, rel=0.01)
    far.begin()
    held = far.now
    with torch.no_grad():
        network(
            hidden_states=torch.zeros(1, tokens, 16, device=DEVICE),
            encoder_hidden_states=torch.zeros(1, text, 48, device=DEVICE),
            timestep=torch.zeros(1, device=DEVICE),
            img_ids=torch.zeros(tokens, 4, device=DEVICE),
            txt_ids=torch.zeros(text, 4, device=DEVICE),
        )
    # Plain attention keeps its scores here, which a GPU's does not.
    scores = 3 * 2 * (tokens + text) ** 2 * 4
    assert 0.3 < (far.peak - held) / step_bytes(width, tokens + text, 4) < 1.2 + scores / step
