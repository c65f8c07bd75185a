"""Heun's method: the mean of the velocities at both ends of the step (Karras et al. 2022, arXiv:2206.00364, alg. 1)."""

from jaxtyping import Float
from torch import Tensor

from triptych.flow import data_from_velocity, euler_step
from triptych.sampling.solvers.base import PutBack, Velocity

__all__ = ["heun"]


def heun(
    velocity: Velocity,
    put_back: PutBack,
    tokens: Float[Tensor, "batch target channels"],
    t: float,
    t_next: float,
) -> tuple[Float[Tensor, "batch target channels"], Float[Tensor, "batch target channels"]]:
    """See `Step`. The step to noise level 0 is Euler's: there is no velocity at 0."""
    field = velocity(tokens, t, t)
    moved, clean = euler_step(tokens, field, t, t_next), data_from_velocity(tokens, field, t)
    if t_next == 0:
        return moved, clean
    mean = (field + velocity(put_back(moved, t_next), t_next, t_next)) / 2
    return euler_step(tokens, mean, t, t_next), data_from_velocity(tokens, mean, t)
