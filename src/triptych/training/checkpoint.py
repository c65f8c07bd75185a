"""Checkpoints of a run: one file each, written whole, and what must match for a run to be resumed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from triptych.errors import TrainingError
from triptych.files import write_atomic
from triptych.skill import payload_sha256

__all__ = ["Checkpoint", "Identity", "newest_checkpoint", "write_checkpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What must be the same for a run to go on."""

    recipe: Mapping[str, Any]
    pages: Mapping[str, str]
    """SHA-256 of every training page by its name."""
    backbone: str
    pages_per_step: int

    def values(self) -> dict[str, Any]:
        """The recipe's values by dotted key; the digest of a skill that the run began from is none of them."""
        return {key: value for key, value in _dotted(self.recipe).items() if key != "start"}

    def refuse_changes(self, now: "Identity") -> None:
        """Raise TrainingError naming what differs in `now`."""
        changed = [f"recipe key {key}" for key in _differing(_dotted(self.recipe), _dotted(now.recipe))]
        changed += [f"page {name}" for name in _differing(self.pages, now.pages)]
        if list(self.pages) != list(now.pages) and not changed:
            changed.append("the order of the pages")
        if self.backbone != now.backbone:
            changed.append("the backbone's weights")
        if self.pages_per_step != now.pages_per_step:
            changed.append(f"pages in a step ({self.pages_per_step} then, {now.pages_per_step} now)")
        if changed:
            more = f" and {len(changed) - 6} more" if len(changed) > 6 else ""
            raise TrainingError(
                f"the run cannot be resumed, because it would not be the same run: "
                f"changed {', '.join(changed[:6])}{more}. Change it back, or start another run."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state after `step` steps."""

    step: int
    tensors: Mapping[str, Tensor]
    identity: Identity
    values: Mapping[str, Any]
    """State other than tensors."""

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix.`, without it."""
        return {
            name.removeprefix(f"{prefix}."): value
            for name, value in self.tensors.items()
            if name.startswith(f"{prefix}.")
        }


def write_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Write `step-<step>.safetensors`, whole or not at all, then remove all but the newest `keep`."""
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in checkpoint.tensors.items()}
    identity = checkpoint.identity
    facts = {
        "step": checkpoint.step,
        "recipe": dict(identity.recipe),
        "pages": dict(identity.pages),
        "backbone": identity.backbone,
        "pages_per_step": identity.pages_per_step,
        "values": dict(checkpoint.values),
    }
    metadata = {"facts": json.dumps(facts), "sha256": payload_sha256(save(tensors))}
    path = folder / f"step-{checkpoint.step:08d}.safetensors"
    write_atomic(path, save(tensors, metadata=metadata))
    for old in _paths(folder)[keep:]:
        old.unlink()
    return path


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, tuple[Path, ...]]:
    """The newest whole checkpoint, and newer ones that are damaged; None where there is no file at all.

    Raises TrainingError when there are checkpoints and all are damaged.
    """
    damaged: list[Path] = []
    for path in _paths(folder):
        checkpoint = _read(path)
        if checkpoint is not None:
            return checkpoint, tuple(damaged)
        damaged.append(path)
    if damaged:
        raise TrainingError(f"all {len(damaged)} checkpoints in {folder} are damaged. Remove them to start over.")
    return None, ()


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _read(path: Path) -> Checkpoint | None:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("sha256") != payload_sha256(path.read_bytes()):
            return None
        facts = json.loads(metadata["facts"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    identity = Identity(
        recipe=facts["recipe"],
        pages=facts["pages"],
        backbone=facts["backbone"],
        pages_per_step=facts["pages_per_step"],
    )
    return Checkpoint(step=facts["step"], tensors=tensors, identity=identity, values=facts["values"])


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*then, *now)):
        if key not in now:
            yield f"{key} (gone)"
        elif key not in then:
            yield f"{key} (new)"
        elif then[key] != now[key]:
            short = all(len(str(value)) <= 24 for value in (then[key], now[key]))
            yield f"{key} ({then[key]} then, {now[key]} now)" if short else key


def _dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
