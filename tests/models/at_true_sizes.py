"""Every checkpoint at its released size with random weights: placing, types, compiled blocks, fewer bits, training.

Run by `test_true_sizes.py` in a process of its own: on a GPU (`TRIPTYCH_DEVICE=cuda TRIPTYCH_SIZES=full`), and with
small parts on the second device without hardware, so that these tests themselves are known to work. What does not fit
in the memory that is free is left out.
"""

import gc
import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from second_device import second_device
from tiny_models import picture
from tiny_training import recipe
from triptych.models.backbone import Backbone
from triptych.models.latent import LatentBackbone
from triptych.models.loading import load
from triptych.models.memory import estimate, free_bytes
from triptych.models.offloading import bring_back
from triptych.models.options import LoadOptions, Offload, Quantise
from triptych.page import Page, condition, slot
from triptych.sampling import generate
from triptych.sampling.result import Result
from triptych.training.loop import train
from true_sizes import SIZED, assembled, checkpoint_of, parts_of

DEVICE = os.environ.get("TRIPTYCH_DEVICE", "far")
IS_FULL = os.environ.get("TRIPTYCH_SIZES", "small") == "full"
SIDE_PX = 1024 if IS_FULL else 64
DTYPE = torch.bfloat16 if IS_FULL else torch.float32
QUICK = ("flux2-klein",)
"""The checkpoint of the default run; the others run with `-m slow`."""
SAME = 4.0 if IS_FULL else 0.0
"""Mean difference of two pictures, of 255, that other kernels may make; the second device has one kernel."""
PAGE = Page(panels=(condition(picture(1, SIDE_PX, SIDE_PX), "a fox"), slot("on the beach", size_px=(SIDE_PX, SIDE_PX))))
ANSWERED = Page(
    panels=(
        condition(picture(1, SIDE_PX, SIDE_PX), "a fox"),
        slot("on the beach", answer=picture(2, SIDE_PX, SIDE_PX)),
    ),
    page_id="one",
)


def checkpoints(*names: str) -> list[Any]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names or SIZED]


@pytest.fixture(autouse=True)
def device() -> Iterator[None]:
    with second_device() if DEVICE == "far" else nullcontext():
        yield
    gc.collect()
    if DEVICE == "cuda":
        torch.cuda.empty_cache()


def fits(name: str, offload: Offload, quantise: Quantise = Quantise.NONE) -> bool:
    shape = checkpoint_of(SIZED[name], is_full=IS_FULL).shape
    needed = estimate(shape, side_px=SIDE_PX, dtype=DTYPE, offload=offload, quantise=quantise).peak
    return not IS_FULL or needed <= free_bytes(DEVICE)


def options(**more: Any) -> LoadOptions:
    return LoadOptions(device=DEVICE, dtype=DTYPE, **more)


def drawn(backbone: LatentBackbone, name: str) -> Result:
    return generate(backbone, PAGE, steps=2, seed=1, conditioning=SIZED[name].way)


def difference(one: Result, other: Result) -> float:
    ours, theirs = (
        torch.frombuffer(bytearray(each.images[0].tobytes()), dtype=torch.uint8).float() for each in (one, other)
    )
    assert ours.unique().numel() > 16  # a picture, not one colour
    return float((ours - theirs).abs().mean())


def back(parts: dict[str, Any]) -> None:
    for part in parts.values():
        if isinstance(part, nn.Module):
            bring_back(part)


@pytest.mark.parametrize("name", checkpoints())
def test_every_way_of_placing_makes_the_same_picture(name: str) -> None:
    parts = parts_of(SIZED[name], is_full=IS_FULL, device=DEVICE, dtype=DTYPE)
    made: list[Result] = []
    for offload in Offload:
        if not fits(name, offload):
            continue
        if DEVICE == "cuda":
            torch.cuda.reset_peak_memory_stats()
        made.append(drawn(assembled(SIZED[name], parts, options(offload=offload), is_full=IS_FULL), name))
        if DEVICE == "cuda":
            shape = checkpoint_of(SIZED[name], is_full=True).shape
            computed = estimate(shape, side_px=SIDE_PX, dtype=DTYPE, offload=offload).peak
            assert torch.cuda.max_memory_allocated() <= 1.1 * computed, offload
        back(parts)
    if not made:
        pytest.skip("it does not fit, even layer by layer")
    for each in made:
        assert difference(made[0], each) <= SAME
        assert not each.notes  # no rung of the memory ladder was taken


@pytest.mark.skipif(DEVICE == "far", reason="compiled code does not run on the second device without hardware")
@pytest.mark.parametrize("name", checkpoints())
def test_compiled_blocks_make_the_same_picture(name: str) -> None:
    offload = next((each for each in (Offload.NONE, Offload.PARTS) if DEVICE != "cpu" and fits(name, each)), None)
    if DEVICE != "cpu" and offload is None:
        pytest.skip("it does not fit")
    parts = parts_of(SIZED[name], is_full=IS_FULL, device=DEVICE, dtype=DTYPE)
    made = []
    for compiled in (False, True):
        how = options(offload=offload, compile=compiled)
        made.append(drawn(assembled(SIZED[name], parts, how, is_full=IS_FULL), name))
        back(parts)
    assert difference(*made) <= max(SAME, 0.5)


