import pytest
import torch
from peft.tuners.lora import Linear
from torch import nn

from triptych.models.adapters import AdapterSpec, adapter_parameters, inject
from triptych.models.lean_linear import LeanLinear, takes_lean_layers


def _adapted(*, dropout=0.0, dtype=torch.float32):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 20)).to(dtype)
    parameters = inject(net, ["0"], AdapterSpec(rank=3, alpha=6.0, dropout=dropout))
    for name, value in parameters.items():
        if ".lora_B." in name:
            nn.init.normal_(value)
    return net


def _outcome(net, forward, x):
    net.zero_grad()
    x = x.clone().requires_grad_()
    y = forward(x)
    y.float().square().sum().backward()
    return [y, x.grad, *(value.grad for value in adapter_parameters(net).values())]


@pytest.mark.parametrize("shape", [(4, 12), (2, 5, 12), (2, 0, 12)])
def test_lean_linear_output_and_gradients_are_those_of_peft(shape):
    net, x = _adapted(), torch.randn(*shape)
    layer = net[0]
    assert isinstance(layer, LeanLinear)
    lean = _outcome(net, layer, x)
    peft = _outcome(net, lambda given: Linear.forward(layer, given), x)
    torch.testing.assert_close(lean, peft, atol=1e-5, rtol=1e-5)
    assert not torch.equal(lean[0], layer.base_layer(x)) or x.numel() == 0


def test_lean_linear_in_bfloat16_is_that_of_peft_within_rounding():
    net, x = _adapted(dtype=torch.bfloat16), torch.randn(6, 12, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        lean = _outcome(net, net[0], x)
        peft = _outcome(net, lambda given: Linear.forward(net[0], given), x)
    assert lean[0].dtype == torch.bfloat16
    for ours, theirs in zip(lean, peft, strict=True):
        torch.testing.assert_close(ours.float(), theirs.float(), atol=0.3, rtol=0.05)


def test_lean_linear_without_autocast_keeps_the_adapters_precision():
    net, x = _adapted(dtype=torch.bfloat16), torch.randn(6, 12, dtype=torch.bfloat16)
    assert torch.equal(net[0](x), Linear.forward(net[0], x))


def test_lean_linear_dropout_is_heard_in_training():
    net, x = _adapted(dropout=0.5), torch.randn(64, 12)
    assert not torch.equal(net.train()[0](x), net[0](x))
    assert torch.equal(net.eval()[0](x), net[0](x))


def test_lean_linear_disabled_is_the_layer_alone():
    net, x = _adapted(), torch.randn(3, 12)
    net[0].enable_adapters(False)
    assert torch.equal(net[0](x), net[0].base_layer(x))


def test_takes_lean_layers_of_another_kind_are_left_to_peft():
    class Quantised(nn.Linear):
        pass

    net = nn.Sequential(nn.Linear(2, 2), Quantised(2, 2))
    assert takes_lean_layers(net, ("0",))
    assert not takes_lean_layers(net, ("0", "1"))
