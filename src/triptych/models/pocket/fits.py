"""The fit head: what the examples did to places and colours, found by least squares and done to the condition.

A filter shown by one example is a function of each pixel, and a crop one of its place; a network this narrow tells such
a function only roughly. Least squares tells it exactly: where the example's pixels went, what lies over them, and what
became of their colours, a ridge regression within the forward pass as in mesa-layers (von Oswald et al. 2023,
arXiv:2309.05858). The network learns what it is for: which two pictures are an example, which picture is meant, how far
to shrink, and how much of the answer to take where.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from triptych.models.pocket.attention import KeysAndValues, in_heads
from triptych.models.pocket.changes import Change, Places, change_between, done_to
from triptych.models.pocket.klt import FACTOR, KltCodec, cut_patches, join_patches
from triptych.models.pocket.regression import Fit, Moments, first_ridges

__all__ = ["FitHead", "Pictures"]

_CONTENT = 16
"""Numbers that a picture is recognised by."""
_HOPELESS = 0.05
"""Squared error of a fit that no answer takes anything of; that of pictures which are no example is mostly larger."""
_FLOOR = 1e-4
"""Squared error below which one fit is as good as another: 46 dB."""
_APART = 1e-3
"""Squared distance below which a fit and the network's own answer are the same."""
_UNSEEN = 1e-6
"""Variance of the noise that Bayesian regression would suppose; with the ridge it says how far weights may be off."""
_OWN_FIRST, _CERTAIN, _TRUST, _NEAR = 4.0, 12.0, 4.0, 2.0
"""What a new head goes by: a slot's condition is the first reference; and orders of magnitude count for so much, of a
fit's error for which pair is an example and for the blend, and of how far it is from the network's own answer."""
_ENOUGH, _FAR = 2.3, 0.5
"""Half of a fit is taken at an error of 10^-2.3, 29 dB, and a distance of 10^-0.5, as from a network of no training."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where each picture's tokens stand in a sequence, and its rows and columns of tokens."""

    parts: tuple[tuple[slice, int, int], ...]

    @classmethod
    def at(cls, places: Float[Tensor, "tokens 4"]) -> "Pictures":
        """Those of tokens at (frame, row, column, 0), picture by picture in row order."""
        parts, first = [], 0
        for count in places[:, 0].unique_consecutive(return_counts=True)[1].tolist():
            columns = round(float((places[first : first + count, 2].max() - places[first, 2]).detach())) + 1
            parts.append((slice(first, first + count), count // columns, columns))
            first += count
        return cls(tuple(parts))

    def followed_by_their_like(self) -> tuple[int, ...]:
        """Which have one of the same size behind them, but for the page's own condition, which is the first."""
        pairs = enumerate(pairwise(self.parts))
        return tuple(number for number, (one, other) in pairs if number and one[1:] == other[1:])


class FitHead(nn.Module):
    """Blends the answer's tokens with what the examples' fit makes of the condition, as far as that may be trusted."""

    basis: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, *, width: int, channels: int) -> None:
        super().__init__()
        patch = FACTOR * FACTOR * 3
        self.register_buffer("basis", torch.zeros(patch, channels))
        self.register_buffer("mean", torch.zeros(patch))
        self.register_buffer("scale", torch.ones(channels))
        self.to_q, self.to_k = nn.Linear(width, _CONTENT), nn.Linear(width, _CONTENT)
        self.is_example = nn.Linear(2 * _CONTENT, 1)
        self.trusts = nn.Linear(width, channels)
        self.ridge = nn.Parameter(first_ridges().log())
        self.by_error = nn.Parameter(torch.tensor((_CERTAIN, _TRUST, _NEAR)))
        """How much an order of magnitude counts: of the error for which pictures are an example; for the blend, of the
        error and of the distance from the network's answer, since what is right is what both are near."""
        self.own_first = nn.Parameter(torch.tensor(_OWN_FIRST))
        self.unseen = nn.Parameter(torch.tensor(_UNSEEN).log())
        for layer in (self.to_q, self.is_example, self.trusts):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.trusts.bias, -_TRUST * _ENOUGH - _NEAR * _FAR)

    @torch.no_grad()
    def read_tokens_of(self, codec: KltCodec) -> None:
        """Take the codec's linear transform, in which the tokens are."""
        for name in ("basis", "mean", "scale"):
            getattr(self, name).copy_(getattr(codec, name))

    def kept(
        self,
        stream: Float[Tensor, "batch reference wide"],
        tokens: Float[Tensor, "batch reference channels"],
        places: Float[Tensor, "reference 4"],
        *,
        head_width: int,
    ) -> KeysAndValues:
        """What is kept of references, in the shape of a block's keys and values: content and places, and tokens."""
        where = places.to(stream.dtype).expand(len(stream), -1, -1)
        keys = torch.cat((self.to_k(stream), where), dim=2)
        known, values = (in_heads(each, width=stream.shape[-1], head_width=head_width) for each in (keys, tokens))
        return known, values

    def forward(
        self,
        clean: Float[Tensor, "batch target channels"],
        stream: Float[Tensor, "batch target wide"],
        kept: KeysAndValues,
        places: Float[Tensor, "target 4"],
    ) -> Float[Tensor, "batch target channels"]:
        """The answer's tokens, blended with the fit's; as they are where no two references are of one size."""
        known, values = (each.flatten(2) for each in kept)
        pictures = Pictures.at(known[0, :, _CONTENT : _CONTENT + 4].float())
        firsts = pictures.followed_by_their_like()
        if not firsts:
            return clean
        asked, trust = self.to_q(stream).float(), self.trusts(stream).float()
        tokens, keys = values[..., : len(self.scale)].float(), known[..., :_CONTENT].float()
        with torch.autocast(stream.device.type, enabled=False):
            content = torch.stack([keys[:, part].mean(dim=1) for part, *_ in pictures.parts], dim=1)
            colours, moves = self._found(tokens, content, pictures, firsts)
            if not torch.is_grad_enabled() and bool((colours.error > _HOPELESS).all()):
                return clean
            slots = Pictures.at(places)
            source = self._source(asked, content, tokens, pictures, slots)
            told, error = self._told(clean.float(), source, colours, moves, slots)
            apart = (self.scale * (told - clean)).square().sum(dim=2).mean(dim=1, keepdim=True) / len(self.basis)
            doubt = self.by_error[1] * (error + _FLOOR).log10() + self.by_error[2] * (apart + _APART).log10()
            gate = trust - doubt[:, :, None]
            return clean + (gate.sigmoid() * (told - clean)).to(clean.dtype)

    def _found(self, tokens: Tensor, content: Tensor, pictures: Pictures, firsts: Sequence[int]) -> tuple[Fit, Places]:
        """What all that are examples did, each as far as it is one; `firsts` and the pictures behind them could be."""
        seen = {
            number: self._pixels(tokens[:, part], rows)
            for number, (part, rows, _) in enumerate(pictures.parts)
            if number in firsts or number - 1 in firsts
        }
        ridge = self.ridge.float().exp()
        examples: list[Change] = []
        scores = []
        for first in firsts:
            examples.append(change_between(seen[first], seen[first + 1], ridge))
            both = content[:, first : first + 2].flatten(1)
            scores.append(
                self.is_example(both.to(self.is_example.weight.dtype))[:, 0].float()
                - self.by_error[0] * (examples[-1].error + _FLOOR).log10()
            )
        shares = torch.stack(scores).softmax(dim=0)
        colours = Moments.blended([each.colours for each in examples], shares).solve(ridge)
        best = shares.argmax(dim=0)
        places = examples[0].places
        for index, each in enumerate(examples[1:], start=1):
            places = each.places.where(best == index, places)
        return colours, places

    def _source(
        self, asked: Tensor, content: Tensor, tokens: Tensor, pictures: Pictures, slots: Pictures
    ) -> Float[Tensor, "batch target channels"]:
        """The tokens of the picture that each place of the answer is made of, as its stream says."""
        alike = einsum(asked, content, "b t k, b p k -> b t p") * _CONTENT**-0.5
        first = torch.zeros(content.shape[1], device=alike.device)
        first[0] = 1
        shares = (alike + self.own_first * first).softmax(dim=-1)
        found = []
        for part, rows, _ in pictures.parts:
            grid = rearrange(tokens[:, part], "b (h w) c -> b c h w", h=rows)
            sizes = [(own_rows, own_columns) for _, own_rows, own_columns in slots.parts]
            fitting = [grid if grid.shape[2:] == size else functional.interpolate(grid, size) for size in sizes]
            found.append(torch.cat([each.flatten(2) for each in fitting], dim=2))
        return einsum(shares, torch.stack(found), "b t p, p b c t -> b t c")

    def _told(
        self, clean: Tensor, source: Tensor, colours: Fit, places: Places, slots: Pictures
    ) -> tuple[Float[Tensor, "batch target channels"], Float[Tensor, "batch target"]]:
        """What the fit makes of the source, in tokens, and the error to be expected of each.

        Pixels that come from outside the source are of the example's paper, or left as they are.
        """
        told, errors = [], []
        for part, rows, _ in slots.parts:
            pixels = self._pixels(source[:, part], rows)
            there, after = done_to(pixels, colours.applied, places, self._pixels(clean[:, part], rows))
            told.append((cut_patches(after) - self.mean.float()) @ self.basis.float() / self.scale.float())
            errors.append(colours.expected_error(there, self.unseen.float().exp(), side=FACTOR))
        return torch.cat(told, dim=1), torch.cat(errors, dim=1)

    def _pixels(self, tokens: Tensor, rows: int) -> Float[Tensor, "batch 3 height width"]:
        patches = (tokens * self.scale.float()) @ self.basis.T.float() + self.mean.float()
        return join_patches(patches, rows)
