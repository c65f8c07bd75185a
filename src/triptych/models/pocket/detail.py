"""The detail head: the references' own tokens, read once more at the end, where nothing narrows them.

A token of the second codec has nearly as many numbers as the network is wide, so its stream can say what is to be done
with a patch, and hardly carry the patch as well; FLUX.2's has 24 times as many. The head finds the patches that an
answer is made of by attention, as the blocks do, and what it brings is the patches themselves, each channel by a gain
that the stream decides: kept, dimmed, recoloured, moved.
"""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor, nn

from triptych.models.pocket.attention import KeysAndValues, Rotary, heads, in_heads, rotate

__all__ = ["DetailHead"]

_EPS = 1e-6
_SHARPNESS = 4.0
"""Of attention at the start: high enough that a head which looks at its own place sees little of the next."""


class DetailHead(nn.Module):
    """Adds to the answer's tokens what its stream asks of the references' tokens; says nothing when it is new."""

    def __init__(self, *, width: int, channels: int, head_width: int) -> None:
        super().__init__()
        count = width // head_width
        self.head_width = head_width
        self.to_q, self.to_k = nn.Linear(width, width), nn.Linear(width, width)
        self.norm_q, self.norm_k = (nn.RMSNorm(head_width, eps=_EPS) for _ in range(2))
        self.gain = nn.Linear(width, count * channels)
        self.mix = nn.Parameter(torch.eye(channels).repeat(count, 1))
        self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)
        same_place = torch.zeros(self.head_width)
        quarter = self.head_width // 4
        same_place[quarter : 3 * quarter] = 1.0  # the channels that row and column turn
        for layer in (self.to_q, self.to_k):
            layer.weight.mul_(0.2)
            layer.bias.copy_(same_place.repeat(len(layer.bias) // self.head_width))
        for norm in (self.norm_q, self.norm_k):
            norm.weight.fill_(_SHARPNESS)

    def kept(
        self,
        stream: Float[Tensor, "batch reference wide"],
        tokens: Float[Tensor, "batch reference channels"],
        rotary: Rotary,
    ) -> KeysAndValues:
        """Keys of references, and their tokens in the place of values, filled up to the same shape with zeros."""
        keys = self._placed(self.norm_k(heads(self.to_k(stream), self.head_width)), rotary)
        return keys, in_heads(tokens, width=stream.shape[-1], head_width=self.head_width)

    def forward(
        self, stream: Float[Tensor, "batch target wide"], kept: KeysAndValues, rotary: Rotary
    ) -> Float[Tensor, "batch target channels"]:
        """What the answer's tokens gain from the references."""
        queries = self._placed(self.norm_q(heads(self.to_q(stream), self.head_width)), rotary)
        keys, values = kept
        mix = self.mix.unflatten(0, (keys.shape[2], -1))
        tokens = values.flatten(2)[..., : mix.shape[-1]]
        scores = einsum(queries * self.head_width**-0.5, keys, "b t h w, b r h w -> b h t r")
        read = scores.softmax(dim=-1) @ tokens[:, None]
        gains = self.gain(stream).unflatten(-1, (len(mix), -1)).transpose(1, 2)
        return (gains * (read @ mix)).sum(dim=1)

    def _placed(self, x: Float[Tensor, "batch sequence heads width"], rotary: Rotary) -> Tensor:
        return rotate(x[:, :, None], rotary)[:, :, 0]
