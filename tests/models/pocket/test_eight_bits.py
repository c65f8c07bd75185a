"""Weights in eight bits: how far they are off, what stays exact, and that a pocket paints the same with them."""

from pathlib import Path
from random import Random

import torch

from triptych.data.sources import ShapeSource
from triptych.models.pocket.eight_bits import from_eight_bits, to_eight_bits
from triptych.models.pocket.files import load_pocket, pocket_weights, save_pocket
from triptych.page import Page, condition, slot
from triptych.sampling import generate


def test_from_eight_bits_of_to_eight_bits_errs_by_half_a_step_of_each_row() -> None:
    torch.manual_seed(0)
    weights = {"matrix": torch.randn(64, 100) * torch.logspace(-4, 2, 64)[:, None], "kernel": torch.randn(32, 16, 3, 3)}
    back = from_eight_bits(to_eight_bits(weights))
    for name, value in weights.items():
        rows = value.flatten(1)
        half_step = rows.abs().amax(dim=1) / 127 / 2
        assert ((back[name].flatten(1) - rows).abs() <= half_step[:, None] * 1.001).all(), name


def test_to_eight_bits_leaves_small_and_whole_number_tensors_alone() -> None:
    weights = {"norm": torch.randn(4096), "small": torch.randn(8, 8), "count": torch.ones(64, 64, dtype=torch.long)}
    packed = to_eight_bits(weights)
    assert packed.keys() == weights.keys()
    assert all(packed[name] is value for name, value in weights.items())


def test_to_eight_bits_of_a_row_of_zeros_gives_zeros() -> None:
    assert from_eight_bits(to_eight_bits({"zero": torch.zeros(64, 64)}))["zero"].abs().max() == 0


def test_pocket_in_eight_bits_is_half_the_file_and_paints_the_same_picture(tmp_path: Path) -> None:
    picture = ShapeSource().look(Random(3), 128).render()
    exact = load_pocket(dtype=torch.float32, packed=False)
    path = tmp_path / "eight.safetensors"
    save_pocket(exact.network, exact.tokenizer, path, dtype=torch.float32, eight_bits=True)
    assert path.stat().st_size < 0.55 * 2 * sum(value.numel() for value in pocket_weights(path).values())
    page = Page(panels=(condition(picture), slot("mirror it")))
    before, after = (
        torch.tensor(list(generate(backbone, page).images[0].tobytes()), dtype=torch.float32)
        for backbone in (exact, load_pocket(path, dtype=torch.float32, packed=False))
    )
    psnr = 20 * torch.log10(255 / (before - after).square().mean().sqrt())
    assert psnr > 40
