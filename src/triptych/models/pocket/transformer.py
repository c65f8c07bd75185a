"""The pocket transformer: FLUX.2's own blocks at small size, predicting the clean image and answering with velocity."""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import Flux2Transformer2DModel
from diffusers.models.transformers.transformer_flux2 import Flux2KVCache, Flux2Transformer2DModelOutput
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from triptych.flow import velocity_from_data
from triptych.models.pocket.attention import PocketAttnProcessor, PocketParallelAttnProcessor

__all__ = ["PocketTransformer", "repeat_references"]

FIRST_REFERENCE_FRAME = 10
"""References stand at 10, 20, ... on the first position axis, as FLUX.2's do; slots before them."""


def repeat_references(cache: Flux2KVCache, draws: int) -> Flux2KVCache:
    """Each page's keys and values `draws` times in a row, in place, for several noise levels of one page."""
    for layer in (*cache.double_block_caches, *cache.single_block_caches):
        key, value = layer.get()
        layer.store(repeat(key, "b ... -> (b k) ...", k=draws), repeat(value, "b ... -> (b k) ...", k=draws))
    return cache


class PocketTransformer(Flux2Transformer2DModel):
    """A `Flux2Transformer2DModel` whose network predicts the clean tokens (Li and He 2025, arXiv:2511.13720).

    `forward` has the parent's signature and returns velocity, so diffusers' own FLUX.2 pipelines drive it as it is;
    `predict` returns the clean tokens, which is what the loss compares.
    """

    def use_reference_attention(self) -> None:
        """Let references attend only to themselves, so that their keys and values serve every step."""
        for block in self.transformer_blocks:
            block.attn.set_processor(PocketAttnProcessor())
        for block in self.single_transformer_blocks:
            block.attn.set_processor(PocketParallelAttnProcessor())

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
        return super().forward(
            tokens,
            encoder_hidden_states=text,
            timestep=t,
            img_ids=positions,
            txt_ids=text_positions,
            kv_cache=references,
            kv_cache_mode="cached" if references is not None else None,
            return_dict=False,
        )[0]

    def encode_references(
        self, tokens: Float[Tensor, "batch reference channels"], positions: Float[Tensor, "reference 4"]
    ) -> Flux2KVCache:
        """Keys and values of clean tokens in every block. Gradients flow through them."""
        batch, length, _ = tokens.shape
        no_text = tokens.new_zeros(batch, 0, self.config.joint_attention_dim)
        output = super().forward(
            tokens,
            encoder_hidden_states=no_text,
            timestep=tokens.new_zeros(batch),
            img_ids=positions,
            txt_ids=positions[:0],
            kv_cache_mode="extract",
            num_ref_tokens=length,
        )
        return output.kv_cache

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        timestep: Tensor | None = None,
        img_ids: Tensor | None = None,
        txt_ids: Tensor | None = None,
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
        if behind:
            ahead = hidden_states.shape[1] - behind
            velocity = self.forward(
                hidden_states.roll(behind, dims=1),
                encoder_hidden_states=encoder_hidden_states,
                timestep=timestep,
                img_ids=places.roll(behind, dims=0),
                txt_ids=txt_ids,
                kv_cache_mode="extract",
                num_ref_tokens=behind,
                return_dict=False,
            )[0]
            sample = torch.cat((velocity, torch.zeros_like(hidden_states[:, ahead:])), dim=1)
            return Flux2Transformer2DModelOutput(sample=sample) if return_dict else (sample,)
        output = super().forward(
            hidden_states,
            encoder_hidden_states=encoder_hidden_states,
            timestep=timestep,
            img_ids=img_ids,
            txt_ids=txt_ids,
            guidance=guidance,
            joint_attention_kwargs=joint_attention_kwargs,
            kv_cache=kv_cache,
            kv_cache_mode=kv_cache_mode,
            num_ref_tokens=num_ref_tokens,
            ref_fixed_timestep=ref_fixed_timestep,
        )
        targets = hidden_states[:, num_ref_tokens:] if kv_cache_mode == "extract" else hidden_states
        t = timestep.to(targets.dtype).view(-1, 1, 1)
        sample = velocity_from_data(targets, output.sample, t)
        if not return_dict:
            return (sample,) if output.kv_cache is None else (sample, output.kv_cache)
        return Flux2Transformer2DModelOutput(sample=sample, kv_cache=output.kv_cache)
