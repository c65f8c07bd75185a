"""What a training changes: weights, optimizers, moving average, and how they are saved and restored."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from triptych.training.checkpoint import Checkpoint, Identity
from triptych.training.optimizers import flat_state, load_flat_state, show_average, to_weights

__all__ = ["TrainingState"]

_WEIGHTS = "weights"


class TrainingState:
    """Parameters by key, their optimizers by name, and the average of their values (empty where none is kept).

    `fixed` are tensors that no step changes and that a resumed run must have all the same. With `can_undo` a step
    costs one more copy of what it changes; with `keeps_beginning` the first values are kept for `as_begun`.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        optimizers: Mapping[str, Optimizer],
        *,
        ema: float,
        fixed: Mapping[str, Tensor] | None = None,
        can_undo: bool = False,
        keeps_beginning: bool = False,
    ) -> None:
        self.parameters, self.optimizers, self.ema = parameters, optimizers, ema
        self.can_undo, self.fixed = can_undo, fixed or {}
        self._begun = self._copies() if keeps_beginning else {}
        self._kept: dict[str, Tensor] = {}
        self._values: dict[str, Any] = {}
        self.step = 0
        self.spans: list[int] = []
        """Steps planned at first, and those added each time that the run was made longer."""
        self.average = {name: value.detach().clone() for name, value in parameters.items()} if ema else {}

    @property
    def steps(self) -> int:
        """All steps planned."""
        return sum(self.spans)

    @torch.no_grad()
    def remember(self) -> None:
        """Keep what `undo` puts back, where it can: copied into the same memory every time, so that it costs little."""
        if not self.can_undo:
            return
        tensors, values = self._changing()
        if self._kept.keys() != tensors.keys():
            self._kept = {name: torch.empty_like(value) for name, value in tensors.items()}
        torch._foreach_copy_([self._kept[name] for name in tensors], list(tensors.values()))
        self._values = values

    @torch.no_grad()
    def undo(self) -> None:
        """Return to the last `remember`, bit for bit."""
        self._put(_part(self._kept, _WEIGHTS))
        for name, optimizer in self.optimizers.items():
            load_flat_state(optimizer, _part(self._kept, name), self._values[name])

    def _changing(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a step changes, without copying it: tensors, and the optimizers' plain values."""
        flat = {f"{_WEIGHTS}.{name}": value.detach() for name, value in self.parameters.items()}
        plain: dict[str, Any] = {}
        for name, optimizer in self.optimizers.items():
            tensors, values = flat_state(optimizer)
            flat |= {f"{name}.{key}": value for key, value in tensors.items()}
            plain[name] = copy.deepcopy(values)
        return flat, plain

    def gather(self) -> None:
        """Before a step: what the optimizers know of a weight is where the weight is."""
        for optimizer in self.optimizers.values():
            to_weights(optimizer)

    @property
    def is_finite(self) -> bool:
        by_device: dict[torch.device, list[Tensor]] = {}
        for value in self.parameters.values():
            by_device.setdefault(value.device, []).append(value.isfinite().all())
        return all(bool(torch.stack(flags).all()) for flags in by_device.values())

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average; at first faster, so that it does not remember the beginning."""
        decay = min(self.ema, (self.step + 1) / (self.step + 10))
        for name, value in self.average.items():
            value.lerp_(self.parameters[name].to(value), 1 - decay)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Inside the `with`, the parameters have the values that are released."""
        kept = self._copies()
        for optimizer in self.optimizers.values():
            show_average(optimizer, shown=True)
        if self.average:
            self._put(self.average)
        try:
            yield
        finally:
            for optimizer in self.optimizers.values():
                show_average(optimizer, shown=False)
            # The way there and back is not exact in every optimizer.
            self._put(kept)

    @contextmanager
    def as_begun(self) -> Iterator[None]:
        """Inside the `with`, the parameters have the values from before the first step."""
        assert self._begun, "the beginning was not kept"
        with self.holding(self._begun):
            yield

    @contextmanager
    def holding(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """Inside the `with`, the parameters have these values."""
        kept = self._copies()
        self._put(values)
        try:
            yield
        finally:
            self._put(kept)

    def checkpoint(self, identity: Identity) -> Checkpoint:
        """All that is needed to go on to the same weights."""
        flat, values = self._changing()
        flat |= {f"average.{name}": value for name, value in self.average.items()}
        flat |= {f"fixed.{name}": value for name, value in self.fixed.items()}
        flat["generator.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            flat["generator.cuda"] = torch.cuda.get_rng_state()
        return Checkpoint(step=self.step, tensors=flat, identity=identity, values=values | {"spans": self.spans})

    def resume(self, checkpoint: Checkpoint) -> None:
        """Return to `checkpoint`."""
        self.step = checkpoint.step
        self.spans = list(checkpoint.values.get("spans", self.spans))
        # As skills named their weights at first.
        self._put(checkpoint.part(_WEIGHTS) or checkpoint.part("adapter"))
        with torch.no_grad():
            for kept, now in (("average", self.average), ("fixed", self.fixed)):
                for name, value in checkpoint.part(kept).items():
                    now[name].copy_(value)
        for name, optimizer in self.optimizers.items():
            load_flat_state(optimizer, checkpoint.part(name), checkpoint.values[name])
        generators = checkpoint.part("generator")
        if "cpu" in generators:
            torch.set_rng_state(generators["cpu"])
        if "cuda" in generators and torch.cuda.is_available():
            torch.cuda.set_rng_state(generators["cuda"])

    def _copies(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.parameters.items()}

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): v for name, v in tensors.items() if name.startswith(f"{prefix}.")}
