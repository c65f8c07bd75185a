"""The state of a pretraining run on disk: weights, their moving average and optimizers, written atomically."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Optimizer

from triptych.errors import TrainingError
from triptych.files import write_atomic

__all__ = ["read_state", "write_state"]

_KEPT = 2


def _flat_optimizer(optimizer: Optimizer, prefix: str) -> dict[str, Tensor]:
    return {
        f"{prefix}.{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }


def _load_optimizer(optimizer: Optimizer, prefix: str, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"{prefix}."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def write_state(
    folder: Path,
    *,
    step: int,
    weights: dict[str, Tensor],
    average: dict[str, Tensor],
    optimizers: dict[str, Optimizer],
    generator: torch.Generator,
    facts: Mapping[str, object],
) -> Path:
    """Write `state-<step>.safetensors` into `folder`; the newest two are kept."""
    tensors = {f"weights.{name}": value for name, value in weights.items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for name, optimizer in optimizers.items():
        tensors |= _flat_optimizer(optimizer, name)
    tensors["generator"] = generator.get_state()
    tensors = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    path = folder / f"state-{step:08d}.safetensors"
    write_atomic(path, save(tensors, metadata={"step": str(step), "facts": json.dumps(facts, sort_keys=True)}))
    for old in sorted(folder.glob("state-*.safetensors"))[:-_KEPT]:
        old.unlink()
    return path


def read_state(
    folder: Path,
    *,
    weights: torch.nn.Module,
    average: torch.nn.Module,
    optimizers: dict[str, Optimizer],
    generator: torch.Generator,
) -> int:
    """Load the newest whole state of `folder` in place and return its step; 0 when there is none.

    Raises TrainingError when states are there and none can be read.
    """
    paths = sorted(folder.glob("state-*.safetensors"), reverse=True)
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                step = int((file.metadata() or {})["step"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, OSError):
            continue
        for module, prefix in ((weights, "weights."), (average, "average.")):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        for name, optimizer in optimizers.items():
            _load_optimizer(optimizer, name, tensors)
        generator.set_state(tensors["generator"])
        return step
    if paths:
        raise TrainingError(f"none of the {len(paths)} states in {folder} can be read; remove them to start over.")
    return 0
