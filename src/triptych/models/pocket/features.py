"""What a rule may make a pixel's new colour of, in groups, and which groups smaller models of a rule are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

__all__ = ["EVERY", "MODELS", "RIDGES", "SLICES", "STEPS", "STRIDE", "pixel_features", "told_by_steps"]

_KNOTS = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75)
"""Where the curves of each channel, and of lightness, may bend."""
_BLURS = (3, 5, 9, 17)
"""Pixels a side of the boxes that each pixel's surroundings are averaged over."""
_BINS = (32, 16, 16, 16)
"""Into how many a pixel's lightness, red, green and blue are sorted, for rules that have steps."""
COLOUR, BENDS, PLACE, AROUND, EDGES, STEPS = EVERY = tuple(range(6))
"""The groups, in the order of their features."""
_COUNTS = (4, 4 * len(_KNOTS) + 5, 17, 3 * len(_BLURS), 12, sum(_BINS) - len(_BINS))
SLICES = tuple(slice(*bounds) for bounds in pairwise(accumulate(_COUNTS, initial=0)))
"""Where each group's features are."""
RIDGES = (1e-5, 2e-4, 5e-4, 1e-3, 1e-3, 1e-3)
"""What the features of each group are shrunk by."""
MODELS = (
    (),
    (COLOUR,),
    (COLOUR, BENDS),
    (COLOUR, PLACE),
    (COLOUR, BENDS, PLACE),
    (COLOUR, AROUND),
    (COLOUR, BENDS, AROUND),
    (COLOUR, PLACE, AROUND),
    (COLOUR, BENDS, PLACE, AROUND),
    (COLOUR, AROUND, EDGES),
    (COLOUR, STEPS),
)
"""The groups that a rule may need; the first model leaves colours as they are."""
_LIGHTNESS = (0.299, 0.587, 0.114)
STRIDE = 4
"""One pixel in 16 is enough to tell a function."""
_FINE_PX = 128
"""Width of pictures whose finest edges are one pixel wide; in larger ones they are as much wider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A picture, and the colours and lightness of every `stride`-th pixel of it."""

    pixels: Float[Tensor, "batch 3 height width"]
    stride: int
    rgb: Float[Tensor, "batch 3 rows columns"]
    lightness: Float[Tensor, "batch 1 rows columns"]

    @classmethod
    def of(cls, pixels: Tensor, stride: int) -> "_Seen":
        rgb = pixels[..., stride // 2 :: stride, stride // 2 :: stride]
        return cls(pixels=pixels, stride=stride, rgb=rgb, lightness=_lightness(rgb))

    def around(self, values: Tensor, far: int) -> Tensor:
        """Values beyond the edges repeated, from so far before the first pixel that is looked at."""
        padded = functional.pad(values, (far, far, far, far), mode="replicate")
        return padded[..., self.stride // 2 :, self.stride // 2 :]


def pixel_features(
    pixels: Float[Tensor, "batch 3 height width"], groups: Sequence[int] = EVERY, *, stride: int = 1
) -> Float[Tensor, "batch features pixels"]:
    """The features of some groups, of every `stride`-th pixel; there is at least one group."""
    seen = _Seen.of(pixels, stride)
    return torch.cat([_FEATURES[group](seen) for group in groups], dim=1).flatten(2)


def told_by_steps(
    pixels: Float[Tensor, "batch 3 height width"], weights: Float[Tensor, "batch steps 3"]
) -> Float[Tensor, "batch 3 pixels"]:
    """What the weights of the steps make of pixels: the same as by their features, which would be many."""
    told = weights.new_zeros(len(pixels), 3, pixels.shape[2] * pixels.shape[3])
    jumps = weights.split([count - 1 for count in _BINS], dim=1)
    for each, own in zip(_bins(_Seen.of(pixels, 1)), jumps, strict=True):
        heights = functional.pad(own.cumsum(dim=1), (0, 0, 1, 0)).transpose(1, 2)
        told = told + heights.gather(2, each.flatten(1)[:, None].expand(-1, 3, -1))
    return told


def _lightness(rgb: Tensor) -> Float[Tensor, "batch 1 height width"]:
    return einsum(rgb, rgb.new_tensor(_LIGHTNESS), "b c h w, c -> b h w")[:, None]


def _colour(seen: _Seen) -> Tensor:
    return torch.cat((torch.ones_like(seen.lightness), seen.rgb), dim=1)


def _bends(seen: _Seen) -> Tensor:
    """Each channel and lightness beyond a knot, products of two channels, and the strongest and weakest channel."""
    four, rgb = torch.cat((seen.rgb, seen.lightness), dim=1), seen.rgb
    ends = (rgb * rgb.roll(1, 1), rgb.amax(dim=1, keepdim=True), rgb.amin(dim=1, keepdim=True))
    return torch.cat((*[(four - knot).clamp_min(0) for knot in _KNOTS], *ends), dim=1)


def _place(seen: _Seen) -> Tensor:
    """Where a pixel is, from -1 to 1, squared and crossed, and crossed with its colour."""
    first = seen.stride // 2
    down, across = (
        ((torch.arange(first, side, seen.stride, device=seen.rgb.device) + 0.5) / side * 2 - 1).to(seen.rgb)
        for side in seen.pixels.shape[-2:]
    )
    down, across = down[:, None].expand(len(down), len(across)), across.expand(len(down), len(across))
    where = torch.stack((down, across, down.square(), across.square())).expand(len(seen.rgb), -1, -1, -1)
    both = (down * across).expand_as(seen.lightness)
    return torch.cat((where, both, (where[:, :, None] * seen.rgb[:, None]).flatten(1, 2)), dim=1)


def _around(seen: _Seen) -> Tensor:
    return torch.cat([_box_mean(seen, side) for side in _BLURS], dim=1)


def _box_mean(seen: _Seen, side: int) -> Tensor:
    """The mean around a pixel, of what is within the picture: along rows, then along columns, which is less work."""
    first, step = seen.stride // 2, seen.stride
    sums = seen.pixels
    for axis in (3, 2):
        length = sums.shape[axis]
        total = functional.pad(sums.cumsum(dim=axis), (1, 0) if axis == 3 else (0, 0, 1, 0))
        middle = torch.arange(first, length, step, device=sums.device)
        low, high = (middle - side // 2).clamp_min(0), (middle + side // 2 + 1).clamp_max(length)
        count = (high - low).to(sums).view(-1, *[1] * (3 - axis))
        sums = (total.index_select(axis, high) - total.index_select(axis, low)) / count
    return sums


def _edges(seen: _Seen) -> Tensor:
    """How lightness differs from its eight neighbours', and how far each channel's reach, and the furthest of them."""
    far = max(1, round(seen.pixels.shape[3] / _FINE_PX))
    lightness = seen.around(_lightness(seen.pixels), far)
    rows, columns = seen.rgb.shape[-2:]
    slopes = [
        lightness[..., down :: seen.stride, across :: seen.stride][..., :rows, :columns] - seen.lightness
        for down in (0, far, 2 * far)
        for across in (0, far, 2 * far)
        if (down, across) != (far, far)
    ]
    window, colours = (2 * far + 1, seen.stride), seen.around(seen.pixels, far)
    reach = functional.max_pool2d(colours, *window) + functional.max_pool2d(-colours, *window)
    reach = reach[..., :rows, :columns]
    return torch.cat((*slopes, reach, reach.amax(dim=1, keepdim=True)), dim=1)


def _bins(seen: _Seen) -> list[Int[Tensor, "batch rows columns"]]:
    """Which bin a pixel's lightness and each of its channels are in."""
    values = torch.cat((seen.lightness, seen.rgb), dim=1).unbind(1)
    return [((each + 1) / 2 * count).long().clamp(0, count - 1) for each, count in zip(values, _BINS, strict=True)]


def _steps(seen: _Seen) -> Tensor:
    """1 where a pixel's bin is the first, the second, ... or a later one."""
    return torch.cat(
        [
            (each[:, None] >= torch.arange(1, count, device=each.device)[:, None, None]).to(seen.rgb.dtype)
            for each, count in zip(_bins(seen), _BINS, strict=True)
        ],
        dim=1,
    )


_FEATURES: tuple[Callable[[_Seen], Tensor], ...] = (_colour, _bends, _place, _around, _edges, _steps)
