"""Packed linear layers against torch's own."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from triptych.models.adapters import AdapterSpec, eject, inject, linear_names
from triptych.models.packed_linear import PackedLinear, pack_linears


def _pair(inputs: int, outputs: int, *, bias: bool = True) -> tuple[nn.Linear, PackedLinear]:
    torch.manual_seed(0)
    plain = nn.Linear(inputs, outputs, bias=bias).requires_grad_(False)
    packed = deepcopy(plain)
    pack_linears(packed)
    assert isinstance(packed, PackedLinear)
    return plain, packed


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.integers(1, 70), min_size=1, max_size=2),
    inputs=st.integers(1, 130),
    outputs=st.integers(1, 130),
    bias=st.booleans(),
)
def test_packed_linear_equals_the_plain_layer(rows: list[int], inputs: int, outputs: int, bias: bool) -> None:
    plain, packed = _pair(inputs, outputs, bias=bias)
    tokens = torch.randn(*rows, inputs)
    assert torch.allclose(packed(tokens), plain(tokens), atol=1e-5)
    assert packed._packed is not None


def test_packed_linear_after_its_weight_changed_in_place_follows() -> None:
    plain, packed = _pair(8, 4)
    tokens = torch.randn(3, 8)
    packed(tokens)
    for layer in (plain, packed):
        layer.weight.mul_(2.0)
    assert torch.allclose(packed(tokens), plain(tokens), atol=1e-5)


def test_packed_linear_after_another_type_follows() -> None:
    plain, packed = _pair(8, 4)
    packed(torch.randn(3, 8))
    tokens = torch.randn(3, 8).double()
    assert torch.allclose(packed.double()(tokens), plain.double()(tokens))


@pytest.mark.parametrize("of", ["input", "weight"])
def test_packed_linear_gives_gradients(of: str) -> None:
    plain, packed = _pair(8, 4)
    tokens = torch.randn(3, 8)
    found = []
    for layer in (plain, packed):
        given_tokens = tokens.clone().requires_grad_(of == "input")
        layer.requires_grad_(of == "weight")
        layer(given_tokens).square().sum().backward()
        found.append(given_tokens.grad if of == "input" else layer.weight.grad)
    assert torch.equal(found[0], found[1])


def test_packed_linear_can_be_copied_after_use() -> None:
    _, packed = _pair(8, 4)
    tokens = torch.randn(3, 8)
    expected = packed(tokens)
    copied = deepcopy(packed)
    assert torch.equal(copied(tokens), expected)


def test_inject_into_packed_layers_trains_and_leaves_them_as_they_were() -> None:
    module = nn.Sequential(nn.Linear(8, 8)).requires_grad_(False)
    pack_linears(module)
    tokens = torch.randn(3, 8)
    before = module(tokens)
    parameters = inject(module, linear_names(module), AdapterSpec(rank=2, alpha=2.0))
    module(tokens).square().sum().backward()
    assert all(parameter.grad is not None for parameter in parameters.values())
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.fill_(1.0)
        assert not torch.allclose(module(tokens), before)
    eject(module)
    assert torch.equal(module(tokens), before)


def test_packed_linear_in_bfloat16_is_right_on_every_processor() -> None:
    plain, packed = _pair(64, 32)
    tokens = torch.randn(5, 64).bfloat16()
    made = packed.bfloat16()(tokens)
    assert torch.allclose(made.float(), plain.bfloat16()(tokens).float(), atol=0.05)
