"""What changes while a skill is trained: adapter, optimizer, moving average, and how they are saved and put back."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from triptych.training.checkpoint import Checkpoint, Identity
from triptych.training.optimizers import flat_state, load_flat_state, show_average

__all__ = ["TrainingState"]


class TrainingState:
    """Adapter parameters by key, their optimizer, and the average of their values (empty where none is kept)."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], optimizer: Optimizer, *, ema: float) -> None:
        self.parameters, self.optimizer, self.ema = parameters, optimizer, ema
        self._begun = self._copies()
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
        """Keep what `undo` puts back: copied into the same memory every time, so that it costs little."""
        tensors, values = self._changing()
        if self._kept.keys() != tensors.keys():
            self._kept = {name: torch.empty_like(value) for name, value in tensors.items()}
        torch._foreach_copy_([self._kept[name] for name in tensors], list(tensors.values()))
        self._values = values

    @torch.no_grad()
    def undo(self) -> None:
        """Be as at the last `remember`, bit for bit."""
        for name, parameter in self.parameters.items():
            parameter.copy_(self._kept[f"adapter.{name}"])
        state = {name.removeprefix("optimizer."): v for name, v in self._kept.items() if name.startswith("optimizer.")}
        load_flat_state(self.optimizer, state, self._values)

    def _changing(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a step changes, without copying it: tensors, and the optimizer's plain values."""
        tensors, values = flat_state(self.optimizer)
        flat = {f"adapter.{name}": value.detach() for name, value in self.parameters.items()}
        return flat | {f"optimizer.{name}": value for name, value in tensors.items()}, copy.deepcopy(values)

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

    @contextmanager
    def as_begun(self) -> Iterator[None]:
        """Inside the `with`, the parameters have the values from before the first step."""
        kept = self._copies()
        self._put(self._begun)
        try:
            yield
        finally:
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
        return Checkpoint(
            step=self.step, tensors=flat, identity=identity, values={"optimizer": values, "spans": self.spans}
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Be as at `checkpoint`."""
        self.step = checkpoint.step
        self.spans = list(checkpoint.values.get("spans", self.spans))
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
