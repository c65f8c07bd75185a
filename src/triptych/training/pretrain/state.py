"""States of pretraining runs as they were written before checkpoints: read, so that those runs go on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer

from triptych.errors import TrainingError
from triptych.training.checkpoint import Checkpoint, Identity
from triptych.training.optimizers import flat_state

__all__ = ["read_old_state"]


def read_old_state(
    folder: Path, optimizers: Mapping[str, Optimizer], *, trained: frozenset[str], fixed: frozenset[str]
) -> Checkpoint | None:
    """The newest whole `state-<step>.safetensors` of `folder` as a checkpoint; None where there is none.

    Of its weights those named by `trained` and `fixed` are taken. Its noise generator is not: noise is now drawn from
    the step. Raises TrainingError when states are there and none can be read.
    """
    paths = sorted(folder.glob("state-*.safetensors"), reverse=True)
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                facts = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step, told = int(facts["step"]), json.loads(facts.get("facts", "{}"))
        except (SafetensorError, KeyError, ValueError, OSError):
            continue
        kept = _chosen(tensors, "weights", trained) | _chosen(tensors, "average", trained)
        kept |= {f"fixed.{name}": tensors[f"weights.{name}"] for name in fixed}
        values: dict[str, Any] = {}
        for name, optimizer in optimizers.items():
            kept |= {key: value for key, value in tensors.items() if key.startswith(f"{name}.")}
            values[name] = {"groups": flat_state(optimizer)[1]["groups"], "state": {}}
        identity = Identity(recipe=told, pages={}, backbone="", pages_per_step=1)
        return Checkpoint(step=step, tensors=kept, identity=identity, values=values)
    if paths:
        raise TrainingError(f"none of the {len(paths)} states in {folder} can be read; remove them to start over.")
    return None


def _chosen(tensors: Mapping[str, Tensor], prefix: str, names: frozenset[str]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensors[f"{prefix}.{name}"] for name in names}
