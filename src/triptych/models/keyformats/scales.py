"""How strongly PEFT applies each layer of a LoRA: its configuration, inside the file or in a file beside it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, sqrt
from pathlib import Path

from triptych.errors import SkillError
from triptych.files import read_json
from triptych.skill import KEY_PREFIX

__all__ = ["PeftConfig", "find_peft_config"]

_FILE = "adapter_config.json"
_METADATA = "lora_adapter_metadata"
_UNREAD = {"use_dora": "DoRA", "use_qalora": "QA-LoRA", "lora_bias": "LoRA biases"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeftConfig:
    """Rank and alpha of a PEFT adapter, and of the layers that have their own; patterns are matched as PEFT does."""

    rank: float | None = None
    alpha: float | None = None
    rank_stabilised: bool = False
    ranks: Mapping[str, float] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    """Where it was found; empty where it was not, and every scale is 1."""

    def scale_of(self, name: str, rank: int) -> float:
        """What the product of B and A is multiplied by in the layer `name`, whose tensors have this rank.

        Raises SkillError where the tensors have another rank than the configuration says.
        """
        said = _matched(self.ranks, name, self.rank)
        if said is not None and said != rank:
            raise SkillError(
                f"{self.source} says rank {said:g} for {name}; its tensors have rank {rank}. They belong to "
                "different adapters: put the right file beside the LoRA, or take it away."
            )
        alpha = _matched(self.alphas, name, self.alpha)
        if alpha is None:
            return 1.0
        return alpha / (sqrt(rank) if self.rank_stabilised else rank)


def find_peft_config(path: Path, metadata: Mapping[str, str]) -> PeftConfig:
    """The configuration in the file's own metadata, as diffusers writes it, else in `adapter_config.json` beside it.

    Raises SkillError for one that cannot be read, or that asks for more than low-rank updates.
    """
    beside = path.with_name(_FILE)
    try:
        if metadata.get(_METADATA):
            config = json.loads(metadata[_METADATA])
            own = {key.removeprefix(KEY_PREFIX): value for key, value in config.items() if key.startswith(KEY_PREFIX)}
            return _parsed(own, f"{path}: its metadata {_METADATA}")
        if beside.is_file():
            return _parsed(read_json(beside, error=SkillError), str(beside))
    except (ValueError, TypeError, AttributeError, re.error) as error:
        where = f"the metadata {_METADATA} of {path}" if metadata.get(_METADATA) else str(beside)
        raise SkillError(f"{where} cannot be read: {error}. Save the adapter again with PEFT or diffusers.") from error
    return PeftConfig()


def _parsed(config: Mapping[str, object], source: str) -> PeftConfig:
    for key, what in _UNREAD.items():
        if config.get(key):
            raise SkillError(
                f"{source} asks for {what} ({key}), which skills cannot hold. Merge or retrain it as LoRA."
            )
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise SkillError(f"{source} describes an adapter of type {kind}; only LORA can become a skill.")
    return PeftConfig(
        rank=None if config.get("r") is None else _number(config["r"]),
        alpha=None if config.get("lora_alpha") is None else _number(config["lora_alpha"]),
        rank_stabilised=bool(config.get("use_rslora")),
        ranks=_patterns(config.get("rank_pattern")),
        alphas=_patterns(config.get("alpha_pattern")),
        source=source,
    )


def _patterns(values: object) -> dict[str, float]:
    if not values:
        return {}
    if not isinstance(values, dict):
        raise TypeError(f"{values!r} is not a table of patterns")
    for pattern in values:
        re.compile(pattern)
    return {str(pattern).removeprefix(KEY_PREFIX): _number(value) for pattern, value in values.items()}


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError(f"{value!r} is not a positive number")
    return float(value)


def _matched(patterns: Mapping[str, float], name: str, default: float | None) -> float | None:
    """The value of the first pattern that is the end of `name`; see `peft.utils.other.get_pattern_key`."""
    return next((value for pattern, value in patterns.items() if re.fullmatch(rf"(.*\.)?({pattern})", name)), default)
