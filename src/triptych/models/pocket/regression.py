"""Ridge regression of one picture's pixels on another's, within a network's forward pass, by the model that is enough.

Of nested models (`triptych.models.pocket.features`) the one is taken whose error and effective number of weights are
least together: what a filter does not need, no chance likeness in the example's picture may add (MacKay 1992,
doi:10.1162/neco.1992.4.3.415).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from triptych.models.pocket.bypage import ByPage
from triptych.models.pocket.features import (
    EVERY,
    MODELS,
    RIDGES,
    SLICES,
    STEPS,
    STRIDE,
    pixel_features,
    told_by_steps,
)

__all__ = ["Fit", "Moments", "first_ridges", "moments"]

_SHRINKS = (1.0, 100.0)
"""Each model is tried with its ridge, and with so many times as much."""
_PRICE = 0.04
"""What the logarithm of the error must fall by for each weight more."""
_FLOOR = 1e-5
"""Squared error below which one model is as good as another: 56 dB."""
_PLAIN = slice(0, SLICES[3].stop)
"""Features of the model that tells errors before any is chosen: not edges and steps, which fit anything a little."""


def first_ridges() -> Float[Tensor, " features"]:
    """What features are shrunk by before anything is learnt."""
    return torch.cat([torch.full((part.stop - part.start,), ridge) for part, ridge in zip(SLICES, RIDGES, strict=True)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A regression, the mean square of what it leaves, and how little of each direction of the features was seen."""

    weights: Float[Tensor, "batch features 3"]
    error: Float[Tensor, " batch"]
    unknown: Float[Tensor, "batch features features"]
    groups: tuple[int, ...]
    """Those that any page's model has; the weights of the others are zero."""

    def applied(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
        """What it makes of a picture."""
        change = torch.zeros_like(pixels).flatten(2)
        if smooth := tuple(group for group in self.groups if group != STEPS):
            change = self.weights[:, _features_of(smooth)].transpose(1, 2) @ pixel_features(pixels, smooth)
        if STEPS in self.groups:
            change = change + told_by_steps(pixels, self.weights[:, SLICES[STEPS]])
        return (pixels + change.unflatten(2, pixels.shape[-2:])).clamp(-1, 1)

    def expected_error(self, pixels: Float[Tensor, "batch 3 height width"], unseen: Tensor, *, side: int) -> Tensor:
        """Mean squared error to be expected in each patch of `side` pixels, row by row, as Bayesian regression has it.

        It is what the fit left, and `unseen`, a variance, for each unit of features that the examples did not show.
        """
        count = (pixels.shape[2] // side) * (pixels.shape[3] // side)
        if not self.groups:
            return self.error[:, None].expand(-1, count)
        known, own = pixel_features(pixels, self.groups, stride=STRIDE), _features_of(self.groups)
        each = einsum(known, self.unknown[:, own][:, :, own] @ known, "b f p, b f p -> b p")
        grid = each.unflatten(1, (pixels.shape[2] // STRIDE, -1))[:, None]
        return self.error[:, None] + unseen * functional.avg_pool2d(grid, side // STRIDE).flatten(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments(ByPage):
    """Of the features of one picture and the change to another: all that least squares needs."""

    gram: Float[Tensor, "batch features features"]
    cross: Float[Tensor, "batch features 3"]
    change: Float[Tensor, " batch"]
    """Mean square of the change."""

    def solve(self, ridge: Float[Tensor, " features"]) -> Fit:
        """The change as a linear function of the features that are enough to tell it."""
        used, shrinks = self._enough(ridge.detach())
        both = used[:, :, None] & used[:, None]
        shrunk = torch.where(used, ridge * shrinks[:, None], 1).diag_embed()
        unknown = torch.where(both, _inverse(torch.where(both, self.gram, 0) + shrunk), 0)
        weights = unknown @ self.cross
        groups = tuple(group for group in EVERY if bool(used[:, SLICES[group]].any()))
        error = self._left(weights, self.gram, self.cross)
        return Fit(weights=weights, error=error, unknown=unknown, groups=groups)

    def error(self, ridge: Float[Tensor, " features"]) -> Float[Tensor, " batch"]:
        """What a model of colour, place and surroundings leaves, whether or not so much is needed."""
        gram, cross = self.gram[:, _PLAIN, _PLAIN], self.cross[:, _PLAIN]
        return self._left(_inverse(gram + ridge[_PLAIN].diag_embed()) @ cross, gram, cross)

    @torch.no_grad()
    def _enough(self, ridge: Tensor) -> tuple[Bool[Tensor, "batch features"], Float[Tensor, " batch"]]:
        """The features of the model that is enough on each page, and how much more than usual they are shrunk."""
        least = torch.full_like(self.change, torch.inf)
        shrinks = torch.ones_like(self.change)
        used = torch.zeros(len(least), len(ridge), dtype=torch.bool, device=ridge.device)
        for groups in MODELS:
            own = _features_of(groups).to(ridge.device)
            gram, cross = self.gram[:, own][:, :, own], self.cross[:, own]
            for shrink in _SHRINKS if groups else (1.0,):
                unknown = _inverse(gram + (shrink * ridge[own]).diag_embed())
                count = einsum(unknown, gram, "b f g, b g f -> b")
                left = self._left(unknown @ cross, gram, cross)
                cost = (left + _FLOOR).log() + _PRICE * count
                better = cost < least
                least, shrinks = torch.where(better, cost, least), torch.where(better, shrink, shrinks)
                used = torch.where(better[:, None], torch.zeros_like(used[0]).index_fill(0, own, True), used)
        return used, shrinks

    def _left(self, weights: Tensor, gram: Tensor, cross: Tensor) -> Float[Tensor, " batch"]:
        """Mean squared error of the change that the weights tell."""
        told = einsum(weights, cross, "b f c, b f c -> b")
        own = einsum(weights, gram @ weights, "b f c, b f c -> b")
        return (self.change - (2 * told - own) / 3).clamp_min(0)

    @classmethod
    def blended(cls, several: Sequence["Moments"], shares: Float[Tensor, "pairs batch"]) -> "Moments":
        """Those of several pairs of pictures, each by its share."""
        return cls(
            gram=einsum(shares, torch.stack([each.gram for each in several]), "p b, p b f g -> b f g"),
            cross=einsum(shares, torch.stack([each.cross for each in several]), "p b, p b f c -> b f c"),
            change=einsum(shares, torch.stack([each.change for each in several]), "p b, p b -> b"),
        )


def moments(
    before: Float[Tensor, "batch 3 height width"],
    after: Float[Tensor, "batch 3 height width"],
    counts: Float[Tensor, "batch 1 height width"] | None = None,
) -> Moments:
    """Moments of what made `after` of `before`, over the pixels that count."""
    features = pixel_features(before, stride=STRIDE)
    thin = (..., slice(STRIDE // 2, None, STRIDE), slice(STRIDE // 2, None, STRIDE))
    change = (after - before)[thin].flatten(2)
    weights = torch.ones_like(change[:, :1]) if counts is None else counts[thin].flatten(2)
    weights = weights / weights.sum(dim=2, keepdim=True).clamp_min(1)
    return Moments(
        gram=(features * weights) @ features.transpose(1, 2),
        cross=(features * weights) @ change.transpose(1, 2),
        change=(weights * change.square()).sum(dim=(1, 2)) / 3,
    )


def _inverse(matrices: Float[Tensor, "batch features features"]) -> Float[Tensor, "batch features features"]:
    exact = torch.float32 if matrices.device.type == "mps" else torch.float64  # which MPS has not
    return torch.linalg.inv(matrices.to(exact)).to(matrices.dtype)


def _features_of(groups: tuple[int, ...]) -> Int[Tensor, " features"]:
    return torch.tensor(
        [feature for group in groups for feature in range(SLICES[group].start, SLICES[group].stop)], dtype=torch.long
    )
