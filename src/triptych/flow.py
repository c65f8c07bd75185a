"""Rectified-flow algebra as pure functions. The convention for `t` is written here and nowhere else.

`t` is a noise level in [0, 1]: 0 is data, 1 is noise. A noisy sample lies on the straight line
`x_t = (1 - t) * data + t * noise` and its velocity is `noise - data`
(Liu et al. 2022, arXiv:2209.03003, eq. 1, with time reversed as in Esser et al. 2024, arXiv:2403.03206).
"""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "data_from_velocity",
    "euler_step",
    "interpolate",
    "logit_normal",
    "uniform_schedule",
    "velocity",
    "velocity_from_data",
]


def interpolate(
    data: Float[Tensor, "..."], noise: Float[Tensor, "..."], t: Float[Tensor, "..."] | float
) -> Float[Tensor, "..."]:
    """The sample at noise level `t`; `t` broadcasts against `data`."""
    return (1 - t) * data + t * noise


def velocity(data: Float[Tensor, "..."], noise: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """d x_t / d t: constant along the line."""
    return noise - data


def velocity_from_data(
    sample: Float[Tensor, "*shape"], data: Float[Tensor, "*shape"], t: Float[Tensor, "..."] | float
) -> Float[Tensor, "*shape"]:
    """Velocity at `sample` of the line that ends in `data`; `t` must be above 0."""
    return (sample - data) / t


def data_from_velocity(
    sample: Float[Tensor, "*shape"], field: Float[Tensor, "*shape"], t: Float[Tensor, "..."] | float
) -> Float[Tensor, "*shape"]:
    """Where the line through `sample` with velocity `field` meets t = 0."""
    return sample - t * field


def euler_step(
    sample: Float[Tensor, "*shape"], field: Float[Tensor, "*shape"], t: float, t_next: float
) -> Float[Tensor, "*shape"]:
    """One solver step from `t` to `t_next`."""
    return sample + (t_next - t) * field


def uniform_schedule(steps: int) -> tuple[float, ...]:
    """`steps` + 1 noise levels from 1 down to 0, evenly spaced."""
    if steps < 1:
        raise ValueError(f"steps is {steps}; a schedule needs at least 1.")
    return tuple(1 - i / steps for i in range(steps + 1))


def logit_normal(
    count: int, *, mean: float, std: float, generator: torch.Generator | None = None
) -> Float[Tensor, " count"]:
    """Noise levels drawn as sigmoid(mean + std * normal) (arXiv:2403.03206, section 3.1)."""
    return torch.sigmoid(mean + std * torch.randn(count, generator=generator))
