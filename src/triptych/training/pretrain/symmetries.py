"""What the heads at the end of a new network begin as: a move head with the symmetries that are asked for most."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.models.pocket.backbone import PocketNetwork
from triptych.models.pocket.klt import FACTOR, KltCodec
from triptych.models.pocket.moves import SHARES, WAVES, MoveHead

__all__ = ["begin_heads"]

_SHARPNESS, _FAINT = 4.0, 0.5
"""Of a symmetry's attention, and of heads that begin at the same place, free to learn another."""


@dataclass(frozen=True, slots=True)
class _Symmetry:
    """Which side of the answer a reference's row and column are read along, from its end where `flipped`."""

    rows_along: int
    rows_flipped: bool
    columns_along: int
    columns_flipped: bool
    apply: Callable[[Tensor], Tensor]
    """The same on the last two axes of pixels."""


_SAME = _Symmetry(0, False, 1, False, lambda x: x)
_SYMMETRIES = (
    _Symmetry(0, False, 1, True, lambda x: x.flip(-1)),
    _Symmetry(1, False, 0, True, lambda x: x.rot90(1, (-2, -1))),
    _Symmetry(1, True, 0, False, lambda x: x.rot90(-1, (-2, -1))),
    _Symmetry(0, True, 1, True, lambda x: x.rot90(2, (-2, -1))),
)
"""Mirrored, turned to the left, to the right, and by half. Upside down is not among them: that rule is held out."""


@torch.no_grad()
def begin_heads(network: PocketNetwork) -> None:
    """Have new heads of `network` read the codec's tokens: a fit head as pixels, a move head by where they are.

    A move head looks where mirrored and turned pictures are, and its gains stay at zero. It finds the patch by its
    place and turns what is in it by the codec's own linear transform, so that all there is to learn is when. Only the
    second codec is linear; with another the heads begin blank.
    """
    moves, fits, codec = network.transformer.moves, network.transformer.fits, network.codec
    if not isinstance(codec, KltCodec):
        return
    if fits is not None:
        fits.read_tokens_of(codec)
    if moves is None:
        return
    beginnings = [*_SYMMETRIES[: moves.count], *[_SAME] * (moves.count - len(_SYMMETRIES))]
    _begin(moves, codec, beginnings)


def _begin(moves: MoveHead, codec: KltCodec, beginnings: Sequence[_Symmetry]) -> None:
    places = moves.move.bias.view(moves.count, SHARES, SHARES)
    mixes = moves.mix.unflatten(0, (moves.count, -1))
    for index, symmetry in enumerate(beginnings):
        places[index] = (_FAINT if symmetry is _SAME else _SHARPNESS) * _places(symmetry)
        mixes[index] = _within_a_patch(codec, symmetry)


def _places(symmetry: _Symmetry) -> Float[Tensor, "source target"]:
    """Features of the place in the reference from those of the place in the answer, as `shares` lays them out."""
    waves = len(WAVES)
    matrix = torch.zeros(2, 2, waves, 2, 2, waves)  # sine or cosine, axis, wave: of the source, of the target
    axes = ((symmetry.rows_along, symmetry.rows_flipped), (symmetry.columns_along, symmetry.columns_flipped))
    for source, (target, flipped) in enumerate(axes):
        for index, wave in enumerate(WAVES):
            # sin and cos of 2 pi wave (1 - x), where flipped, in terms of those of 2 pi wave x.
            turn = torch.tensor(2 * torch.pi * wave if flipped else 0.0)
            sign = -1.0 if flipped else 1.0
            pairs = torch.stack(
                (torch.stack((sign * turn.cos(), turn.sin())), torch.stack((-sign * turn.sin(), turn.cos())))
            )
            matrix[:, source, index, :, target, index] = pairs
    return matrix.view(SHARES, SHARES)


def _within_a_patch(codec: KltCodec, symmetry: _Symmetry) -> Float[Tensor, "channels channels"]:
    """What the symmetry makes of each channel, in channels."""
    basis = codec.basis.T.unflatten(1, (FACTOR, FACTOR, 3)).movedim(3, 1)
    moved = symmetry.apply(basis).movedim(1, 3).flatten(1)
    return codec.scale[:, None] * (moved @ codec.basis) / codec.scale
