"""The pocket transformer: FLUX.2's own blocks at small size, predicting the clean image and answering with velocity."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import torch
from diffusers import Flux2Transformer2DModel
from diffusers.models.transformers.transformer_flux2 import (
    Flux2Attention,
    Flux2KVCache,
    Flux2ParallelSelfAttention,
    Flux2Transformer2DModelOutput,
)
from jaxtyping import Float
from torch import Tensor

from triptych.flow import velocity_from_data
from triptych.models.pocket.attention import PocketAttnProcessor, PocketParallelAttnProcessor

__all__ = ["PLACE_FEATURES", "PocketTransformer", "References"]

_PLACE_PERIODS = (4.0, 8.0, 16.0, 32.0)
PLACE_FEATURES = 4 * len(_PLACE_PERIODS)
"""Sines and cosines of a token's row and column, which stand beside its channels."""

References: TypeAlias = Flux2KVCache
"""Keys and values of the references in every block."""

FIRST_REFERENCE_FRAME = 10
"""References stand at 10, 20, ... on the first position axis, as FLUX.2's do; slots before them."""


def _with_places(
    tokens: Float[Tensor, "batch tokens channels"], places: Float[Tensor, "tokens 4"]
) -> Float[Tensor, "batch tokens wide"]:
    """The tokens, and where they stand in their picture.

    Rotary positions tell how far two tokens are apart; to mirror, turn, tile or zoom one must know where each stands,
    and products of these features match a place with its image under any such map.
    """
    periods = places.new_tensor(_PLACE_PERIODS)
    angles = (2 * torch.pi * places[:, 1:3, None] / periods).flatten(1)
    features = torch.cat((angles.sin(), angles.cos()), dim=1).to(tokens.dtype)
    return torch.cat((tokens, features.expand(len(tokens), -1, -1)), dim=2)


class PocketTransformer(Flux2Transformer2DModel):
    """A `Flux2Transformer2DModel` whose network predicts the clean tokens (Li and He 2025, arXiv:2511.13720).

    `forward` has the parent's signature and returns velocity, so diffusers' own FLUX.2 pipelines drive it as it is;
    `predict` returns the clean tokens, which is what the loss compares.
    """

    def use_reference_attention(self) -> None:
        """Let references attend only to themselves, so that their keys and values serve every step."""
        for module in self.modules():
            match module:
                case Flux2Attention():
                    module.set_processor(cast(Any, PocketAttnProcessor()))
                case Flux2ParallelSelfAttention():
                    module.set_processor(cast(Any, PocketParallelAttnProcessor()))

    def _network(self, tokens: Tensor, *, img_ids: Tensor, **others: Any) -> Flux2Transformer2DModelOutput:
        """The parent's forward on tokens that know their place."""
        # The parent's annotations ask for integer noise levels, its code does not.
        forward = cast(Callable[..., Flux2Transformer2DModelOutput], super().forward)
        return forward(_with_places(tokens, img_ids), img_ids=img_ids, **others)

    def predict(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        *,
        text: Float[Tensor, "batch length width"],
        text_positions: Float[Tensor, "length 4"],
        positions: Float[Tensor, "target 4"],
        references: Flux2KVCache | None = None,
    ) -> Float[Tensor, "batch target channels"]:
        """Clean tokens expected at noise level `t`, given the references' keys and values."""
        return self._network(
            tokens,
            encoder_hidden_states=text,
            timestep=t,
            img_ids=positions,
            txt_ids=text_positions,
            kv_cache=references,
            kv_cache_mode="cached" if references is not None else None,
        ).sample

    def encode_references(
        self, tokens: Float[Tensor, "batch reference channels"], positions: Float[Tensor, "reference 4"]
    ) -> Flux2KVCache:
        """Keys and values of clean tokens in every block. Gradients flow through them."""
        batch, length, _ = tokens.shape
        cache = self._network(
            tokens,
            encoder_hidden_states=tokens.new_zeros(batch, 0, self.context_embedder.in_features),
            timestep=tokens.new_zeros(batch),
            img_ids=positions,
            txt_ids=positions[:0],
            kv_cache_mode="extract",
            num_ref_tokens=length,
        ).kv_cache
        assert cache is not None
        return cache

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        timestep: Tensor,
        img_ids: Tensor,
        txt_ids: Tensor,
        guidance: Tensor | None = None,
        joint_attention_kwargs: Mapping[str, Any] | None = None,
        return_dict: bool = True,
        kv_cache: Flux2KVCache | None = None,
        kv_cache_mode: str | None = None,
        num_ref_tokens: int = 0,
        ref_fixed_timestep: float = 0.0,
    ) -> Flux2Transformer2DModelOutput | tuple[Tensor | Flux2KVCache, ...]:
        """Velocity of the target tokens; arguments and result as `Flux2Transformer2DModel.forward`.

        Called as the pipelines without a cache do, with clean references behind the targets, it gives them the
        attention they were trained with; their own velocity is zero.
        """
        places = img_ids[0] if img_ids.ndim == 3 else img_ids
        behind = int((places[:, 0] >= FIRST_REFERENCE_FRAME).sum()) if kv_cache_mode is None else 0
        tokens, mode, references = hidden_states, kv_cache_mode, num_ref_tokens
        if behind:
            tokens, places, mode, references = hidden_states.roll(behind, 1), places.roll(behind, 0), "extract", behind
        output = self._network(
            tokens,
            encoder_hidden_states=encoder_hidden_states,
            timestep=timestep,
            img_ids=places,
            txt_ids=txt_ids,
            guidance=guidance,
            joint_attention_kwargs=joint_attention_kwargs,
            kv_cache=kv_cache,
            kv_cache_mode=mode,
            num_ref_tokens=references,
            ref_fixed_timestep=ref_fixed_timestep,
        )
        targets = tokens[:, references:] if mode == "extract" else tokens
        sample = velocity_from_data(targets, output.sample, timestep.to(targets.dtype).view(-1, 1, 1))
        cache = output.kv_cache
        if behind:
            sample, cache = torch.cat((sample, torch.zeros_like(tokens[:, :behind])), dim=1), None
        if not return_dict:
            return (sample,) if cache is None else (sample, cache)
        return Flux2Transformer2DModelOutput(sample=sample, kv_cache=cache)
