"""Learning from what people picked: answers that were kept against pictures that were rejected for the same page."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from triptych.flow import velocity
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.training.objective import FlowMatching, Item, counted, noised, stacked, velocities
from triptych.training.prepare import Setting
from triptych.training.recipe import Preference, PreferenceKind

__all__ = ["Preferences", "dpo_loss", "nft_error"]


def nft_error(
    predicted: Float[Tensor, "*shape"],
    old: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    *,
    reward: float,
    beta: float,
) -> Float[Tensor, "*shape"]:
    """Squared error of DiffusionNFT: towards what has reward 1, and from what has 0, both seen from the old velocity.

    Zheng et al. 2025, arXiv:2509.16117: the mixture (1 - beta) old + beta new should meet the velocity of what was
    kept, its mirror image (1 + beta) old - beta new that of what was rejected.
    """
    kept = torch.lerp(old, predicted, beta)
    rejected = torch.lerp(old, predicted, -beta)
    return reward * (kept - target).square() + (1 - reward) * (rejected - target).square()


def dpo_loss(
    kept: Float[Tensor, "*shape"],
    kept_before: Float[Tensor, "*shape"],
    rejected: Float[Tensor, "*shape"],
    rejected_before: Float[Tensor, "*shape"],
    *,
    beta: float,
) -> Float[Tensor, "*shape"]:
    """Flow-DPO of mean squared errors, now and before the training (Liu et al. 2025, arXiv:2501.13918, beta constant).

    log 2 where nothing has changed; less where the error of what was kept has fallen against that of the rejected.
    """
    return -logsigmoid(-0.5 * beta * ((kept - kept_before) - (rejected - rejected_before)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Pages with rejected pictures are compared; those without are learned as ever, by `flow`."""

    flow: FlowMatching
    preference: Preference
    as_begun: Callable[[], AbstractContextManager[None]]
    """Inside it, the adapter has the weights from before the first step."""

    @property
    def backbone(self) -> Backbone:
        return self.flow.backbone

    def prepare(self, page: Page, setting: Setting, seed: int) -> Item:
        item = self.flow.prepare(page, setting, seed)
        if not page.rejections:
            return item
        pictures = random.Random(seed).choice(page.rejections)
        return replace(item, rejected=self.flow.make_ready(page.with_answers(pictures), setting).clean)

    def losses(self, group: Sequence[Item]) -> Float[Tensor, " items"]:
        rejections = [item.rejected[0] for item in group if item.rejected is not None]
        if not rejections:
            return self.flow.losses(group)
        kept, noise, t = stacked(self.backbone, group)
        rejected = torch.stack(rejections).to(kept)[:, None]
        # One pass for both: they share noise, levels, words and references.
        noisy = torch.cat([noised(group, clean, noise, t) for clean in (kept, rejected)], dim=1)
        asked, levels = noisy.to(self.backbone.dtype), torch.cat([t, t], dim=1)
        # First, for it changes the weights in place and back, which a graph would not survive.
        with self.as_begun(), torch.no_grad():
            before = velocities(self.backbone, group, asked, levels).float()
        now = velocities(self.backbone, group, asked, levels).float()
        targets = (velocity(kept, noise), velocity(rejected, noise))
        return self._compared(group, now.chunk(2, dim=1), before.chunk(2, dim=1), targets).mean(dim=1)

    def _compared(
        self,
        group: Sequence[Item],
        now: Sequence[Tensor],
        before: Sequence[Tensor],
        targets: Sequence[Tensor],
    ) -> Float[Tensor, "items draws"]:
        weights, beta = self.flow.channel_weights, self.preference.beta
        match self.preference.kind:
            case PreferenceKind.NFT:
                rewards = (1.0, 0.0)
                errors = [
                    nft_error(new, old, target, reward=reward, beta=beta)
                    for new, old, target, reward in zip(now, before, targets, rewards, strict=True)
                ]
                return counted(group, (errors[0] + errors[1]) / 2, weights)
            case PreferenceKind.DPO:
                kept, rejected, kept_before, rejected_before = (
                    counted(group, (said - target).square(), weights)
                    for said, target in zip((*now, *before), (*targets, *targets), strict=True)
                )
                return dpo_loss(kept, kept_before, rejected, rejected_before, beta=beta)
