"""The loss of a skill: flow matching on the slots' tokens, several noise draws per page; conditions never count."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from triptych.flow import data_from_velocity, interpolate, logit_normal, velocity, velocity_from_data
from triptych.models.backbone import Backbone, Keeps, ReadsConditions
from triptych.page import Page
from triptych.training.prepare import Prepared, Setting, join
from triptych.training.recipe import Levels, LossSpace

__all__ = [
    "Asked",
    "FlowMatching",
    "Item",
    "Objective",
    "ask",
    "bend_of",
    "counted",
    "draw_item",
    "group_items",
    "group_losses",
    "noised",
    "right_velocity",
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
    bend: float | None = None
    """Where samples of the page first go to the mean of all answers: the noise level that they leave it at."""


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
        bend = bend_of(self.backbone, self.backbone.card.steps_for(page))
        return draw_item(self.make_ready(page, setting), draws=self.draws, levels=self.levels, seed=seed, bend=bend)

    def losses(self, group: Sequence[Item]) -> Float[Tensor, " items"]:
        return group_losses(self.backbone, group, space=self.space, channel_weights=self.channel_weights)


def bend_of(backbone: Backbone, steps: int | None) -> float | None:
    """The level at which results of so many steps leave the mean, to which the first step leads; None: it does not."""
    if steps is None or steps != backbone.card.sample_steps:
        return None
    return backbone.schedule(steps, 1)[1]


def draw_item(page: Prepared, *, draws: int, levels: Levels, seed: int, bend: float | None = None) -> Item:
    """Noise and noise levels from `seed` alone, so that an item is the same in whatever batch and process it is.

    With `bend`, levels below 1 are drawn below it: no sample is ever between the two.
    """
    generator = torch.Generator().manual_seed(seed)
    free = logit_normal(draws, mean=levels.mean, std=levels.std, generator=generator)
    is_pure = torch.rand(draws, generator=generator) < levels.pure_share
    noise = torch.randn(draws, *page.clean.shape[1:], generator=generator)
    free = free if bend is None else bend * free
    return Item(page=page, levels=torch.where(is_pure, torch.ones(()), free), noise=noise, bend=bend)


def group_items(backbone: Backbone, items: Sequence[Item]) -> Iterator[list[Item]]:
    """Items that go through the network together: pages of one shape on the pocket and its kin, else each alone.

    Where pictures stand in what the text encoder read, texts cannot be put together again from words."""
    if backbone.keeps is not Keeps.CONDITIONS or isinstance(backbone, ReadsConditions):
        yield from ([item] for item in items)
        return
    groups: dict[object, list[Item]] = {}
    for item in items:
        kind = item.page.shape, item.rejected is None, item.rewards is None, item.bend
        groups.setdefault(kind, []).append(item)
    yield from groups.values()


def group_losses(
    backbone: Backbone,
    items: Sequence[Item],
    *,
    space: LossSpace,
    channel_weights: Float[Tensor, " channels"] | None = None,
) -> Float[Tensor, " items"]:
    """Each item's mean squared error over its draws and counting tokens, from one group of `group_items`."""
    return ask(backbone, items).errors(backbone, space=space, channel_weights=channel_weights).mean(dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One group of items with what the network is asked: the same states as often as it is asked."""

    items: Sequence[Item]
    clean: Float[Tensor, "items 1 target channels"]
    noise: Float[Tensor, "items draws target channels"]
    t: Float[Tensor, "items draws"]
    noisy: Float[Tensor, "items draws target channels"]

    def errors(
        self, backbone: Backbone, *, space: LossSpace, channel_weights: Float[Tensor, " channels"] | None
    ) -> Float[Tensor, "items draws"]:
        """Mean squared error of each draw over its counting tokens, by the weights of the moment."""
        predicted = velocities(backbone, self.items, self.noisy.to(backbone.dtype), self.t).float()
        if space is LossSpace.DATA:
            error = (data_from_velocity(self.noisy, predicted, self.t[:, :, None, None]) - self.clean).square()
        else:
            right = right_velocity(self.items, self.clean, self.noise, self.noisy, self.t)
            error = (predicted - right).square()
        return counted(self.items, error, channel_weights)


def ask(backbone: Backbone, items: Sequence[Item]) -> Asked:
    """What the network is asked of one group of `group_items`."""
    clean, noise, t = stacked(backbone, items)
    return Asked(items=items, clean=clean, noise=noise, t=t, noisy=noised(backbone, items, clean, noise, t))


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
    backbone: Backbone,
    items: Sequence[Item],
    clean: Float[Tensor, "items 1 target channels"],
    noise: Float[Tensor, "items draws target channels"],
    t: Float[Tensor, "items draws"],
) -> Float[Tensor, "items draws target channels"]:
    """What the network is asked; tokens that are known get no noise.

    Answers lie on a line to noise; below a bend, on the line to where samples are there: between the mean of all
    answers, as the network gives it now, and the noise that it was given from (Ohayon et al. 2024, arXiv:2410.00418).
    """
    levels, bend = t[:, :, None, None], items[0].bend
    noisy = interpolate(clean, noise, levels)
    if bend is not None and bool((t < 1).any()):
        with torch.no_grad():
            mean = noise - velocities(backbone, items, noise.to(backbone.dtype), torch.ones_like(t)).float()
        bent = interpolate(clean, interpolate(mean, noise, bend), levels / bend)
        noisy = torch.where(levels < 1, bent, noisy)
    known = [item.page.known for item in items if item.page.known is not None]
    return torch.lerp(noisy, clean, torch.stack(known).to(noisy)) if known else noisy


def right_velocity(
    items: Sequence[Item],
    clean: Float[Tensor, "items 1 target channels"],
    noise: Float[Tensor, "items draws target channels"],
    noisy: Float[Tensor, "items draws target channels"],
    t: Float[Tensor, "items draws"],
) -> Float[Tensor, "items draws target channels"]:
    """The velocity that leads from `noisy`, as `noised` gives it, to the answers."""
    bent = items[0].bend is not None
    return velocity_from_data(noisy, clean, t[:, :, None, None]) if bent else velocity(clean, noise)


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
