"""Weights in eight bits, for files: every output channel of a matrix has its own step, symmetric about zero."""

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["from_eight_bits", "to_eight_bits"]

_STEP = ".eight_bit_step"
"""Ending of the name under which a matrix's steps stand, one a row."""
_SMALLEST = 4096
"""Matrices with fewer weights stay as they are: they weigh little, and a norm's scale is felt everywhere."""


def to_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices and kernels as int8 and a float32 step a row; the rest as it was. An error is at most half a step."""
    packed: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if not value.is_floating_point() or value.ndim < 2 or value.numel() < _SMALLEST:
            packed[name] = value
            continue
        rows = value.float().flatten(1)
        step = (rows.abs().amax(dim=1) / 127).clamp_min(torch.finfo(torch.float32).tiny)
        packed[name] = (rows / step[:, None]).round().to(torch.int8).view(value.shape)
        packed[name + _STEP] = step
    return packed


def from_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `to_eight_bits` packed, as float32; tensors that were not packed are the same objects."""
    unpacked: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.endswith(_STEP):
            continue
        step = tensors.get(name + _STEP)
        unpacked[name] = value if step is None else (value.float().flatten(1) * step[:, None]).view(value.shape)
    return unpacked
