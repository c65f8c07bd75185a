"""The loss of a skill: flow matching on the slots' tokens, several noise draws per page; conditions never count."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from triptych.flow import data_from_velocity, interpolate, logit_normal, velocity
from triptych.models.backbone import Backbone, Keeps
from triptych.page import Page
from triptych.training.prepare import Prepared, Setting, join
from triptych.training.recipe import Levels, LossSpace

__all__ = [
    "FlowMatching",
    "Item",
    "Objective",
    "counted",
    "draw_item",
    "group_items",
    "group_losses",
    "noised",
    "stacked",
    "velocities",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One page with its draws of noise."""

    page: Prepared
    levels: Float[Tensor, " draws"]
    noise: Float[Tensor, "draws target channels"]
    rejected: Float[Tensor, "1 target channels"] | None = None
    """Clean tokens of pictures that the page's answers were preferred to."""
    rejected_noise: Float[Tensor, "draws target channels"] | None = None
    """Of the rejected pictures; None where both have the same."""
    rewards: tuple[float, float] | None = None
    """Of the page's answers and of the rejected pictures, from 0 to 1; None for a page that is learned as it is."""


@runtime_checkable
class Objective(Protocol):
    """What a training makes smaller. Pages come one by one; what goes through the network together is grouped later."""

    @property
    def backbone(self) -> Backbone: ...

    def prepare(self, page: Page, setting: Setting, seed: int) -> Item:
        """The page with all that is drawn for it, from `seed` alone: the same in whatever batch and process it is."""
        ...

    def losses(self, group: Sequence[Item]) -> Float[Tensor, " items"]:
        """The loss of each item of one group of `group_items`, with its graph."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowMatching:
    """Squared error of the velocity on the slots' tokens (Lipman et al. 2023, arXiv:2210.02747)."""

    backbone: Backbone
    make_ready: Callable[[Page, Setting], Prepared]
    """Encodes a page, or finds it encoded."""
    draws: int
    levels: Levels
    space: LossSpace
    channel_weights: Float[Tensor, " channels"] | None = None

    def prepare(self, page: Page, setting: Setting, seed: int) -> Item:
        return draw_item(self.make_ready(page, setting), draws=self.draws, levels=self.levels, seed=seed)

    def losses(self, group: Sequence[Item]) -> Float[Tensor, " items"]:
        return group_losses(self.backbone, group, space=self.space, channel_weights=self.channel_weights)


def draw_item(page: Prepared, *, draws: int, levels: Levels, seed: int) -> Item:
    """Noise and noise levels from `seed` alone, so that an item is the same in whatever batch and process it is."""
    generator = torch.Generator().manual_seed(seed)
    free = logit_normal(draws, mean=levels.mean, std=levels.std, generator=generator)
    is_pure = torch.rand(draws, generator=generator) < levels.pure_share
    noise = torch.randn(draws, *page.clean.shape[1:], generator=generator)
    return Item(page=page, levels=torch.where(is_pure, torch.ones(()), free), noise=noise)


def group_items(backbone: Backbone, items: Sequence[Item]) -> Iterator[list[Item]]:
    """Items that go through the network together: pages of one shape on the pocket and its kin, else each alone."""
    if backbone.keeps is not Keeps.CONDITIONS:
        yield from ([item] for item in items)
        return
    groups: dict[object, list[Item]] = {}
    for item in items:
        groups.setdefault((item.page.shape, item.rejected is None, item.rewards is None), []).append(item)
    yield from groups.values()


def group_losses(
    backbone: Backbone,
    items: Sequence[Item],
    *,
    space: LossSpace,
    channel_weights: Float[Tensor, " channels"] | None = None,
) -> Float[Tensor, " items"]:
    """Each item's mean squared error over its draws and counting tokens, from one group of `group_items`."""
    clean, noise, t = stacked(backbone, items)
    noisy = noised(items, clean, noise, t)
    predicted = velocities(backbone, items, noisy.to(backbone.dtype), t).float()
    if space is LossSpace.DATA:
        error = (data_from_velocity(noisy, predicted, t[:, :, None, None]) - clean).square()
    else:
        error = (predicted - velocity(clean, noise)).square()
    return counted(items, error, channel_weights).mean(dim=1)


def stacked(
    backbone: Backbone, items: Sequence[Item]
) -> tuple[
    Float[Tensor, "items 1 target channels"],
    Float[Tensor, "items draws target channels"],
    Float[Tensor, "items draws"],
]:
    """Clean tokens, noise and noise levels of one group of items."""
    clean = torch.stack([item.page.clean[0] for item in items])[:, None]
    noise, t = (torch.stack([getattr(item, name) for item in items]) for name in ("noise", "levels"))
    return clean.to(backbone.device), noise.to(backbone.device), t.to(backbone.device)


def noised(
    items: Sequence[Item],
    clean: Float[Tensor, "items 1 target channels"],
    noise: Float[Tensor, "items draws target channels"],
    t: Float[Tensor, "items draws"],
) -> Float[Tensor, "items draws target channels"]:
    """What the network is asked; tokens that are known get no noise."""
    noisy = interpolate(clean, noise, t[:, :, None, None])
    known = [item.page.known for item in items if item.page.known is not None]
    return torch.lerp(noisy, clean, torch.stack(known).to(noisy)) if known else noisy


def counted(
    items: Sequence[Item],
    error: Float[Tensor, "items draws target channels"],
    channel_weights: Float[Tensor, " channels"] | None,
) -> Float[Tensor, "items draws"]:
    """Mean of an error over the tokens that count, and over channels."""
    if channel_weights is not None:
        error = error * channel_weights.to(error)
    weights = torch.stack([item.page.weights[0] for item in items]).to(error)
    return (error.mean(dim=-1) * weights[:, None]).sum(dim=-1) / weights.sum(dim=-1).clamp_min(1e-12)[:, None]


def velocities(
    backbone: Backbone,
    items: Sequence[Item],
    noisy: Float[Tensor, "items draws target channels"],
    t: Float[Tensor, "items draws"],
) -> Float[Tensor, "items draws target channels"]:
    """All draws of all pages as rows of one batch; what pages read is read once for their draws."""
    context, targets = join(backbone, [item.page for item in items])
    draws = noisy.shape[1]
    rows = rearrange(noisy, "items draws target channels -> (items draws) target channels")
    levels = rearrange(t, "items draws -> (items draws)")
    made = backbone.velocity(rows, levels, context.repeated(draws), targets.repeated(draws))
    return rearrange(made, "(items draws) target channels -> items draws target channels", draws=draws)
