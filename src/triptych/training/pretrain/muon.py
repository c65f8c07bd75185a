"""Muon whose orthogonalisation is in float32 and works on Gram matrices, for processors without bfloat16."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["GramMuon", "orthogonalised"]

_COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the quintic iteration of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/)."""


def orthogonalised(
    matrices: Float[Tensor, "count rows columns"], steps: int, eps: float = 1e-7
) -> Float[Tensor, "count rows columns"]:
    """Each matrix with its singular values near 1, by `steps` Newton-Schulz iterations; for wide matrices.

    The iteration X <- (a + b G + c G^2) X, G = X X^T, multiplies X by polynomials of its first G alone. So G and the
    product of the polynomials are iterated, which are as small as the matrix is high, and X is multiplied once.
    """
    a, b, c = _COEFFICIENTS
    unit = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(eps)
    gram = unit @ unit.mT
    product = identity = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device).expand_as(gram)
    for step in range(steps):
        factor = torch.baddbmm(b * gram, gram, gram, alpha=c) + a * identity
        product = factor @ product if step else factor
        if step + 1 < steps:
            gram = factor @ gram @ factor
    return product @ unit


class GramMuon(torch.optim.Muon):
    """`torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`: the same state and updates, equal shapes together.

    torch's multiplies in bfloat16, which processors without it emulate: there its step takes three times as long as
    the pocket's forward and backward passes, and this one a fraction of them.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
        ns_steps: int = 5,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            ns_steps=ns_steps,
            adjust_lr_fn="match_rms_adamw",
        )

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of every matrix that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for alike in _by_shape(p for p in group["params"] if p.grad is not None):
                self._update(alike, group)
        return loss

    def _update(self, matrices: list[Tensor], group: dict[str, Any]) -> None:
        updates = torch.stack([self._momentum(matrix, group) for matrix in matrices]).float()
        high = updates.shape[1] > updates.shape[2]
        updates = orthogonalised(updates.mT if high else updates, group["ns_steps"], group["eps"])
        # As Moonshot's: the update's root mean square is that of AdamW (Liu et al. 2025, arXiv:2502.16982, eq. 4).
        rate = group["lr"] * 0.2 * max(matrices[0].shape) ** 0.5
        for matrix, update in zip(matrices, updates.mT if high else updates, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)

    def _momentum(self, matrix: Tensor, group: dict[str, Any]) -> Tensor:
        """Nesterov's: the gradient drawn towards its moving average."""
        state, gradient = self.state[matrix], matrix.grad
        assert gradient is not None
        mean = state.setdefault("momentum_buffer", torch.zeros_like(gradient))
        mean.lerp_(gradient, 1 - group["momentum"])
        return gradient.lerp(mean, group["momentum"])


def _by_shape(matrices: Iterable[Tensor]) -> list[list[Tensor]]:
    found: dict[tuple[int, ...], list[Tensor]] = {}
    for matrix in matrices:
        found.setdefault(tuple(matrix.shape), []).append(matrix)
    return list(found.values())
