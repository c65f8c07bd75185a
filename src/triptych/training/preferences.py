"""Learning from what people picked: answers that were kept against pictures that were rejected for the same page."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.training.objective import FlowMatching, Item, counted, noised, right_velocity, stacked, velocities
from triptych.training.prepare import Setting
from triptych.training.recipe import LossSpace, Preference, PreferenceKind

__all__ = ["Preferences", "dpo_loss", "nft_error"]


def nft_error(
    predicted: Float[Tensor, "*shape"],
    old: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    *,
    reward: float | Tensor,
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
    """In its context the adapter has the weights from before the first step."""

    @property
    def backbone(self) -> Backbone:
        return self.flow.backbone

    def prepare(self, page: Page, setting: Setting, seed: int) -> Item:
        item = self.flow.prepare(page, setting, seed)
        if not page.rejections:
            return item
        pictures = random.Random(seed).choice(page.rejections)
        clean = self.flow.make_ready(page.with_answers(pictures), setting).clean
        return replace(item, rejected=clean, rewards=(1.0, 0.0))

    def losses(self, group: Sequence[Item]) -> Float[Tensor, " items"]:
        if group[0].rewards is None:
            return self.flow.losses(group)
        kept, noise, t = stacked(self.backbone, group)
        clean, noises = [kept], [noise]
        rejected = [item.rejected[0] for item in group if item.rejected is not None]
        if rejected:
            clean.append(torch.stack(rejected).to(kept)[:, None])
            own = [item.noise if item.rejected_noise is None else item.rejected_noise for item in group]
            noises.append(torch.stack(own).to(kept))
        levels = torch.cat([t] * len(clean), dim=1)
        # First, for it changes the weights in place and back, which a graph would not survive.
        with self.as_begun(), torch.no_grad():
            noisy = [noised(self.backbone, group, *both, t) for both in zip(clean, noises, strict=True)]
            # One pass for both: they share levels, words and references.
            asked = torch.cat(noisy, dim=1).to(self.backbone.dtype)
            before = velocities(self.backbone, group, asked, levels).float()
        now = velocities(self.backbone, group, asked, levels).float()
        targets = [
            right_velocity(group, right, noise, asked_of, t)
            for right, noise, asked_of in zip(clean, noises, noisy, strict=True)
        ]
        return self._compared(group, t, now.chunk(len(clean), 1), before.chunk(len(clean), 1), targets).mean(dim=1)

    def _compared(
        self,
        group: Sequence[Item],
        t: Tensor,
        now: Sequence[Tensor],
        before: Sequence[Tensor],
        targets: Sequence[Tensor],
    ) -> Float[Tensor, "items draws"]:
        beta = self.preference.strength
        # An error of the clean tokens is that of the velocity times t squared.
        scale = t[:, :, None, None].square() if self.flow.space is LossSpace.DATA else torch.ones(()).to(t)

        def mean(error: Tensor) -> Tensor:
            return counted(group, error * scale, self.flow.channel_weights)

        if self.preference.kind is PreferenceKind.DPO and len(targets) == 2:
            kept, rejected, kept_before, rejected_before = (
                mean((said - target).square())
                for said, target in zip((*now, *before), (*targets, *targets), strict=True)
            )
            return dpo_loss(kept, kept_before, rejected, rejected_before, beta=beta)
        rewards = torch.tensor([item.rewards for item in group]).to(t)
        errors = [
            mean(nft_error(new, old, target, reward=rewards[:, place, None, None, None], beta=beta))
            for place, (new, old, target) in enumerate(zip(now, before, targets, strict=True))
        ]
        return torch.stack(errors).mean(dim=0)
