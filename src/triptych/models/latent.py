"""What all families of latent diffusion transformers share: codec, schedule and where tensors live."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.models.cache_utils import CacheMixin
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor, nn

from triptych.models.backbone import Card, Conditions, Context, Grid, Keeps, Targets, Text
from triptych.models.codecs import Codec
from triptych.models.sharing import Shared
from triptych.prompts import Prompt

__all__ = [
    "LatentBackbone",
    "SeeingBackbone",
    "all_positions",
    "distilled_guidance",
    "guided",
    "guided_within",
    "linear_mu",
    "positions",
]


class LatentBackbone(ABC):
    """Codec, schedule and devices of a backbone; a family adds text and the velocity field."""

    def __init__(
        self, *, card: Card, transformer: nn.Module, codec: Codec, scheduler: FlowMatchEulerDiscreteScheduler
    ) -> None:
        self.card = card
        self.codec = codec
        self.shared = Shared()
        # Their configurations are read by attribute, which diffusers' types do not know of.
        self._transformer: Any = transformer
        self._scheduler: Any = scheduler
        self._device: torch.device | None = None
        self._cached: Context | None = None
        self._rungs: list[Callable[[], str]] = []
        self._on_steps: Callable[[int], None] | None = None

    @property
    def transformer(self) -> Any:
        """The diffusers module that skills adapt."""
        return self._transformer

    @property
    def device(self) -> torch.device:
        """Where it computes; weights that are offloaded wait elsewhere."""
        return self._device or next(self._transformer.parameters()).device

    def runs_on(self, device: torch.device) -> None:
        """Say where inputs go, for a backbone whose weights come and go."""
        self._device = device

    @property
    def dtype(self) -> torch.dtype:
        # Quantised weights are integers; the norms and biases beside them keep the type that tensors come in.
        kinds = (p.dtype for p in self._transformer.parameters() if p.is_floating_point() and p.dtype.itemsize > 1)
        return next(kinds)

    def set_relief(self, rungs: Sequence[Callable[[], str]]) -> None:
        """What to do when memory runs out, the mildest first; each says what it did."""
        self._rungs = list(rungs)

    def relieve(self) -> str | None:
        """As in `Relieves`."""
        return self._rungs.pop(0)() if self._rungs else None

    def when_scheduled(self, then: Callable[[int], None]) -> None:
        """Call `then` with the number of steps whenever a schedule is made: some step caches count them."""
        self._on_steps = then

    def encode_images(
        self, images: Float[Tensor, "batch colours height width"]
    ) -> Float[Tensor, "batch tokens channels"]:
        """Pictures in [-1, 1] to tokens in row order. Nothing is kept; gradients flow to `images`."""
        return self.codec.encode(images).to(self.dtype)

    def decode_images(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch colours height width"]:
        """Tokens to pictures, clamped to [-1, 1]."""
        return self.codec.decode(tokens, grid).clamp(-1, 1)

    @abstractmethod
    def encode_prompts(self, prompts: Sequence[Prompt], frames: Sequence[int]) -> Text:
        """As in `Backbone`."""

    @abstractmethod
    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        """As in `Backbone`."""

    @property
    def keeps(self) -> Keeps:
        """As in `Backbone`; most families keep nothing but encodings."""
        return Keeps.NOTHING

    def remember(self, text: Text, conditions: Conditions | None, *, guidance: float | None) -> Tensor | None:  # noqa: ARG002
        """As in `Backbone`."""
        return None

    @abstractmethod
    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`."""

    def step_cache(self, context: Context, *, negative: bool = False) -> AbstractContextManager[object]:
        """The surroundings in which diffusers' step caches tell the passes of a step apart, and pages from each other.

        What they kept of another context is cleared: runs may take turns.
        """
        transformer = self._transformer
        if not isinstance(transformer, CacheMixin):
            return nullcontext()
        if transformer.is_cache_enabled and self._cached is not context:
            transformer._reset_stateful_cache()
            self._cached = context
        return transformer.cache_context("uncond" if negative else "cond")

    def passes(self, context: Context, run: Callable[[Context], Tensor]) -> Callable[[Context, bool], Tensor]:
        """`run` as `guided` calls it: what each pass reads, in surroundings of the step cache of its own."""

        def one_pass(read: Context, negative: bool) -> Tensor:
            with self.step_cache(context, negative=negative):
                return run(read)

        return one_pass

    def _levels(self, steps: int, *, mu: float | None, sigmas: Sequence[float] | None = None) -> tuple[float, ...]:
        """The checkpoint's own scheduler on `sigmas`, or else on evenly spaced noise levels."""
        if self._on_steps is not None:
            self._on_steps(steps)
        even = np.linspace(1.0, 1 / steps, steps)
        return self._spaced(sigmas=list(sigmas or even.tolist()), mu=mu)

    def _spaced(self, **how: Any) -> tuple[float, ...]:
        """Noise levels as the checkpoint's scheduler spaces them; the scheduler itself stays as it is."""
        scheduler = copy.copy(self._scheduler)
        scheduler.set_timesteps(**how)
        return tuple(scheduler.sigmas.tolist())


