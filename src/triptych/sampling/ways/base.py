"""What a way for conditions to enter is: a plan of a batch for the solver, and the right answers for training."""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from triptych.canvas import Box
from triptych.flow import interpolate
from triptych.models.backbone import Backbone, Conditions, Grid, Targets
from triptych.page import Page

__all__ = ["Answers", "Cut", "Known", "Plan", "Way", "noise_of", "slot_noise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where a slot is found when all is done: a target grid, and a box in its picture (None: all of it)."""

    target: int
    box: Box | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Target tokens that are put back at every noise level, and where (1) or where not (0)."""

    data: Float[Tensor, "batch target channels"]
    keep: Float[Tensor, "batch target 1"]
    clean: bool = False
    """They are put back as they are; otherwise with the noise of the level."""

    def put_back(
        self,
        tokens: Float[Tensor, "batch target channels"],
        noise: Float[Tensor, "batch target channels"],
        t: float,
    ) -> Float[Tensor, "batch target channels"]:
        """`tokens` at noise level `t` with what is known in its place."""
        return torch.lerp(tokens, self.data if self.clean else interpolate(self.data, noise, t), self.keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One batch of pages of one layout, ready to be read and denoised."""

    targets: Targets
    noise: Float[Tensor, "batch target channels"]
    cuts: tuple[Cut, ...]
    conditions: Conditions | None = None
    seen: tuple[Hashable, ...] = ()
    """For each page, the content of its `conditions`."""
    known: Known | None = None
    seeds: tuple[int, ...] = ()
    """Of each page, where more than noise is drawn from it."""
    spaced_for: int | None = None
    """How many tokens the noise levels are spaced for; None for all that are made."""

    @property
    def tokens(self) -> int:
        """How many tokens the noise levels are spaced for."""
        return self.spaced_for or self.noise.shape[1]

    @property
    def start(self) -> Float[Tensor, "batch target channels"]:
        """The tokens at noise level 1."""
        return self.put_back(self.noise, 1.0)

    def put_back(
        self, tokens: Float[Tensor, "batch target channels"], t: float
    ) -> Float[Tensor, "batch target channels"]:
        """`tokens` at noise level `t` with what is known in its place."""
        return tokens if self.known is None else self.known.put_back(tokens, self.noise, t)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The right tokens of one page's targets, and how much each counts."""

    clean: Float[Tensor, "1 target channels"]
    weights: Float[Tensor, "1 target"]


class Way(Protocol):
    """A way for conditions to enter. All pages are working pages, of one layout."""

    def plan(self, backbone: Backbone, pages: Sequence[Page], seeds: Sequence[int]) -> Plan:
        """Encode the conditions; lay out targets and noise. Raises BackboneError for what the backbone cannot take."""
        ...

    def targets(
        self,
        backbone: Backbone,
        page: Page,
        answers: Sequence[Image],
        *,
        slot_weights: Sequence[float],
        elsewhere: float,
    ) -> Answers:
        """What a page's targets should become, given its slots' pictures; `elsewhere` weighs what is not a slot."""
        ...


def slot_noise(seed: int, slot: int, grid: Grid, channels: int) -> Float[Tensor, "tokens channels"]:
    """The noise a slot starts from: float32 on the CPU, the same whatever the device, the batch and the other slots."""
    digest = hashlib.sha256(f"{seed}/{slot}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    return torch.randn(grid.tokens, channels, generator=generator)


def noise_of(backbone: Backbone, seeds: Sequence[int], slot: int, grid: Grid) -> Float[Tensor, "batch tokens channels"]:
    """`slot_noise` for each seed, where the backbone computes."""
    noises = [slot_noise(seed, slot, grid, backbone.card.channels) for seed in seeds]
    return torch.stack(noises).to(backbone.device)
