"""What happened between two pictures, to the places of pixels and to their colours, and the same done to a third."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from triptych.models.pocket.bypage import ByPage
from triptych.models.pocket.paper import Paper, colour_outside, paper_between
from triptych.models.pocket.registration import Affine, register, roll_between, warp
from triptych.models.pocket.regression import Moments, first_ridges, moments

__all__ = ["Change", "Places", "by_least_squares", "change_between", "done_to"]

_POOR, _BETTER = 2e-3, 0.25
"""Error of colours alone from which on it is asked whether pixels moved, and the share of it that may remain then."""
_AS_GOOD, _NEARLY = 1.5, 1e-4
"""Of the error of a part, that of the whole around its edges may be so many times, and so much more."""
_KNOWN_COLOURS = 0.7
"""Share of a picture's colours that it has from the one before, where pixels may have moved: looking for how takes
longer than all else the head does."""
_OVER_PX = 128
"""Side of what is kept of paper that lies over a picture."""
_MOVED_IN_TRAINING = 4
"""Pages of a batch that are registered in training, where it would cost most of the time: it is learnt from few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places(ByPage):
    """Of pages: where pixels come from, whether those beyond an edge come from the other side, and what else is there.

    `paper` is the one colour of all that comes from outside the picture, and of what lies over it, where `over` is 1;
    NaN where it has several, or there is nothing of the kind.
    """

    maps: Affine
    wraps: Bool[Tensor, " batch"]
    paper: Float[Tensor, "batch 3"]
    over: Float[Tensor, "batch 1 side side"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(ByPage):
    """Of pages: where pixels went, what became of their colours there, and the mean squared error of telling it so."""

    places: Places
    colours: Moments
    error: Float[Tensor, " batch"]


def change_between(
    before: Float[Tensor, "batch 3 height width"],
    after: Float[Tensor, "batch 3 height width"],
    ridge: Float[Tensor, " features"],
) -> Change:
    """What made `after` of `before`, in [-1, 1]: colours alone, and where they do not tell it, places first."""
    colours = moments(before, after)
    error = colours.error(ridge)
    still = Places(
        maps=torch.eye(2, 3).to(before).repeat(len(before), 1, 1),
        wraps=torch.zeros_like(error) > 0,
        paper=before.new_full((len(before), 3), math.nan),
        over=before.new_zeros(len(before), 1, _OVER_PX, _OVER_PX),
    )
    told = Change(places=still, colours=colours, error=error)
    asked = (error > _POOR).nonzero()[:, 0]
    if not len(asked):
        return told
    paper, known = paper_between(before[asked], after[asked])
    told = told.put(asked, _with_paper_over(told.of(asked), before[asked], after[asked], ridge, paper))
    moved = (known > _KNOWN_COLOURS) & (told.error[asked] > _POOR)
    if torch.is_grad_enabled():
        moved = moved & (moved.cumsum(0) <= _MOVED_IN_TRAINING)
    if not bool(moved.any()):
        return told
    asked, paper = asked[moved], paper.of(moved.nonzero()[:, 0])
    return told.put(asked, _with_moves(told.of(asked), before[asked], after[asked], ridge, paper))


def _with_paper_over(still: Change, before: Tensor, after: Tensor, ridge: Tensor, paper: Paper) -> Change:
    """The change with paper laid over the picture, where that tells it better."""
    lies = paper.covers(before, after).nonzero()[:, 0]
    if not len(lies):
        return still
    own, mask = still.of(lies), paper.mask[lies]
    anew = moments(before[lies], after[lies], 1 - mask)
    over = functional.interpolate(mask, (_OVER_PX, _OVER_PX), mode="area")
    places = replace(own.places, paper=paper.colour[lies], over=over)
    found = Change(places=places, colours=anew, error=anew.error(ridge))
    better = (found.error < _BETTER * own.error).nonzero()[:, 0]
    return still.put(lies[better], found.of(better))


def _with_moves(still: Change, before: Tensor, after: Tensor, ridge: Tensor, paper: Paper) -> Change:
    """The change with its pixels moved first, where that tells it better."""
    maps, inwards = register(before, after, paper.mask), still.places.wraps
    told, is_moved = still, torch.zeros_like(inwards)
    # The whole around its edges is preferred to a part.
    for tried, wraps in ((maps, inwards), (maps, ~inwards), (roll_between(before, after), ~inwards)):
        moved, inside = warp(before, tried, wraps)
        anew = moments(moved, after, inside)
        left = anew.error(ridge)
        as_good = torch.where(wraps, _AS_GOOD * told.error + _NEARLY, told.error)
        better = _are_moved(tried) & (left < torch.where(is_moved, as_good, _BETTER * still.error))
        bare = torch.zeros_like(still.places.over)
        places = Places(maps=tried, wraps=wraps, paper=colour_outside(after, inside), over=bare)
        chosen = better.nonzero()[:, 0]
        told = told.put(chosen, Change(places=places, colours=anew, error=left).of(chosen))
        is_moved = is_moved | better
    return told


def done_to(
    pixels: Float[Tensor, "batch 3 height width"],
    told: Callable[[Float[Tensor, "batch 3 height width"]], Float[Tensor, "batch 3 height width"]],
    places: Places,
    others: Float[Tensor, "batch 3 height width"],
) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 3 height width"]]:
    """The pixels moved, and what `told` makes of them; where nothing comes from, the paper, or the pixels of `others`.

    Pages where nothing moves and nothing lies over are told exactly as they are.
    """
    moved, covered = _are_moved(places.maps)[:, None, None, None], places.over.amax(dim=(1, 2, 3), keepdim=True) > 0
    if not bool((moved | covered).any()):
        return pixels, told(pixels)
    there, inside = warp(pixels, places.maps, places.wraps)
    there = torch.where(moved, there, pixels)
    paper = places.paper[:, :, None, None]
    beyond = torch.where(paper.isnan(), others, paper)
    after = torch.where(~moved | (inside > 0), told(there), beyond)
    over = functional.interpolate(places.over, pixels.shape[2:], mode="bilinear", antialias=True)
    return there, torch.where(covered, after.lerp(beyond, over.expand_as(after)), after)


def by_least_squares(
    before: Float[Tensor, "1 3 height width"],
    after: Float[Tensor, "1 3 height width"],
    pixels: Float[Tensor, "1 3 height width"],
) -> Float[Tensor, "1 3 height width"]:
    """What one example makes of a picture with no network at all; where nothing comes from, the example's answer."""
    ridge = first_ridges().to(before)
    change = change_between(before, after, ridge)
    return done_to(pixels, change.colours.solve(ridge).applied, change.places, after)[1]


def _are_moved(maps: Affine) -> Bool[Tensor, " batch"]:
    return (maps != torch.eye(2, 3).to(maps)).any(dim=2).any(dim=1)