def written(folder: Path, name: str) -> Path:
    """A folder as diffusers writes it."""
    parts = parts_of(SIZED[name], is_full=IS_FULL, device=DEVICE, dtype=DTYPE)
    index: dict[str, Any] = {"_class_name": checkpoint_of(SIZED[name], is_full=IS_FULL).pipeline, "is_distilled": True}
    for part_name, part in parts.items():
        library = "transformers" if part_name.startswith(("text", "token")) else "diffusers"
        index[part_name] = [library, type(part).__name__]
        part.save_pretrained(folder / part_name)
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(Quantise))
@pytest.mark.parametrize("offload", list(Offload))
def test_fewer_bits_make_nearly_the_same_picture(kind: Quantise, offload: Offload, tmp_path: Path) -> None:
    package = {Quantise.NONE: "torch", Quantise.NF4: "bitsandbytes"}.get(kind, "torchao")
    if importlib.util.find_spec(package) is None or (kind is Quantise.NF4 and DEVICE != "cuda"):
        pytest.skip(f"needs {package}, and for nf4 a GPU")
    if (kind, offload) == (Quantise.NF4, Offload.LAYERS):
        pytest.skip("nf4 is not lent block by block")
    folder, name = written(tmp_path, "flux2-klein"), "flux2-klein"
    exact = drawn(load(folder, options(offload=Offload.PARTS, quantise=Quantise.NONE)), name)
    small = drawn(load(folder, options(offload=offload, quantise=kind)), name)
    assert difference(exact, small) <= (SAME if kind is Quantise.NONE else 32.0)


@pytest.mark.slow
def test_every_type_makes_nearly_the_same_picture() -> None:
    name = "flux2-klein"
    made = []
    for dtype in (torch.float32, torch.bfloat16):
        parts = parts_of(SIZED[name], is_full=IS_FULL, device=DEVICE, dtype=torch.bfloat16)
        for part in parts.values():
            if isinstance(part, nn.Module):
                part.to(dtype)
        how = LoadOptions(device=DEVICE, dtype=dtype, offload=Offload.PARTS)
        made.append(drawn(assembled(SIZED[name], parts, how, is_full=IS_FULL), name))
    assert 0 < difference(*made) <= 16.0


def learned(backbone: Backbone, out: Path) -> torch.Tensor:
    """What two steps of training added: B begins at zero."""
    plan = recipe(
        steps=2,
        batch=1,
        draws=1,
        sides_px=(SIDE_PX,),
        precision="bf16" if IS_FULL else "fp32",
        # Blocks are computed again by the gradient's own thread, in which the second device does not look.
        gradient_checkpointing=DEVICE != "far",
        optimizer={"learning_rate": 1e-3},
    )
    skill = train([ANSWERED], out, plan, backbone)
    return torch.cat([value.flatten() for name, value in sorted(skill.tensors.items()) if "lora_B" in name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZED)
def test_training_with_every_offload_learns_the_same_skill(name: str, tmp_path: Path) -> None:
    parts = parts_of(SIZED[name], is_full=IS_FULL, device=DEVICE, dtype=DTYPE)
    found: list[torch.Tensor] = []
    for offload in Offload:
        # Beside the weights a step keeps an adapter and, as blocks are computed again, little more than sampling does.
        if fits(name, offload):
            backbone = assembled(SIZED[name], parts, options(offload=offload), is_full=IS_FULL)
            found.append(learned(backbone, tmp_path / f"{offload.value}.safetensors").cpu())
            back(parts)
    if not found:
        pytest.skip("it does not fit, even layer by layer")
    for each in found:
        assert each.abs().mean() > 1e-4
        # The first step of Adam is as large for every value, whatever its gradient: signs near zero may differ.
        assert torch.cosine_similarity(found[0], each, dim=0) > (0.9 if IS_FULL else 0.9999)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Quantise.INT8, Quantise.FP8, Quantise.NF4])
def test_training_on_fewer_bits_learns_nearly_the_same_skill(kind: Quantise, tmp_path: Path) -> None:
    if DEVICE == "far" or (kind is Quantise.NF4 and (DEVICE != "cuda" or not importlib.util.find_spec("bitsandbytes"))):
        pytest.skip("torchao's weights want a device that torch knows, nf4 bitsandbytes and a GPU")
    folder = written(tmp_path / "klein", "flux2-klein")
    found = []
    for each in (Quantise.NONE, kind):
        backbone = load(folder, options(offload=Offload.NONE, quantise=each))
        found.append(learned(backbone, tmp_path / f"{each.value}.safetensors").cpu())
        del backbone
        gc.collect()
    assert torch.cosine_similarity(*found, dim=0) > 0.5
