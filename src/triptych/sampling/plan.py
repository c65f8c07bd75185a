"""What the solver needs of a way for conditions to enter: where it starts, how it steps, and where the slots lie."""

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.canvas import Box
from triptych.flow import euler_step, interpolate
from triptych.models.backbone import Grid, Sequences

__all__ = ["Cut", "Known", "Plan", "slot_noise"]


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
    """One batch of pages of one layout, ready for the first step."""

    sequences: Sequences
    noise: Float[Tensor, "batch target channels"]
    cuts: tuple[Cut, ...]
    known: Known | None = None

    @property
    def start(self) -> Float[Tensor, "batch target channels"]:
        """The tokens at noise level 1."""
        return self.noise if self.known is None else self.known.put_back(self.noise, self.noise, 1.0)

    def advance(
        self,
        tokens: Float[Tensor, "batch target channels"],
        field: Float[Tensor, "batch target channels"],
        t: float,
        t_next: float,
    ) -> Float[Tensor, "batch target channels"]:
        """One solver step; what is known is put back at the level reached."""
        moved = euler_step(tokens, field, t, t_next)
        return moved if self.known is None else self.known.put_back(moved, self.noise, t_next)


def slot_noise(seed: int, slot: int, grid: Grid, channels: int) -> Float[Tensor, "tokens channels"]:
    """The noise a slot starts from: float32 on the CPU, the same whatever the device, the batch and the other slots."""
    digest = hashlib.sha256(f"{seed}/{slot}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    return torch.randn(grid.tokens, channels, generator=generator)
