"""How a backbone is loaded: one frozen value."""

from dataclasses import dataclass
from enum import StrEnum

import torch

from triptych.errors import BackboneError

__all__ = ["LoadOptions", "Offload", "Quantise", "References", "StepCache", "Training"]


_COMPUTES = (torch.float32, torch.bfloat16, torch.float16)


class Quantise(StrEnum):
    """How the weights of the transformer and the text encoder are stored."""

    NONE = "none"
    INT8 = "int8"
    """torchao, weights only: about half of bf16, errors hard to see."""
    FP8 = "fp8"
    """torchao, weights only: the same size, other rounding; computes in bf16."""
    NF4 = "nf4"
    """bitsandbytes: about 0.28 of bf16, errors to be seen in fine detail; CUDA only."""

    @property
    def bits(self) -> float:
        """Bits a weight, with the scales."""
        return {"none": 16.0, "int8": 8.25, "fp8": 8.25, "nf4": 4.5}[self.value]


class Offload(StrEnum):
    """What waits in main memory."""

    NONE = "none"
    PARTS = "parts"
    """Text encoder, transformer and codec take turns on the device: a few seconds a page."""
    LAYERS = "layers"
    """Even the transformer comes block by block: fits nearly anywhere, several times slower."""


class References(StrEnum):
    """How FLUX.2 sees references."""

    JOINT = "joint"
    """As dev and klein were trained: at the slots' noise level, attending to everything, in every step."""
    ALONE = "alone"
    """As klein-KV was trained: at t = 0, attending only to themselves, so that their keys and values serve all
    steps. On dev and klein this is an approximation."""


class StepCache(StrEnum):
    """Approximations that leave out work between steps; the picture changes. Off unless asked for."""

    NONE = "none"
    FIRST_BLOCK = "first-block"
    TAYLORSEER = "taylorseer"
    MAGCACHE = "magcache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a step of training needs, for the choice of how to load."""

    step_bytes: int
    """Beside the transformer's weights: adapter, optimizer, activations."""
    recomputes: bool
    """Activations are recomputed for the gradients (checkpointing); without it, blocks cannot come one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """None means: choose from the device and its free memory, and say why."""

    device: str | None = None
    dtype: torch.dtype | None = None
    quantise: Quantise | None = None
    offload: Offload | None = None
    compile: bool = False
    """Compile the repeated blocks: the first page waits a minute, the others are 1.2 to 2 times faster."""
    references: References | None = None
    """FLUX.2 only: `References.ALONE` on dev or klein caches the conditions, which is an approximation there."""
    step_cache: StepCache = StepCache.NONE
    step_cache_threshold: float = 0.05
    """Relative change of the first block below which a step is left out (first-block, MagCache)."""
    base: str | None = None
    """For a single file, which holds only a transformer: the folder or name of the checkpoint for the other parts."""

    training: Training | None = None
    """Choose for training in place of sampling."""

    def __post_init__(self) -> None:
        if self.dtype not in (None, *_COMPUTES):
            names = ", ".join(str(each).removeprefix("torch.") for each in _COMPUTES)
            raise BackboneError(
                f"dtype {self.dtype} is not one that backbones compute in: {names}. For weights in fewer bits choose "
                "`quantise`."
            )
        if not 0 < self.step_cache_threshold < 1:
            raise BackboneError(f"step_cache_threshold is {self.step_cache_threshold}; it must lie between 0 and 1.")