class SeeingBackbone(LatentBackbone):
    """One whose text encoder sees the conditions too."""

    def encode_prompts(self, prompts: Sequence[Prompt], frames: Sequence[int]) -> Text:
        """As `encode_prompts_with_images` for pages without conditions."""
        return self.encode_prompts_with_images(prompts, frames, [[]] * len(prompts))

    @abstractmethod
    def encode_prompts_with_images(
        self, prompts: Sequence[Prompt], frames: Sequence[int], images: Sequence[Sequence[Image]]
    ) -> Text:
        """As in `ReadsConditions`."""


def guided(context: Context, velocity: Callable[[Context, bool], Tensor]) -> Tensor:
    """Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598) where the context asks for it.

    `velocity` is told whether it is the second pass.
    """
    asked = velocity(context, False)
    if context.negative is None or context.guidance is None:
        return asked
    unasked = velocity(context.negative, True)
    return unasked + context.guidance * (asked - unasked)


def guided_within(context: Context, velocity: Callable[[Context, bool], Tensor]) -> Tensor:
    """As `guided`, by the correction of Qwen-Image: guidance may turn a token's velocity, not lengthen it."""
    asked = velocity(context, False)
    if context.negative is None or context.guidance is None:
        return asked
    unasked = velocity(context.negative, True)
    turned = unasked + context.guidance * (asked - unasked)
    return turned * (asked.norm(dim=-1, keepdim=True) / turned.norm(dim=-1, keepdim=True))


def distilled_guidance(backbone: LatentBackbone, guidance: float | None, rows: int) -> Float[Tensor, " batch"] | None:
    """The guidance scale that guidance-distilled transformers read; None for the others."""
    if not backbone.transformer.config.guidance_embeds:
        return None
    scale = backbone.card.guidance if guidance is None else guidance
    return torch.full((rows,), 1.0 if scale is None else scale, device=backbone.device)


def all_positions(grids: Sequence[Grid], *, axes: int) -> Float[Tensor, "tokens axes"]:
    """`positions` of every grid at its own frame, one behind the other."""
    places = [positions(grid, frame=grid.frame, axes=axes) for grid in grids]
    return torch.cat(places) if places else torch.zeros(0, axes)


def linear_mu(tokens: int, config: Mapping[str, Any]) -> float:
    """The time shift of FLUX.1 and Qwen-Image: linear in the number of tokens (arXiv:2403.03206, section 5.3.2)."""
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    start, end = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return start + (end - start) * (tokens - low) / (high - low)


def positions(grid: Grid, *, frame: int, axes: int, row: int = 0, column: int = 0) -> Float[Tensor, "tokens axes"]:
    """(frame, row, column, 0...) of every token in row order; `row` and `column` are those of the first."""
    places = torch.zeros(grid.rows, grid.columns, axes)
    places[..., 0] = frame
    places[..., 1] = torch.arange(row, row + grid.rows)[:, None]
    places[..., 2] = torch.arange(column, column + grid.columns)[None, :]
    return places.flatten(0, 1)
