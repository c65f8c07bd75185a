"""Training on a second device, with every offload: the CPU's adapter, whether it was interrupted or not.

Run by `test_second_device.py` in a process of its own, because a device that was registered stays so until the process
ends; and on a GPU by `TRIPTYCH_DEVICE=cuda pytest tests/training/on_second_device.py`.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from second_device import register, second_device
from tiny_flux3 import flux3
from tiny_glm import glm_image
from tiny_models import klein
from tiny_pipelines import text_parts
from tiny_qwen import qwen_layered
from tiny_training import made_page, recipe
from tiny_z_image import z_image_omni
from triptych.errors import Cancelled
from triptych.events import CancelToken, Step
from triptych.models.latent import LatentBackbone
from triptych.models.options import LoadOptions, Offload
from triptych.models.placing import place
from triptych.page import Page
from triptych.skill import Skill
from triptych.training.loop import train

DEVICE = os.environ.get("TRIPTYCH_DEVICE", "far")
TOLERANCE = 1e-5 if DEVICE == "far" else 1e-3
if DEVICE == "far":
    register()
PAGES = [made_page(number) for number in range(2)]


def layers_of(page: Page) -> Page:
    """The same picture, and the layers that it consists of: its ground, and what is transparent around it."""
    (panel,) = page.slots
    assert panel.answer is not None
    above = panel.answer.convert("RGBA")
    above.putalpha(Image.linear_gradient("L").resize(above.size))
    return replace(page, panels=(*page.conditions, panel, replace(panel, answer=above)))


LAYERED = [layers_of(page) for page in PAGES]


def on_device() -> AbstractContextManager[object]:
    return second_device() if DEVICE == "far" else nullcontext()


def placed(backbone: LatentBackbone, offload: Offload) -> LatentBackbone:
    parts = {"transformer": backbone.transformer, "vae": backbone.codec.vae, **text_parts(backbone.text)}
    modules = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    place(backbone, modules, LoadOptions(device=DEVICE, offload=offload))
    return backbone


def trained(
    make: Callable[[], LatentBackbone], out: Path, *, pages: list[Page] = PAGES, stop: int = 0, **changes: object
) -> Skill:
    """A skill of three steps, of which `stop` are made before the run is broken off and resumed by another process."""
    plan = recipe(**{"steps": 3, "batch": 1, "draws": 1, "sides_px": (32,), **changes})
    if stop:
        token = CancelToken()

        def stopping(event: object) -> None:
            if isinstance(event, Step) and event.step == stop:
                token.cancel()

        with pytest.raises(Cancelled):
            train(pages, out, plan, make(), on_event=stopping, cancel=token)
    return train(pages, out, plan, make(), resume=bool(stop))


def test_gradients_of_complex_numbers_are_the_cpus() -> None:
    """Qwen-Image and Z-Image turn their tokens in complex numbers, whose gradients are conjugate."""
    generator = torch.Generator().manual_seed(0)
    tokens, angles = torch.randn(3, 8, generator=generator), torch.randn(3, 4, generator=generator)

    def gradient(device: str) -> torch.Tensor:
        own = tokens.to(device).requires_grad_()
        turned = torch.view_as_complex(own.unflatten(-1, (-1, 2))) * torch.polar(torch.ones(3, 4), angles).to(device)
        (torch.view_as_real(turned).flatten(1) ** 3).sum().backward()
        assert own.grad is not None
        return own.grad.cpu()

    with on_device():
        torch.testing.assert_close(gradient(DEVICE), gradient("cpu"))


CASES = [
    pytest.param(offload, kind, marks=() if (offload, kind) == (Offload.PARTS, "adamw") else pytest.mark.slow)
    for offload in Offload
    for kind in ("adamw", "prodigy", "schedule_free")
]


@pytest.mark.parametrize(("offload", "kind"), CASES)
def test_skill_trained_on_a_second_device_is_the_cpus(tmp_path: Path, offload: Offload, kind: str) -> None:
    changes = {
        "optimizer": {"kind": kind, "learning_rate": 1e3 if kind == "prodigy" else 1e-2},
        # Layers in blocks and outside of them, which `layers` keeps apart.
        "adapter": {"rank": 2, "alpha": 2, "targets": ("*_blocks.0.*", "x_embedder", "proj_out")},
    }
    # A look between two steps sends the transformer away and back.
    watch = {"save_every": 1, "samples": 1, "sample_every": 2}
    expected = trained(klein, tmp_path / "expected.safetensors", **changes)
    with on_device():
        ours = trained(lambda: placed(klein(), offload), tmp_path / "ours.safetensors", stop=2, watch=watch, **changes)
    assert ours.tensors.keys() == expected.tensors.keys()
    for name, value in ours.tensors.items():
        torch.testing.assert_close(value, expected.tensors[name], atol=TOLERANCE, rtol=TOLERANCE)
        # B begins at zero: what was not trained is zero still.
        assert "lora_A" in name or value.abs().max() > 1e-3


FAMILIES: dict[str, tuple[Callable[[], LatentBackbone], int, list[Page]]] = {
    "flux3": (flux3, 32, PAGES),
    "flux3-distilled": (lambda: flux3(distilled=True), 32, PAGES),
    "glm-image": (glm_image, 64, PAGES),
    "qwen-layered": (qwen_layered, 32, LAYERED),
    "z-image-omni": (z_image_omni, 32, PAGES),
}


@pytest.mark.slow
@pytest.mark.parametrize("offload", [Offload.PARTS, Offload.LAYERS])
@pytest.mark.parametrize("family", FAMILIES)
def test_family_trained_on_a_second_device_is_the_cpus(tmp_path: Path, offload: Offload, family: str) -> None:
    make, side_px, pages = FAMILIES[family]
    changes = {
        "pages": pages,
        "optimizer": {"kind": "adamw", "learning_rate": 1e-2},
        "adapter": {"rank": 2, "alpha": 2, "targets": ("*",)},
        "sides_px": (side_px,),
    }
    watch = {"save_every": 1, "samples": 1, "sample_every": 2}
    expected = trained(make, tmp_path / "expected.safetensors", **changes)
    with on_device():
        ours = trained(lambda: placed(make(), offload), tmp_path / "ours.safetensors", stop=2, watch=watch, **changes)
    assert ours.tensors.keys() == expected.tensors.keys()
    for name, value in ours.tensors.items():
        # Adam divides by what is nearly zero, so that the last bits of a sum are seen tens of times larger.
        torch.testing.assert_close(value, expected.tensors[name], atol=10 * TOLERANCE, rtol=10 * TOLERANCE)
    # B begins at zero: what was not trained is zero still.
    heard = [name for name, value in ours.tensors.items() if "lora_B" in name and value.abs().max() > 1e-3]
    assert len(heard) > len(ours.tensors) // 4
