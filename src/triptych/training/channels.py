"""How much each channel of a token is seen."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.models.backbone import Backbone, Grid

__all__ = ["backbone_weights", "decoder_weights"]


@torch.no_grad()
def decoder_weights(
    decode: Callable[[Float[Tensor, "batch tokens channels"]], Float[Tensor, "batch 3 height width"]],
    *,
    tokens: int,
    channels: int,
    probes: int = 4,
) -> Float[Tensor, " channels"]:
    """How much each channel moves the decoded picture, mean 1: the metric in which tokens are compared.

    A change of half a unit, squared and averaged over pixels, at random tokens. Floored at a tenth of the mean, so
    that fine detail is not forgotten.
    """
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(probes, tokens, channels, generator=generator) * 0.7
    picture = decode(base)
    moved = []
    for channel in range(channels):
        nudged = base.clone()
        nudged[:, :, channel] += 0.5 * torch.randn(probes, tokens, generator=generator)
        moved.append((decode(nudged) - picture).square().mean())
    weights = torch.stack(moved).float().cpu()
    weights = (weights / weights.mean()).clamp_min(0.1)
    return weights / weights.mean()


def backbone_weights(backbone: Backbone) -> Float[Tensor, " channels"]:
    """`decoder_weights` of a backbone's codec, at its own side. Skills leave the codec as it is: one look is enough."""
    with backbone.shared.lock:
        found = backbone.shared.encodings.get(("channel weights",), lambda: _looked_at(backbone))
    assert isinstance(found, Tensor), "this key is for channel weights alone"
    return found


def _looked_at(backbone: Backbone) -> Float[Tensor, " channels"]:
    side = backbone.card.side_px // backbone.card.factor
    grid = Grid(frame=0, rows=side, columns=side)
    return decoder_weights(
        lambda tokens: backbone.decode_images(tokens, grid), tokens=grid.tokens, channels=backbone.card.channels
    )
