"""What changes while a skill is trained: adapter, optimizer, moving average, and how they are saved and put back."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from triptych.training.checkpoint import Checkpoint, Identity
from triptych.training.optimizers import flat_state, load_flat_state, show_average

__all__ = ["Snapshot", "TrainingState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A copy to go back to."""

    parameters: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]


class TrainingState:
    """Adapter parameters by key, their optimizer, and the average of their values (empty where none is kept)."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], optimizer: Optimizer, *, ema: float) -> None:
        self.parameters, self.optimizer, self.ema = parameters, optimizer, ema
        self.step = 0
        self.average = {name: value.detach().clone() for name, value in parameters.items()} if ema else {}

    def snapshot(self) -> Snapshot:
        return Snapshot(parameters=self._copies(), optimizer=copy.deepcopy(self.optimizer.state_dict()))

    def restore(self, snapshot: Snapshot) -> None:
        """Be as at `snapshot`, bit for bit."""
        self._put(snapshot.parameters)
        self.optimizer.load_state_dict(dict(snapshot.optimizer))

    @property
    def is_finite(self) -> bool:
        return all(bool(value.isfinite().all()) for value in self.parameters.values())

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average; at first faster, so that it does not remember the beginning."""
        decay = min(self.ema, (self.step + 1) / (self.step + 10))
        for name, value in self.average.items():
            value.lerp_(self.parameters[name].to(value), 1 - decay)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Inside the `with`, the parameters have the values that a skill is saved with."""
        kept = self._copies()
        show_average(self.optimizer, shown=True)
        if self.average:
            self._put(self.average)
        try:
            yield
        finally:
            show_average(self.optimizer, shown=False)
            # The way there and back is not exact in every optimizer.
            self._put(kept)

    def checkpoint(self, identity: Identity) -> Checkpoint:
        """All that is needed to go on to the same weights."""
        tensors, values = flat_state(self.optimizer)
        flat = {f"adapter.{name}": value.detach() for name, value in self.parameters.items()}
        flat |= {f"average.{name}": value for name, value in self.average.items()}
        flat |= {f"optimizer.{name}": value for name, value in tensors.items()}
        flat["generator.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            flat["generator.cuda"] = torch.cuda.get_rng_state()
        return Checkpoint(step=self.step, tensors=flat, identity=identity, values={"optimizer": values})

    def resume(self, checkpoint: Checkpoint) -> None:
        """Be as at `checkpoint`."""
        self.step = checkpoint.step
        self._put(checkpoint.part("adapter"))
        for name, value in checkpoint.part("average").items():
            self.average[name].copy_(value)
        load_flat_state(self.optimizer, checkpoint.part("optimizer"), checkpoint.values["optimizer"])
        generators = checkpoint.part("generator")
        torch.set_rng_state(generators["cpu"])
        if "cuda" in generators and torch.cuda.is_available():
            torch.cuda.set_rng_state(generators["cuda"])

    def _copies(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.parameters.items()}

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
