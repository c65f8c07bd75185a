"""Linear layers whose weights oneDNN lays out once for the processor at hand.

torch multiplies float32 on a CPU with MKL, which on some processors uses half of their vector width, and multiplies
bfloat16 with weights that are laid out again in every call. For the few hundred tokens of a small page the product with
packed weights takes between a third and a half of the time; `benchmarks/pocket_sampling.py` has the figures.
"""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["PackedLinear", "pack_linears"]

_KINDS = (torch.float32, torch.bfloat16)


class PackedLinear(nn.Linear):
    """The plain layer wherever a gradient is asked, under autocast, in compiled code and off the CPU."""

    _packed: Tensor | None = None
    _packed_from: tuple[int, int] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """As `nn.Linear`, within rounding."""
        if not self._may_pack(input):
            return super().forward(input)
        # Weights may be replaced or changed in place, by a skill that is merged for instance.
        source = (self.weight.data_ptr(), self.weight._version)
        if self._packed is None or self._packed_from != source:
            self._packed, self._packed_from = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach()), source
        return torch.ops.mkldnn._linear_pointwise(input, self._packed, self.bias, "none", [], "")

    def _may_pack(self, tokens: Tensor) -> bool:
        # Nothing else may be asked in compiled code: it cannot follow weights that are laid out again.
        if torch.compiler.is_compiling() or not torch.backends.mkldnn.is_available():
            return False
        wants_gradient = torch.is_grad_enabled() and (tokens.requires_grad or self.weight.requires_grad)
        if tokens.dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        fits = tokens.dtype == self.weight.dtype in _KINDS and tokens.device.type == self.weight.device.type == "cpu"
        return fits and not (wants_gradient or torch.is_autocast_enabled("cpu") or self.weight.is_inference())

    def __getstate__(self) -> dict[str, Any]:
        """Without the packed weights, which can be neither copied nor saved."""
        return {name: value for name, value in super().__getstate__().items() if not name.startswith("_packed")}


def pack_linears(module: nn.Module) -> None:
    """Turn the plain linear layers of `module` into packed ones, in place; their parameters stay the same objects."""
    for child in module.modules():
        if type(child) is nn.Linear:
            child.__class__ = PackedLinear
