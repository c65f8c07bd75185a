"""Where the pixels of a picture went in another: the affine map between two pictures, found from coarse to fine.

Every turn, scale and shear of a small bank is tried at every place by normalised cross-correlation under a mask
(Padfield 2012, doi:10.1109/TIP.2011.2181402), and the best are refined by Gauss-Newton steps on the squared error
(Lucas and Kanade 1981; Baker and Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd).
"""

import math
from functools import cache

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

__all__ = ["Affine", "register", "roll_between", "warp"]

Affine = Float[Tensor, "batch 2 3"]
"""Where a pixel comes from, as a linear map of where it is: x and y from the middle, of whatever length, and 1, for how
far it went in half sides. A turn is the same map in a picture of any aspect."""

_COARSE_PX = 24
_LEVELS = ((32, 2), (64, 1))
"""Sides that maps are refined at, and how many of them go on from there."""
_REACH = 3
"""Sides of the canvas that a picture is looked for on, in sides of the picture."""
_STRIDE = 2
_LEAST_OVERLAP = 0.08
"""Share of the later picture that must come from the earlier one."""
_NOISE = 2e-3
"""Squared error below which one map is as good as another."""
_UNTOLD = 0.5
"""Squared error of a pixel that would have to be paper and is not."""
_STARTS = 8
_STEPS = 12
_DAMPING = 1e-3


@cache
def _bank() -> Float[Tensor, "maps 2 2"]:
    """Turns by 15 degrees, also of the mirror image, scales that a side is cropped or shrunk to, and shears."""
    turns = [math.radians(15 * k) for k in range(24)]
    maps = [[[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]] for a in turns]
    maps += [[[-math.cos(a), -math.sin(a)], [-math.sin(a), math.cos(a)]] for a in turns[::6]]
    maps += [[[s, 0.0], [0.0, s]] for s in (0.38, 0.48, 0.6, 0.75, 1.25, 1.55, 1.95, 2.5, 3.1)]
    shears = [sign * amount for amount in (0.25, 0.5, 0.75) for sign in (1, -1)]
    maps += [[[1.0, a], [0.0, 1.0]] for a in shears] + [[[1.0, 0.0], [a, 1.0]] for a in shears]
    return torch.tensor(maps)


def _sampled(
    pictures: Float[Tensor, "batch channels height width"], maps: Affine, size: tuple[int, int]
) -> Float[Tensor, "batch channels _ _"]:
    grid = functional.affine_grid(maps, [len(maps), 1, *size], align_corners=False)
    return functional.grid_sample(pictures, grid, align_corners=False)


def warp(
    pictures: Float[Tensor, "batch 3 height width"], maps: Affine, wraps: Bool[Tensor, " batch"] | None = None
) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 1 height width"]]:
    """The pictures moved, and where there is something: 1 within, 0 where a pixel would come from outside.

    What leaves pictures that `wraps` names comes back at the other side, so there is something everywhere.
    """
    maps = _squeezed(maps, pictures.shape[3] / pictures.shape[2])
    shrinks = maps[:, :, :2].det().abs().sqrt()[:, None, None, None]
    softened = functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    # Where two pixels or more become one, of their mean: else the moved picture would flicker.
    sharp_enough = torch.where(shrinks > 1.6, softened, pictures)
    grid = functional.affine_grid(maps, list(pictures.shape), align_corners=False)
    inside = (grid.abs() <= 1).all(dim=3)[:, None]
    if wraps is not None:
        grid = torch.where(wraps[:, None, None, None], (grid + 1).remainder(2) - 1, grid)
        inside = inside | wraps[:, None, None, None]
    moved = functional.grid_sample(sharp_enough, grid, padding_mode="border", align_corners=False)
    return moved, inside.to(pictures.dtype)


