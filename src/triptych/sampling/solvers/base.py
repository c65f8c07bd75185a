"""What a solver is: a function that takes one step along the velocity."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from jaxtyping import Float
from torch import Tensor

__all__ = ["PutBack", "Reached", "Step", "Velocity"]

Velocity: TypeAlias = Callable[[Tensor, float, float], Tensor]
"""From tokens, their noise level, above 0, and the level that the step leads to, to their velocity.

Only networks that were distilled to jump (flow maps) read the third: to them it is the mean velocity on the way there,
and to their own level the velocity where they are."""

PutBack: TypeAlias = Callable[[Tensor, float], Tensor]
"""From tokens and their noise level to tokens with what is known in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Target tokens at noise level `t`, and the clean tokens expected from there."""

    t: float
    tokens: Float[Tensor, "batch target channels"]
    clean: Float[Tensor, "batch target channels"]


class Step(Protocol):
    """One step from noise level `t` down to `t_next`."""

    def __call__(
        self,
        velocity: Velocity,
        put_back: PutBack,
        tokens: Float[Tensor, "batch target channels"],
        t: float,
        t_next: float,
    ) -> tuple[Float[Tensor, "batch target channels"], Float[Tensor, "batch target channels"]]:
        """Tokens at `t_next`, and the clean tokens expected from `t`."""
        ...
