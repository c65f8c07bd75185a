"""The loss of a skill: flow matching on the slots' tokens, several noise draws a page; conditions are never in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from triptych.flow import data_from_velocity, interpolate, logit_normal, velocity
from triptych.models.backbone import Backbone, Keeps
from triptych.training.prepare import Prepared, join
from triptych.training.recipe import Levels, LossSpace

__all__ = ["Item", "draw_item", "group_items", "group_losses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One page with its draws of noise."""

    page: Prepared
    levels: Float[Tensor, " draws"]
    noise: Float[Tensor, "draws target channels"]


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
        groups.setdefault(item.page.shape, []).append(item)
    yield from groups.values()


def group_losses(
    backbone: Backbone,
    items: Sequence[Item],
    *,
    space: LossSpace,
    channel_weights: Float[Tensor, " channels"] | None = None,
) -> Float[Tensor, " items"]:
    """Each item's mean squared error over its draws and counting tokens, from one group of `group_items`."""
    device = backbone.device
    clean = torch.stack([item.page.clean[0] for item in items]).to(device)[:, None]
    noise = torch.stack([item.noise for item in items]).to(device)
    t = torch.stack([item.levels for item in items]).to(device)
    levels = t[:, :, None, None]
    noisy = interpolate(clean, noise, levels)
    if items[0].page.known is not None:
        known = torch.stack([item.page.known for item in items if item.page.known is not None]).to(device)
        noisy = torch.lerp(noisy, clean, known)
    predicted = _velocities(backbone, items, noisy.to(backbone.dtype), t).float()
    if space is LossSpace.DATA:
        error = (data_from_velocity(noisy, predicted, levels) - clean).square()
    else:
        error = (predicted - velocity(clean, noise)).square()
    if channel_weights is not None:
        error = error * channel_weights.to(device)
    weights = torch.stack([item.page.weights[0] for item in items]).to(device)
    each = (error.mean(dim=-1) * weights[:, None]).sum(dim=-1) / weights.sum(dim=-1).clamp_min(1e-12)[:, None]
    return each.mean(dim=1)


def _velocities(
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
