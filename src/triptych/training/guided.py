"""The contrastive guidance loss: a backbone whose guidance is distilled learns answers as guidance would make them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.flow import data_from_velocity
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.training.objective import FlowMatching, Item, ask, counted, right_velocity, velocities
from triptych.training.prepare import Prepared, Setting
from triptych.training.recipe import LossSpace
from triptych.training.variants import wordless

__all__ = ["Guided", "GuidedItem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedItem(Item):
    """A page that has words, with the same page without."""

    wordless: Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Guided:
    """Flow matching towards `u + scale * (v - u)`: v leads to the answer, u is the network's without words.

    Such a network answers as classifier-free guidance would have (Ho and Salimans 2022, arXiv:2207.12598, eq. 6). On
    plain answers it unlearns that, and blurs. u is the velocity of the moment, adapter and all, without a gradient, as
    in ai-toolkit's `do_guidance_loss`. A page without words is learned as it is.
    """

    flow: FlowMatching
    scale: float

    @property
    def backbone(self) -> Backbone:
        return self.flow.backbone

    def prepare(self, page: Page, setting: Setting, seed: int) -> Item:
        item, bare = self.flow.prepare(page, setting, seed), wordless(page)
        if bare == page:
            return item
        own = {each.name: getattr(item, each.name) for each in fields(item)}
        return GuidedItem(**own, wordless=self.flow.make_ready(bare, setting))

    def losses(self, group: Sequence[Item]) -> Float[Tensor, " items"]:
        guided = [item for item in group if isinstance(item, GuidedItem)]
        plain = [item for item in group if not isinstance(item, GuidedItem)]
        of_guided = iter(self._losses(guided) if guided else ())
        of_plain = iter(self.flow.losses(plain) if plain else ())
        return torch.stack([next(of_guided if isinstance(item, GuidedItem) else of_plain) for item in group])

    def _losses(self, items: Sequence[GuidedItem]) -> Float[Tensor, " items"]:
        backbone, asked = self.flow.backbone, ask(self.flow.backbone, items)
        tokens, t, levels = asked.noisy.to(backbone.dtype), asked.t, asked.t[:, :, None, None]
        with torch.no_grad():
            bare = [Item(page=item.wordless, levels=item.levels, noise=item.noise) for item in items]
            unsaid = velocities(backbone, bare, tokens, t).float()
            right = torch.lerp(unsaid, right_velocity(items, asked.clean, asked.noise, asked.noisy, t), self.scale)
        predicted = velocities(backbone, items, tokens, t).float()
        if self.flow.space is LossSpace.DATA:
            predicted, right = (data_from_velocity(asked.noisy, each, levels) for each in (predicted, right))
        return counted(items, (predicted - right).square(), self.flow.channel_weights).mean(dim=1)
