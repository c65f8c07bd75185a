"""Solvers of the flow, one file each, and the loop over noise levels that they step through."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from triptych.conditioning import Solver
from triptych.sampling.solvers.base import Reached, Step, Velocity
from triptych.sampling.solvers.euler import euler
from triptych.sampling.solvers.heun import heun
from triptych.sampling.ways.base import Plan

__all__ = ["SOLVERS", "Reached", "denoise"]

SOLVERS: dict[Solver, Step] = {Solver.EULER: euler, Solver.HEUN: heun}


def denoise(
    velocity: Velocity, plan: Plan, levels: Sequence[float], solver: Solver = Solver.EULER
) -> Iterator[Reached]:
    """The state after each step from noise level to noise level; gradients flow where they are on."""
    tokens = plan.start
    for t, t_next in pairwise(levels):
        tokens, clean = SOLVERS[solver](velocity, plan.put_back, tokens, t, t_next)
        tokens = plan.put_back(tokens, t_next)
        yield Reached(t=t_next, tokens=tokens, clean=clean)
