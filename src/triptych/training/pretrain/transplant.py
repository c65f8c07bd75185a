"""An earlier pocket moved onto another codec: its blocks stay, and linear maps between the codes start the rest."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triptych.models.pocket.backbone import PocketNetwork
from triptych.models.pocket.klt import KltCodec

__all__ = ["transplant"]

_RIDGE = 1e-3
"""Of the least squares between the two codes, as a share of their variance."""


@torch.no_grad()
def transplant(
    old: PocketNetwork, codec: KltCodec, pictures: Float[Tensor, "batch 3 height width"]
) -> tuple[PocketNetwork, tuple[float, float]]:
    """A network on `codec` that begins with what `old` knows, and how well each code is told from the other.

    The embedding of tokens reads the old code as told from the new, and the output is told in the new code from the
    old; both maps are least squares over `pictures` in [-1, 1], whose sides are multiples of 16. The shares of
    variance that they explain, from new to old and back, are the second value.
    """
    network = PocketNetwork(replace(old.config, codec="klt", channels=codec.channels))
    network.codec = codec
    before = old.codec.encode(pictures).flatten(0, 1)
    after = codec.encode(pictures).flatten(0, 1)
    new_to_old, old_to_new = _least_squares(after, before), _least_squares(before, after)
    source, target = old.state_dict(), network.state_dict()
    for name, value in target.items():
        if not name.startswith("codec.") and value.shape == source[name].shape:
            value.copy_(source[name])
    channels, count = old.config.channels, codec.channels
    embedding, embedded = (weights["transformer.x_embedder.weight"] for weights in (source, target))
    embedded[:, :count] = embedding[:, :channels] @ new_to_old.T
    embedded[:, count:] = embedding[:, channels:]  # the features of rows and columns
    target["transformer.proj_out.weight"].copy_(old_to_new.T @ source["transformer.proj_out.weight"])
    return network, (_explained(after @ new_to_old, before), _explained(before @ old_to_new, after))


def _least_squares(
    inputs: Float[Tensor, "tokens given"], outputs: Float[Tensor, "tokens told"]
) -> Float[Tensor, "given told"]:
    gram = inputs.T @ inputs
    ridge = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    return torch.linalg.solve(gram + ridge, inputs.T @ outputs)


def _explained(told: Tensor, true: Tensor) -> float:
    return float(1 - nn.functional.mse_loss(told, true) / true.var())
