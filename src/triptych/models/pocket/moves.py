"""The move head: the references' own tokens, found by where they stand, for answers whose pixels have moved.

A picture mirrored, turned or shifted is made of the patches of another place. `DetailHead` finds patches by what they
show and by how far away they are; mirrored, every patch has a distance of its own. Here places are shares of the
picture's sides, in sines and cosines, where a mirror image, a quarter turn or a shift, of a picture of any size, is one
matrix: the stream says which.
"""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor, nn

from triptych.models.pocket.attention import KeysAndValues, heads, in_heads

__all__ = ["SHARES", "WAVES", "MoveHead", "shares"]

WAVES = (0.5, 1.0, 2.0, 4.0)
"""Of the features, in waves a side: half a wave tells the ends apart, four tell neighbours apart."""
SHARES = 4 * len(WAVES)
_FAR = 1e6
"""Farther than any token stands."""
_CONTENT = 8
"""Numbers a head for what a reference is, beside where its tokens stand."""


def shares(places: Float[Tensor, "tokens 4"]) -> Float[Tensor, "tokens shares"]:
    """Sines, then cosines, of where each token stands between the edges of its own picture; rows before columns."""
    others = places[:, :1] != places[:, 0]
    within = places[:, 1:3]
    first = (within + _FAR * others[..., None]).amin(dim=1)
    sides = 1 + (within - _FAR * others[..., None]).amax(dim=1) - first
    waves = places.new_tensor(WAVES)
    angles = (2 * torch.pi * ((within - first + 0.5) / sides)[..., None] * waves).flatten(1)
    return torch.cat((angles.sin(), angles.cos()), dim=1)


class MoveHead(nn.Module):
    """Adds to the answer's tokens those of the references from the places its stream names; says nothing when new."""

    def __init__(self, *, width: int, channels: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.to_q, self.to_k = nn.Linear(width, count * _CONTENT), nn.Linear(width, count * _CONTENT)
        self.move = nn.Linear(width, count * SHARES * SHARES)
        self.gain = nn.Linear(width, count * channels)
        self.mix = nn.Parameter(torch.eye(channels).repeat(count, 1))
        for layer in (self.move, self.gain):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def kept(
        self,
        stream: Float[Tensor, "batch reference wide"],
        tokens: Float[Tensor, "batch reference channels"],
        places: Float[Tensor, "reference 4"],
        *,
        head_width: int,
    ) -> KeysAndValues:
        """What is kept of references, in the shape of a block's keys and values: places and content, and tokens."""
        where = shares(places).to(stream.dtype).expand(len(stream), -1, -1)
        keys = torch.cat((self.to_k(stream), where), dim=2)
        known, values = (in_heads(each, width=stream.shape[-1], head_width=head_width) for each in (keys, tokens))
        return known, values

    def forward(
        self, stream: Float[Tensor, "batch target wide"], kept: KeysAndValues, places: Float[Tensor, "target 4"]
    ) -> Float[Tensor, "batch target channels"]:
        """What the answer's tokens gain from the references."""
        known, values = (each.flatten(2) for each in kept)
        content = self.count * _CONTENT
        keys, where = heads(known[..., :content], _CONTENT), known[..., content : content + SHARES]
        mix = self.mix.unflatten(0, (self.count, -1))
        move = self.move(stream).unflatten(-1, (self.count, SHARES, SHARES))
        wanted = einsum(move, shares(places).to(stream.dtype), "b t h to at, t at -> b h t to")
        alike = einsum(heads(self.to_q(stream), _CONTENT), keys, "b t h w, b r h w -> b h t r")
        read = (wanted @ where[:, None].transpose(2, 3) + alike).softmax(dim=-1) @ values[:, None, :, : mix.shape[-1]]
        gains = self.gain(stream).unflatten(-1, (self.count, -1)).transpose(1, 2)
        return (gains * (read @ mix)).sum(dim=1)
