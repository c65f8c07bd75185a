"""What happened between two pictures, to the places of pixels and to their colours, and the same done to a third."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from triptych.models.pocket.registration import Affine, register, warp
from triptych.models.pocket.regression import RIDGES, Moments, moments

__all__ = ["Change", "Places", "by_least_squares", "change_between", "done_to", "first_ridges"]

_POOR, _BETTER = 2e-3, 0.25
"""Error of colours alone from which on it is asked whether pixels moved, and the share of it that may remain then."""
_AS_GOOD, _NEARLY = 1.5, 1e-4
"""Of the error of a part, that of the whole around its edges may be so many times, and so much more."""
_LEVELS, _KNOWN_COLOURS = 16, 0.7
"""Of each channel, for telling colours apart; and the share of a picture's colours that it has from the one before."""
_SMALL_PX = 32
_MOVED_IN_TRAINING = 4
"""Pages of a batch that are registered in training, where it would cost most of the time: it is learnt from few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Of pages: where pixels come from, and whether those beyond an edge come from the other side."""

    maps: Affine
    wraps: Bool[Tensor, " batch"]

    def where(self, chosen: Bool[Tensor, " batch"], others: "Places") -> "Places":
        """These for the pages that are `chosen`, and for the rest `others`."""
        maps = torch.where(chosen[:, None, None], self.maps, others.maps)
        return Places(maps=maps, wraps=torch.where(chosen, self.wraps, others.wraps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Of pages: where pixels went, what became of their colours there, and the mean squared error of telling it so."""

    places: Places
    colours: Moments
    error: Float[Tensor, " batch"]

    def of(self, pages: Int[Tensor, " chosen"]) -> "Change":
        """That of some of the pages."""
        places = Places(maps=self.places.maps[pages], wraps=self.places.wraps[pages])
        return Change(places=places, colours=self.colours.of(pages), error=self.error[pages])

    def put(self, pages: Int[Tensor, " chosen"], other: "Change") -> "Change":
        """With `other` in the place of some pages."""
        maps = self.places.maps.index_copy(0, pages, other.places.maps)
        wraps = self.places.wraps.index_copy(0, pages, other.places.wraps)
        return Change(
            places=Places(maps=maps, wraps=wraps),
            colours=self.colours.put(pages, other.colours),
            error=self.error.index_copy(0, pages, other.error),
        )


def first_ridges() -> Float[Tensor, " features"]:
    """What features are shrunk by before anything is learnt."""
    return torch.cat([torch.full((count,), ridge) for ridge, count in RIDGES.items()])


def change_between(
    before: Float[Tensor, "batch 3 height width"],
    after: Float[Tensor, "batch 3 height width"],
    ridge: Float[Tensor, " features"],
) -> Change:
    """What made `after` of `before`, in [-1, 1]: colours alone, and where they do not tell it, places first."""
    colours = moments(before, after)
    error = colours.solve(ridge).error
    still = Places(maps=torch.eye(2, 3).to(before).repeat(len(before), 1, 1), wraps=torch.zeros_like(error) > 0)
    told = Change(places=still, colours=colours, error=error)
    asked = (error > _POOR).nonzero()[:, 0]
    asked = asked[_known_colours(before[asked], after[asked]) > _KNOWN_COLOURS] if len(asked) else asked
    if torch.is_grad_enabled():
        asked = asked[:_MOVED_IN_TRAINING]
    if not len(asked):
        return told
    return told.put(asked, _with_moves(told.of(asked), before[asked], after[asked], ridge))


def _with_moves(still: Change, before: Tensor, after: Tensor, ridge: Tensor) -> Change:
    """The change with its pixels moved first, where that tells it better."""
    maps, told = register(before, after), still
    for wraps in (still.places.wraps, ~still.places.wraps):  # the whole around its edges is preferred to a part
        moved, inside = warp(before, maps, wraps)
        anew = moments(moved, after, inside)
        left = anew.solve(ridge).error
        bound = torch.where(wraps, _AS_GOOD * told.error + _NEARLY, _BETTER * still.error)
        better = (_are_moved(maps) & (left < bound)).nonzero()[:, 0]
        found = Change(places=Places(maps=maps, wraps=wraps), colours=anew, error=left)
        told = told.put(better, found.of(better))
    return told


def done_to(
    pixels: Float[Tensor, "batch 3 height width"], places: Places
) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 1 height width"]]:
    """The pixels moved, and 1 where there is something; those of pages where nothing moves are exactly the same."""
    moved, everywhere = _are_moved(places.maps)[:, None, None, None], torch.ones_like(pixels[:, :1])
    if not bool(moved.any()):
        return pixels, everywhere
    there, inside = warp(pixels, places.maps, places.wraps)
    return torch.where(moved, there, pixels), torch.where(moved, inside, everywhere)


def by_least_squares(
    before: Float[Tensor, "1 3 height width"],
    after: Float[Tensor, "1 3 height width"],
    pixels: Float[Tensor, "1 3 height width"],
) -> Float[Tensor, "1 3 height width"]:
    """What one example makes of a picture with no network at all; where nothing comes from, the example's answer."""
    ridge = first_ridges().to(before)
    change = change_between(before, after, ridge)
    moved, inside = done_to(pixels, change.places)
    return torch.where(inside > 0, change.colours.solve(ridge).applied(moved), after)


def _known_colours(before: Tensor, after: Tensor) -> Float[Tensor, " batch"]:
    """How much of the later picture, but for its most frequent colour, has a colour of the earlier one.

    Nearly all where pixels only moved, and little where two pictures have nothing to do with each other: looking for a
    move takes longer than all else the head does.
    """
    counts = [_colour_counts(each) for each in (before, after)]
    ground = counts[1].argmax(dim=1, keepdim=True)
    later = counts[1].scatter(1, ground, 0.0)
    return (later * (counts[0] > 0)).sum(dim=1) / later.sum(dim=1).clamp_min(1)


def _colour_counts(pictures: Tensor) -> Float[Tensor, "batch colours"]:
    small = functional.interpolate(pictures, (_SMALL_PX, _SMALL_PX), mode="area").flatten(2)
    red, green, blue = ((small + 1) / 2 * _LEVELS).long().clamp(0, _LEVELS - 1).unbind(1)
    colours = (red * _LEVELS + green) * _LEVELS + blue
    counts = pictures.new_zeros(len(pictures), _LEVELS**3)
    return counts.scatter_add(1, colours, torch.ones_like(small[:, 0]))


def _are_moved(maps: Affine) -> Bool[Tensor, " batch"]:
    return (maps != torch.eye(2, 3).to(maps)).any(dim=2).any(dim=1)
