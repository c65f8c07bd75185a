"""The blocks of FLUX.2 in plain torch: diffusers' names for the weights, its numbers, and none of its imports.

`diffusers.Flux2Transformer2DModel` takes longer to import than torch itself, and the pocket is a small file that should
be ready at once. `tests/models/pocket/test_transformer.py` holds these blocks to diffusers' class on the same weights.
"""

import math
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from triptych.models.pocket.attention import KeysAndValues, Rotary, attend, heads, normalise, rotate

__all__ = ["DoubleBlock", "Modulation", "SingleBlock", "TimeEmbedding", "last_norm", "rotary_angles"]

_EPS = 1e-6
_THETA = 2000
_TIME_CHANNELS = 256
_TIME_PERIOD = 10000
_FEED_FORWARD = 3
"""Width of the feed-forward layers in multiples of the network's."""

_Shift: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Shift, scale and gate."""


class Modulation(nn.Module):
    """Shift, scale and gate for `sets` parts of a block, from the embedded noise level; all blocks share them."""

    def __init__(self, width: int, *, sets: int) -> None:
        super().__init__()
        self.sets = sets
        self.linear = nn.Linear(width, 3 * sets * width, bias=False)

    def forward(self, level: Float[Tensor, "batch width"]) -> tuple[_Shift, ...]:
        parts = self.linear(silu(level))[:, None].chunk(3 * self.sets, dim=-1)
        return tuple((parts[i], parts[i + 1], parts[i + 2]) for i in range(0, len(parts), 3))


class TimeEmbedding(nn.Module):
    """Sines of the noise level through two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.timestep_embedder = nn.ModuleDict(
            {
                "linear_1": nn.Linear(_TIME_CHANNELS, width, bias=False),
                "linear_2": nn.Linear(width, width, bias=False),
            }
        )

    def forward(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        half = _TIME_CHANNELS // 2
        exponent = -math.log(_TIME_PERIOD) * torch.arange(half, dtype=torch.float32, device=t.device) / half
        angles = (1000 * t)[:, None].float() * exponent.exp()
        waves = torch.cat((angles.cos(), angles.sin()), dim=-1).to(t.dtype)
        return self.timestep_embedder["linear_2"](silu(self.timestep_embedder["linear_1"](waves)))


class _FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_in = nn.Linear(width, 2 * _FEED_FORWARD * width, bias=False)
        self.linear_out = nn.Linear(_FEED_FORWARD * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_out(_gated(self.linear_in(x)))


class _JointAttention(nn.Module):
    """Weights of the attention of text and pictures, which have projections of their own."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.norm_q, self.norm_k = (nn.RMSNorm(head_width, eps=_EPS) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(width, width, bias=False)])
        self.norm_added_q, self.norm_added_k = (nn.RMSNorm(head_width, eps=_EPS) for _ in range(2))
        self.add_q_proj, self.add_k_proj, self.add_v_proj = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.to_add_out = nn.Linear(width, width, bias=False)

    def forward(
        self, image: Tensor, text: Tensor, rotary: Rotary, kept: KeysAndValues | None
    ) -> tuple[Tensor, Tensor, KeysAndValues]:
        width = self.head_width
        seen = torch.stack((heads(self.to_q(image), width), heads(self.to_k(image), width)), dim=2)
        read = torch.stack((heads(self.add_q_proj(text), width), heads(self.add_k_proj(text), width)), dim=2)
        pair = torch.cat(
            (normalise(read, self.norm_added_q, self.norm_added_k), normalise(seen, self.norm_q, self.norm_k)), dim=1
        )
        value = torch.cat((heads(self.add_v_proj(text), width), heads(self.to_v(image), width)), dim=1)
        texts = text.shape[1]
        out, own = attend(rotate(pair, rotary), value, texts=texts, kept=kept)
        return self.to_out[0](out[:, texts:]), self.to_add_out(out[:, :texts]), own


class _ParallelAttention(nn.Module):
    """Attention and feed-forward that share their projections."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.head_width, self._qkv, self._mlp = head_width, 3 * width, 2 * _FEED_FORWARD * width
        self.to_qkv_mlp_proj = nn.Linear(width, self._qkv + self._mlp, bias=False)
        self.norm_q, self.norm_k = (nn.RMSNorm(head_width, eps=_EPS) for _ in range(2))
        self.to_out = nn.Linear(width + _FEED_FORWARD * width, width, bias=False)

    def forward(
        self, both: Tensor, rotary: Rotary, texts: int, kept: KeysAndValues | None
    ) -> tuple[Tensor, KeysAndValues]:
        qkv, mlp = self.to_qkv_mlp_proj(both).split((self._qkv, self._mlp), dim=-1)
        qkv = qkv.unflatten(-1, (3, -1, self.head_width))
        pair = rotate(normalise(qkv[:, :, :2], self.norm_q, self.norm_k), rotary)
        out, own = attend(pair, qkv[:, :, 2], texts=texts, kept=kept)
        return self.to_out(torch.cat((out, _gated(mlp)), dim=-1)), own


class DoubleBlock(nn.Module):
    """Text and pictures in streams of their own, which meet in attention."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.attn = _JointAttention(width, head_width)
        self.ff, self.ff_context = _FeedForward(width), _FeedForward(width)

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        image_shifts: tuple[_Shift, ...],
        text_shifts: tuple[_Shift, ...],
        rotary: Rotary,
        kept: KeysAndValues | None = None,
    ) -> tuple[Tensor, Tensor, KeysAndValues]:
        """Pictures, text, and the pictures' own keys and values; `kept` are those of references."""
        (shift, scale, gate), (shift_ff, scale_ff, gate_ff) = image_shifts
        (shift_t, scale_t, gate_t), (shift_t_ff, scale_t_ff, gate_t_ff) = text_shifts
        seen, read, own = self.attn(_moved(image, shift, scale), _moved(text, shift_t, scale_t), rotary, kept)
        image, text = image + gate * seen, text + gate_t * read
        image = image + gate_ff * self.ff(_moved(image, shift_ff, scale_ff))
        text = text + gate_t_ff * self.ff_context(_moved(text, shift_t_ff, scale_t_ff))
        return image, text, own


class SingleBlock(nn.Module):
    """Text and pictures in one stream."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.attn = _ParallelAttention(width, head_width)

    def forward(
        self, both: Tensor, shifts: _Shift, rotary: Rotary, texts: int, kept: KeysAndValues | None = None
    ) -> tuple[Tensor, KeysAndValues]:
        """The stream, whose first `texts` tokens are words, and the pictures' own keys and values."""
        shift, scale, gate = shifts
        out, own = self.attn(_moved(both, shift, scale), rotary, texts, kept)
        return both + gate * out, own


def last_norm(x: Tensor, level: Tensor, linear: nn.Module) -> Tensor:
    """The norm before the output, moved by the embedded noise level."""
    scale, shift = linear(silu(level))[:, None].chunk(2, dim=-1)
    return _moved(x, shift, scale)


def rotary_angles(places: Float[Tensor, "tokens axes"], axes: tuple[int, ...]) -> Rotary:
    """Cosines and sines of every token's place, `axes` wide for each axis (Su et al. 2021, arXiv:2104.09864)."""
    # Devices without float64 compute them on the CPU: they are few, and made once a pass.
    where = places.device if places.device.type in ("cpu", "cuda") else torch.device("cpu")
    angles = []
    for axis, width in enumerate(axes):
        frequencies = 1.0 / _THETA ** (torch.arange(0, width, 2, dtype=torch.float64, device=where) / width)
        angles.append(torch.outer(places[:, axis].float().to(where), frequencies).repeat_interleave(2, dim=1))
    whole = torch.cat(angles, dim=1)
    return whole.cos().float().to(places.device), whole.sin().float().to(places.device)


def _gated(x: Tensor) -> Tensor:
    gate, rest = x.chunk(2, dim=-1)
    return silu(gate) * rest


def _moved(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    normed = torch.nn.functional.layer_norm(x, x.shape[-1:], eps=_EPS)
    return (1 + scale) * normed + shift
