"""Attention for short sequences on a CPU: that of FLUX.2 in fewer operations.

Query and key are normalised and rotated together, and attention is two batched matrix products and a softmax,
which for a few hundred tokens is faster on a CPU than the blocked kernel, backwards above all.
"""

from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["KeysAndValues", "Rotary", "attend", "heads", "in_heads", "normalise", "rotate"]

Rotary: TypeAlias = tuple[Float[Tensor, "sequence width"], Float[Tensor, "sequence width"]]
KeysAndValues: TypeAlias = tuple[Float[Tensor, "batch _ heads width"], Float[Tensor, "batch _ heads width"]]


def heads(x: Float[Tensor, "batch sequence inner"], width: int) -> Float[Tensor, "batch sequence heads width"]:
    """The last axis cut into heads of `width`."""
    return x.unflatten(-1, (-1, width))


def in_heads(x: Float[Tensor, "batch sequence numbers"], *, width: int, head_width: int) -> Tensor:
    """What a head at the end keeps of references, in the shape of a block's keys or values: zeros fill it up."""
    return heads(torch.nn.functional.pad(x, (0, width - x.shape[-1])), head_width)


def normalise(
    pair: Float[Tensor, "batch sequence 2 heads width"], query_norm: torch.nn.RMSNorm, key_norm: torch.nn.RMSNorm
) -> Float[Tensor, "batch sequence 2 heads width"]:
    """Queries and keys divided by their root mean square."""
    weight = torch.stack((query_norm.weight, key_norm.weight)).to(pair.dtype)[:, None]
    scale = torch.linalg.vector_norm(pair, dim=-1, keepdim=True, dtype=torch.float32)
    scale = torch.rsqrt(scale.square() / pair.shape[-1] + query_norm.eps)
    return pair * (scale.to(pair.dtype) * weight)


def rotate(
    pair: Float[Tensor, "batch sequence sorts heads width"], rotary: Rotary
) -> Float[Tensor, "batch sequence sorts heads width"]:
    """Queries and keys, or one sort of them, turned by their places."""
    cos, sin = (angle.to(pair.dtype)[:, None, None] for angle in rotary)
    swapped = pair.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    # The rotation of (a, b) is (a cos - b sin, b cos + a sin): the sign goes into the sines, once a call.
    signed = sin * sin.new_tensor((-1.0, 1.0)).repeat(sin.shape[-1] // 2)
    return torch.addcmul(pair * cos, swapped, signed)


def attend(
    pair: Float[Tensor, "batch sequence 2 heads width"],
    value: Float[Tensor, "batch sequence heads width"],
    *,
    texts: int,
    kept: KeysAndValues | None,
) -> tuple[Float[Tensor, "batch sequence inner"], KeysAndValues]:
    """All tokens attend to all, and to the references' `kept` keys and values, which stand behind the text.

    Returns with it the keys and values of everything but the text.
    """
    query, key = pair.unbind(2)
    own = key[:, texts:], value[:, texts:]
    if kept is not None:
        key = torch.cat((key[:, :texts], kept[0], own[0]), dim=1)
        value = torch.cat((value[:, :texts], kept[1], own[1]), dim=1)
    query, key, value = (x.transpose(1, 2) for x in (query * query.shape[-1] ** -0.5, key, value))
    weights = torch.softmax(query @ key.transpose(-1, -2), dim=-1)
    return (weights @ value).transpose(1, 2).flatten(2), own
