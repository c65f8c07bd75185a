"""Optimizers and learning rates of an adapter, and their state as tensors and plain values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from prodigyopt import Prodigy
from schedulefree import AdamWScheduleFree
from torch import Tensor, nn
from torch.optim import Optimizer

from triptych.training.recipe import Decay, OptimizerKind, OptimizerRecipe

__all__ = [
    "flat_state",
    "load_flat_state",
    "make_optimizer",
    "rate_share",
    "set_rate",
    "show_average",
    "span_of",
    "to_weights",
]


def make_optimizer(parameters: Mapping[str, nn.Parameter], recipe: OptimizerRecipe) -> Optimizer:
    """Two groups: all A, and all B at `b_ratio` times their learning rate."""
    sides = {side: [value for name, value in parameters.items() if f".lora_{side}." in name] for side in "AB"}
    groups = [{"params": sides["A"], "ratio": 1.0}, {"params": sides["B"], "ratio": recipe.b_ratio}]
    rate = recipe.learning_rate
    for group in groups:
        group["lr"] = rate * group["ratio"]
    match recipe.kind:
        case OptimizerKind.ADAMW:
            return torch.optim.AdamW(groups, lr=rate, betas=recipe.betas, weight_decay=recipe.weight_decay)
        case OptimizerKind.PRODIGY:
            # Its annotation says int; its arithmetic takes any number.
            decay = recipe.weight_decay
            return Prodigy(groups, lr=rate, betas=recipe.betas, weight_decay=decay)  # pyright: ignore[reportArgumentType]
        case OptimizerKind.SCHEDULE_FREE:
            made = AdamWScheduleFree(groups, lr=rate, betas=recipe.betas, weight_decay=recipe.weight_decay)
            made.train()
            return made


def rate_share(step: int, steps: int, recipe: OptimizerRecipe) -> float:
    """The share of the full learning rate at `step`, counted from 0."""
    if step < recipe.warmup:
        return (step + 1) / (recipe.warmup + 1)
    done = (step - recipe.warmup) / max(1, steps - recipe.warmup)
    match recipe.decay:
        case Decay.NONE:
            return 1.0
        case Decay.LINEAR:
            return 1 - done
        case Decay.COSINE:
            return 0.5 * (1 + math.cos(math.pi * done))


def span_of(step: int, spans: Sequence[int]) -> tuple[int, int]:
    """The place of `step` in its span and the span's length: each span has a warm-up and a decay of its own.

    Loshchilov & Hutter 2017, arXiv:1608.03983: restarts.
    """
    for span in spans[:-1]:
        if step < span:
            return step, span
        step -= span
    return step, spans[-1]


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Give every group its own multiple of `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["ratio"]


def show_average(optimizer: Optimizer, *, shown: bool) -> None:
    """Schedule-free optimizers keep two sets of weights: one is trained at, the other is the result."""
    switch = getattr(optimizer, "eval" if shown else "train", None)
    if switch is not None:
        switch()


def flat_state(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The whole state: tensors by name, and the rest as values that JSON preserves exactly."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {"groups": state["param_groups"], "state": {}}
    for index, entry in state["state"].items():
        for name, value in entry.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                values["state"].setdefault(str(index), {})[name] = value
    for number, group in enumerate(state["param_groups"]):
        for name, value in list(group.items()):
            if isinstance(value, Tensor):
                tensors[f"group{number}.{name}"] = value
    values["groups"] = [{k: v for k, v in group.items() if not isinstance(v, Tensor)} for group in values["groups"]]
    return tensors, values


def load_flat_state(optimizer: Optimizer, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """The inverse of `flat_state`, in place."""
    state = {int(index): dict(entry) for index, entry in values["state"].items()}
    groups = [dict(group) for group in values["groups"]]
    for key, tensor in tensors.items():
        place, name = key.split(".", 1)
        if place.startswith("group"):
            groups[int(place.removeprefix("group"))][name] = tensor
        else:
            state.setdefault(int(place), {})[name] = tensor.clone()
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def to_weights(optimizer: Optimizer) -> None:
    """Bring the state of each weight to where the weight is: weights that take turns on a device were perhaps in main
    memory when the state was loaded, and are on the device when a step is taken."""
    for parameter, entry in optimizer.state.items():
        for name, value in entry.items():
            # Counts of steps, which have no dimensions, stay on the CPU.
            if isinstance(value, Tensor) and value.ndim and value.device != parameter.device:
                entry[name] = value.to(parameter.device)
