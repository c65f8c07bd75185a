"""Euler's method: straight on with the velocity at the beginning of the step."""

from jaxtyping import Float
from torch import Tensor

from triptych.flow import data_from_velocity, euler_step
from triptych.sampling.solvers.base import PutBack, Velocity

__all__ = ["euler"]


def euler(
    velocity: Velocity,
    put_back: PutBack,  # noqa: ARG001
    tokens: Float[Tensor, "batch target channels"],
    t: float,
    t_next: float,
) -> tuple[Float[Tensor, "batch target channels"], Float[Tensor, "batch target channels"]]:
    """See `Step`."""
    field = velocity(tokens, t, t_next)
    return euler_step(tokens, field, t, t_next), data_from_velocity(tokens, field, t)
