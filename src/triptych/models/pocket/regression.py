"""Ridge regression of one picture's pixels on another's, within a network's forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

__all__ = ["RIDGES", "STRIDE", "Fit", "Moments", "moments", "pixel_features"]

_KNOTS = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75)
"""Where the curves of each channel, and of lightness, may bend."""
_BLURS = (3, 9)
"""Pixels a side of the boxes that each pixel's surroundings are averaged over."""
RIDGES = {1e-5: 4, 2e-4: 4 * len(_KNOTS) + 5, 5e-4: 17, 1e-3: 3 * len(_BLURS)}
"""What so many features are shrunk by, in their order: colours least, then their bends, places, and surroundings."""
_LIGHTNESS = (0.299, 0.587, 0.114)
STRIDE = 4
"""One pixel in 16 is enough to tell a function."""


def pixel_features(
    pixels: Float[Tensor, "batch 3 height width"], *, stride: int = 1
) -> Float[Tensor, "batch features pixels"]:
    """What a rule may make a pixel's new colour of: its colour, bent and crossed, its place, and what is around it."""
    offset = stride // 2
    rgb = pixels[..., offset::stride, offset::stride]
    around = torch.cat([_box_mean(pixels, side, offset, stride) for side in _BLURS], dim=1)
    height, width = pixels.shape[-2:]
    down, across = (
        ((torch.arange(offset, side, stride, device=pixels.device) + 0.5) / side * 2 - 1).to(pixels)
        for side in (height, width)
    )
    down, across = down[:, None].expand(len(down), len(across)), across.expand(len(down), len(across))
    place = torch.stack((down, across, down.square(), across.square())).expand(len(pixels), -1, -1, -1)
    lightness = einsum(rgb, rgb.new_tensor(_LIGHTNESS), "b c h w, c -> b h w")[:, None]
    bends = [(torch.cat((rgb, lightness), dim=1) - knot).clamp_min(0) for knot in _KNOTS]
    known = torch.cat(
        (
            torch.ones_like(lightness),
            rgb,
            *bends,
            rgb * rgb.roll(1, 1),
            rgb.amax(dim=1, keepdim=True),
            rgb.amin(dim=1, keepdim=True),
            place,
            (down * across).expand_as(lightness),
            (place[:, :, None] * rgb[:, None]).flatten(1, 2),
            around,
        ),
        dim=1,
    )
    return known.flatten(2)


def _box_mean(pixels: Tensor, side: int, offset: int, stride: int) -> Tensor:
    """The mean around every `stride`-th pixel: along rows, then along columns, which is less work than both at once."""
    along = functional.avg_pool2d(pixels, (1, side), 1, (0, side // 2), count_include_pad=False)[..., offset::stride]
    down = functional.avg_pool2d(along, (side, 1), 1, (side // 2, 0), count_include_pad=False)
    return down[..., offset::stride, :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A regression, the mean square of what it leaves, and how little of each direction of the features was seen."""

    weights: Float[Tensor, "batch features 3"]
    error: Float[Tensor, " batch"]
    unknown: Float[Tensor, "batch features features"]

    def applied(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
        """What it makes of a picture."""
        change = self.weights.transpose(1, 2) @ pixel_features(pixels)
        return (pixels + change.unflatten(2, pixels.shape[-2:])).clamp(-1, 1)

    def expected_error(self, pixels: Float[Tensor, "batch 3 height width"], unseen: Tensor, *, side: int) -> Tensor:
        """Mean squared error to be expected in each patch of `side` pixels, row by row, as Bayesian regression has it.

        It is what the fit left, and `unseen`, a variance, for each unit of features that the examples did not show.
        """
        known = pixel_features(pixels, stride=STRIDE)
        each = einsum(known, self.unknown @ known, "b f p, b f p -> b p")
        grid = each.unflatten(1, (pixels.shape[2] // STRIDE, -1))[:, None]
        return self.error[:, None] + unseen * functional.avg_pool2d(grid, side // STRIDE).flatten(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Of the features of one picture and the change to another: all that least squares needs."""

    gram: Float[Tensor, "batch features features"]
    cross: Float[Tensor, "batch features 3"]
    change: Float[Tensor, " batch"]
    """Mean square of the change."""

    def solve(self, ridge: Float[Tensor, " features"]) -> Fit:
        """The change as a linear function of the features."""
        exact = torch.float32 if ridge.device.type == "mps" else torch.float64  # which MPS has not
        unknown = torch.linalg.inv((self.gram + ridge.diag_embed()).to(exact)).to(ridge.dtype)
        weights = unknown @ self.cross
        told = einsum(weights, self.cross, "b f c, b f c -> b")
        own = einsum(weights, self.gram, weights, "b f c, b f g, b g c -> b")
        error = (self.change - (2 * told - own) / 3).clamp_min(0)
        return Fit(weights=weights, error=error, unknown=unknown)

    @classmethod
    def blended(cls, several: Sequence["Moments"], shares: Float[Tensor, "pairs batch"]) -> "Moments":
        """Those of several pairs of pictures, each by its share."""
        return cls(
            gram=einsum(shares, torch.stack([each.gram for each in several]), "p b, p b f g -> b f g"),
            cross=einsum(shares, torch.stack([each.cross for each in several]), "p b, p b f c -> b f c"),
            change=einsum(shares, torch.stack([each.change for each in several]), "p b, p b -> b"),
        )

    def of(self, pages: Int[Tensor, " chosen"]) -> "Moments":
        """Those of some of the pages."""
        return Moments(gram=self.gram[pages], cross=self.cross[pages], change=self.change[pages])

    def put(self, pages: Int[Tensor, " chosen"], others: "Moments") -> "Moments":
        """With `others` in the place of some pages."""
        return Moments(
            gram=self.gram.index_copy(0, pages, others.gram),
            cross=self.cross.index_copy(0, pages, others.cross),
            change=self.change.index_copy(0, pages, others.change),
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
