"""Muon by Gram matrices: what its iteration does to singular values, and that it is torch's optimizer."""

from functools import partial

import pytest
import torch

from triptych.training.pretrain.muon import GramMuon, orthogonalised


def test_orthogonalised_applies_the_quintic_to_each_singular_value() -> None:
    torch.manual_seed(0)
    matrices = torch.randn(3, 12, 40, dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    values = values / values.norm(dim=1, keepdim=True)
    for _ in range(4):
        values = 3.4445 * values - 4.775 * values**3 + 2.0315 * values**5
    expected = left @ torch.diag_embed(values) @ right
    torch.testing.assert_close(orthogonalised(matrices, 4), expected, atol=1e-9, rtol=1e-7)


def test_orthogonalised_of_nothing_is_nothing() -> None:
    assert torch.equal(orthogonalised(torch.zeros(1, 4, 6), 4), torch.zeros(1, 4, 6))


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (24, 24)])
def test_gram_muon_takes_the_steps_of_torch(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    start, gradients = torch.randn(shape), torch.randn(3, *shape)
    ends = []
    for kind in (partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw"), GramMuon):
        weight = torch.nn.Parameter(start.clone())
        optimizer = kind([weight], lr=0.01, weight_decay=0.1, momentum=0.9, ns_steps=4)
        for gradient in gradients:
            weight.grad = gradient.clone()
            optimizer.step()
        ends.append((weight.detach(), optimizer.state_dict()))
    (theirs, state), (ours, own_state) = ends
    # torch's multiplies in bfloat16: three digits.
    torch.testing.assert_close(ours - start, theirs - start, atol=4e-4, rtol=2e-2)
    torch.testing.assert_close(own_state["state"][0], state["state"][0])
    assert own_state["param_groups"] == state["param_groups"]
