"""The one colour that a picture has and the one before it had not: the paper it was laid on, or bars, or a frame."""

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from triptych.models.pocket.bypage import ByPage

__all__ = ["Paper", "colour_outside", "paper_between"]

_LEVELS = 16
"""Of each channel, for telling colours apart."""
_THIN = 2
"""One pixel in 4 is enough to tell which colour is new."""
_ALIKE = 4e-3
"""Squared distance up to which two colours are one: 8 levels of 255, which is what a codec's edges are off by."""
_SAME, _FLAT = 3e-4, 0.6
"""Squared distance of pixels that are of exactly one colour, and the share of a paper's that are: skies have shades."""
_RARE, _NEW = 1.5, 4.0
"""The new colour is the one of most pixels beyond so many times as many as before, and has at least so many times."""
_LEAST, _MOST = 0.02, 0.95
"""Shares of a picture that may be paper."""
_SPOTS_PX = 3
_EVEN, _LEAST_OUTSIDE, _EDGE_PX = 1e-3, 0.01, 2
"""Variance of one colour; the share of a picture that it is told from; how far from the edge of what was moved."""
_VARIED = 0.01
"""Variance from which on a part of a picture is of several colours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper(ByPage):
    """Of pages: the paper's colour, and 1 where it is; NaN and nowhere where there is none."""

    colour: Float[Tensor, "batch 3"]
    mask: Float[Tensor, "batch 1 height width"]

    def covers(self, before: Tensor, after: Tensor) -> Bool[Tensor, " batch"]:
        """Whether it may lie over the earlier picture, of whose colours it is no function.

        A colour that comes where another was is a filter's, and so is one of two that are all there is.
        """
        under, beside = self.mask, 1 - self.mask
        varied = torch.stack([_variance(before, under), _variance(before, beside), _variance(after, beside)])
        return (varied > _VARIED).all(dim=0) & ~self.colour.isnan().any(dim=1)


def paper_between(
    before: Float[Tensor, "batch 3 height width"], after: Float[Tensor, "batch 3 height width"]
) -> tuple[Paper, Float[Tensor, " batch"]]:
    """The paper of the later picture, and how much of all else has a colour that the earlier one has too."""
    thin = [each[..., ::_THIN, ::_THIN] for each in (before, after)]
    earlier, later = (_bins(each) for each in thin)
    counts = [_counted(each, before) for each in (earlier, later)]
    new = (counts[1] - _RARE * counts[0]).argmax(dim=1, keepdim=True)
    others = counts[1].scatter(1, new, 0.0)
    known = (others * (counts[0] > 0)).sum(dim=1) / others.sum(dim=1).clamp_min(1)
    colour = _mean(thin[1], (later == new).unflatten(1, thin[1].shape[2:]))
    colour = _mean(thin[1], _near(thin[1], colour))
    before_it, share, flat = (
        _near(each, colour, far).mean(dim=(1, 2))
        for each, far in ((*thin[:1], _ALIKE), (thin[1], _ALIKE), (thin[1], _SAME))
    )
    is_paper = (share > _LEAST) & (share < _MOST) & (before_it < share / _NEW) & (flat > _FLAT * share)
    mask = torch.zeros_like(after[:, :1])
    if bool(is_paper.any()):
        spots = _near(after, colour)[:, None] * is_paper[:, None, None, None]
        around = functional.avg_pool2d(spots, _SPOTS_PX, 1, _SPOTS_PX // 2, count_include_pad=False)
        mask = (around > 0.5).to(after.dtype)
    return Paper(colour=torch.where(is_paper[:, None], colour, torch.nan), mask=mask), known


def colour_outside(
    after: Float[Tensor, "batch 3 height width"], inside: Float[Tensor, "batch 1 height width"]
) -> Float[Tensor, "batch 3"]:
    """The colour of what comes from outside, away from its edge; NaN where it is not one, or hardly anything is."""
    outside = 1 - functional.max_pool2d(inside, 2 * _EDGE_PX + 1, 1, _EDGE_PX)
    is_even = (_variance(after, outside) < _EVEN) & (outside.mean(dim=(1, 2, 3)) > _LEAST_OUTSIDE)
    return torch.where(is_even[:, None], _mean(after, outside[:, 0]), torch.nan)


def _near(pictures: Tensor, colour: Tensor, far: float = _ALIKE) -> Float[Tensor, "batch height width"]:
    """1 where pixels are of that colour, up to a squared distance."""
    return ((pictures - colour[..., None, None]).square().mean(dim=1) < far).to(pictures.dtype)


def _mean(pictures: Tensor, part: Tensor) -> Float[Tensor, "batch 3"]:
    """The mean colour of a part."""
    part = part.to(pictures.dtype)
    return einsum(pictures, part, "b c h w, b h w -> b c") / part.sum(dim=(1, 2))[:, None].clamp_min(1)


def _variance(pictures: Tensor, part: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, " batch"]:
    """Mean squared distance of a part's pixels from their mean."""
    apart = (pictures - _mean(pictures, part[:, 0])[:, :, None, None]).square()
    return (apart * part).sum(dim=(1, 2, 3)) / (3 * part.sum(dim=(1, 2, 3)).clamp_min(1))


def _bins(pictures: Tensor) -> Int[Tensor, "batch pixels"]:
    red, green, blue = ((pictures.flatten(2) + 1) / 2 * _LEVELS).long().clamp(0, _LEVELS - 1).unbind(1)
    return (red * _LEVELS + green) * _LEVELS + blue


def _counted(bins: Tensor, like: Tensor) -> Float[Tensor, "batch colours"]:
    counts = like.new_zeros(len(bins), _LEVELS**3)
    return counts.scatter_add(1, bins, torch.ones_like(bins, dtype=counts.dtype))
