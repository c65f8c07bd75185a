"""A linear layer with low-rank updates beside it, in fewer operations than peft's own."""

from typing import Any, cast

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.nn.functional import linear

from triptych.models.packed_linear import PackedLinear

__all__ = ["LeanLinear", "takes_lean_layers"]

_PLAIN = (nn.Linear, PackedLinear)


def takes_lean_layers(module: nn.Module, names: tuple[str, ...]) -> bool:
    """Whether all the named layers are plain: quantised ones need the layers that peft has for them."""
    layers = [module.get_submodule(name) for name in names]
    return all(type(layer) in _PLAIN and type(layer.weight.data) is Tensor for layer in layers)


class LeanLinear(Linear):
    """peft's layer; its update is added by the product itself, and the input is not copied to another precision."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """As peft's; what this does not speed up goes to it."""
        active = [name for name in self.active_adapters if name in self.lora_A]
        if self.disable_adapters or self.merged or args or kwargs or not self._is_plain(active, x):
            return super().forward(x, *args, **kwargs)
        result = self.base_layer(x)
        for name in active:
            down, up = (cast(Tensor, part[name].weight) for part in (self.lora_A, self.lora_B))
            shape, low = result.shape, linear(x, down)
            result = torch.addmm(result.flatten(0, -2), low.flatten(0, -2), up.mT, alpha=self.scaling[name])
            result = result.view(shape)
        return result

    def _is_plain(self, active: list[str], x: Tensor) -> bool:
        if not torch.is_autocast_enabled(x.device.type):
            kinds = {x.dtype, *(self.lora_A[name].weight.dtype for name in active)}
            if len(kinds) > 1:
                return False
        return not any(name in self.lora_variant or not _is_silent(self.lora_dropout[name]) for name in active)


def _is_silent(dropout: nn.Module) -> bool:
    return isinstance(dropout, nn.Identity) or not dropout.training