@torch.no_grad()
def register(
    before: Float[Tensor, "batch 3 height width"],
    after: Float[Tensor, "batch 3 height width"],
    paper: Float[Tensor, "batch 1 height width"] | None = None,
) -> Affine:
    """The map that makes `after` of `before`, of two pictures of one size in [-1, 1].

    `paper` is 1 where the later picture is of a colour of its own, which no pixel that moved can have.
    """
    aspect, paper = before.shape[3] / before.shape[2], torch.zeros_like(before[:, :1]) if paper is None else paper
    maps = _starts(before, after, paper, aspect)
    for side, kept in _LEVELS:
        seen = (_resized(each, side).repeat_interleave(maps.shape[1], 0) for each in (before, after, paper))
        refined, left = _refined(*seen, maps.flatten(0, 1))
        best = left.unflatten(0, maps.shape[:2]).topk(kept, dim=1, largest=False).indices
        maps = refined.unflatten(0, maps.shape[:2]).take_along_dim(best[:, :, None, None], dim=1)
    return _squeezed(maps[:, 0], 1 / aspect)


@torch.no_grad()
def roll_between(before: Float[Tensor, "batch 3 height width"], after: Float[Tensor, "batch 3 height width"]) -> Affine:
    """The map of the shift by whole pixels that fits best where what leaves at one side comes in at the other."""
    high, wide = before.shape[2:]
    earlier, later = (torch.fft.rfft2(each - each.mean(dim=(2, 3), keepdim=True)) for each in (before, after))
    alike = torch.fft.irfft2((later * earlier.conj()).sum(dim=1), s=(high, wide))
    best = alike.flatten(1).argmax(dim=1)
    shifts = torch.stack((best % wide, best // wide), dim=1).to(before) / torch.tensor((wide, high)).to(before)
    linear = torch.eye(2).to(before).expand(len(before), -1, -1)
    return torch.cat((linear, (-2 * shifts)[:, :, None]), dim=2)


def _squeezed(maps: Float[Tensor, "*maps 2 columns"], aspect: float) -> Float[Tensor, "*maps 2 columns"]:
    """The maps in half sides, of a picture so many times as wide as high."""
    linear = maps[..., :2] * maps.new_tensor([[1.0, 1 / aspect], [aspect, 1.0]])
    return torch.cat((linear, maps[..., 2:]), dim=-1)


def _resized(pictures: Tensor, side: int) -> Tensor:
    return functional.interpolate(pictures, (side, side), mode="area")


def _starts(before: Tensor, after: Tensor, paper: Tensor, aspect: float) -> Float[Tensor, "batch starts 2 3"]:
    """The maps of the bank and the places that correlate best."""
    bank = _squeezed(_bank().to(before), aspect)
    earlier, later = (_resized(each, _COARSE_PX).mean(dim=1, keepdim=True) for each in (before, after))
    side, canvas = _COARSE_PX, _REACH * _COARSE_PX
    maps = functional.pad(_REACH * bank, (0, 1)).repeat(len(before), 1, 1)
    both = torch.cat((earlier, torch.ones_like(earlier)), dim=1).repeat_interleave(len(bank), 0)
    seen, mask = _sampled(both, maps, (canvas, canvas)).chunk(2, dim=1)
    seen, mask = (each.unflatten(0, (len(before), -1))[:, :, 0].transpose(0, 1) for each in (seen, mask))

    def along(x: Tensor, kernels: Tensor) -> Tensor:
        return functional.conv2d(x, kernels, stride=_STRIDE, groups=x.shape[1])

    blank = _resized(paper, side)
    own = 1 - blank
    count, covered = along(mask, own), along(mask, blank)
    sum_e, sum_l, squares_l = along(seen, own), along(mask, own * later), along(mask, own * later.square())
    spread_e = (along(seen * seen, own) - sum_e.square() / count.clamp_min(1)).clamp_min(1e-2)
    spread_l = (squares_l - sum_l.square() / count.clamp_min(1)).clamp_min(1e-2)
    common = (along(seen, own * later) - sum_e * sum_l / count.clamp_min(1)).clamp_min(0)
    within = spread_l - common.square() / spread_e
    all_own, whole, whole_squares = (
        each.sum(dim=(1, 2, 3))[:, None, None] for each in (own, own * later, own * later.square())
    )
    out = all_own - count
    without = whole_squares - squares_l - (whole - sum_l).square() / out.clamp_min(1)
    cost = _cost(
        within / count.clamp_min(1),
        without / out.clamp_min(1),
        shares=(count / side**2, out / side**2, covered / side**2),
    )
    width = cost.shape[-1]
    least, place = rearrange(cost, "m b h w -> b m (h w)").min(dim=2)
    which = least.topk(_STARTS, dim=1, largest=False).indices
    chosen = place.gather(1, which)
    row, column = chosen // width, chosen % width
    middle = (canvas - side) / 2
    shift = (torch.stack((column, row), dim=2) * _STRIDE - middle) * 2 / side
    linear = bank[which]
    return torch.cat((linear, (linear @ shift[..., None].to(linear))), dim=3)


def _cost(within: Tensor, without: Tensor, shares: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """How many nats the later picture takes a pixel: what was moved by its error, and the rest by its variance.

    `shares` are those of the picture: what was moved, what else is no paper, and the paper where moved pixels would be.
    """
    moved, rest, covered = shares
    told = moved * (within.clamp_min(0) + _NOISE).log() + rest * (without.clamp_min(0) + _NOISE).log()
    told = told + covered * math.log(_UNTOLD) + (1 - moved - rest - covered) * math.log(_NOISE)
    return torch.where(moved < _LEAST_OVERLAP, torch.inf, told)


def _error(before: Tensor, after: Tensor, paper: Tensor, maps: Affine) -> Float[Tensor, " batch"]:
    """`_cost` of the map; less is better."""
    moved, inside = _sampled_inside(before, maps)
    own, pixels = 1 - paper, paper[0].numel()
    within, outside = inside * own, (1 - inside) * own
    counts = [each.sum(dim=(1, 2, 3)) for each in (within, outside, inside * paper)]
    error = (within * (moved - after).square()).sum(dim=(1, 2, 3)) / (3 * counts[0]).clamp_min(1)
    count = counts[1].clamp_min(1)
    mean = (outside * after).sum(dim=(2, 3), keepdim=True) / count[:, None, None, None]
    spread = (outside * (after - mean).square()).sum(dim=(1, 2, 3)) / (3 * count)
    return _cost(error, spread, shares=(counts[0] / pixels, counts[1] / pixels, counts[2] / pixels))


def _sampled_inside(pictures: Tensor, maps: Affine) -> tuple[Tensor, Tensor]:
    size = (pictures.shape[2], pictures.shape[3])
    sampled = _sampled(torch.cat((pictures, torch.ones_like(pictures[:, :1])), dim=1), maps, size)
    return sampled[:, :-1], (sampled[:, -1:] > 0.99).to(pictures.dtype)


def _refined(before: Tensor, after: Tensor, paper: Tensor, maps: Affine) -> tuple[Affine, Float[Tensor, " batch"]]:
    """The maps after damped Gauss-Newton steps, each kept only where it lowers the error, and that error."""
    across, down = torch.gradient(before, dim=(3, 2))
    half = before.shape[3] / 2  # slopes are by the pixel, maps by half a side
    slopes = torch.cat((before, half * across, half * down), dim=1)
    here = functional.affine_grid(torch.eye(2, 3).to(before)[None], [1, 1, *before.shape[2:]], align_corners=False)
    where = torch.cat((here[0], torch.ones_like(here[0, ..., :1])), dim=2)
    error, damping = _error(before, after, paper, maps), torch.full((len(maps),), _DAMPING).to(before)
    for _ in range(_STEPS):
        sampled, inside = _sampled_inside(slopes, maps)
        inside = inside * (1 - paper)
        moved, slope = sampled[:, :3], sampled[:, 3:].unflatten(1, (2, 3))
        change = einsum(slope, where, "b d c h w, h w k -> b d k c h w").flatten(1, 2) * inside[:, None]
        gram = einsum(change, change, "b k c h w, b l c h w -> b k l")
        pull = einsum(change, after - moved, "b k c h w, b c h w -> b k")
        gram = gram + (damping[:, None] * gram.diagonal(dim1=1, dim2=2) + 1e-6).diag_embed()
        tried = maps + torch.linalg.solve(gram, pull).view(-1, 2, 3)
        left = _error(before, after, paper, tried)
        better = left < error
        maps, error = torch.where(better[:, None, None], tried, maps), torch.where(better, left, error)
        damping = damping * torch.where(better, 0.3, 10.0)
    return maps, error
