"""Attention processors for short sequences on a CPU: diffusers' FLUX.2 KV processors in fewer operations.

Query and key are normalised and rotated together, and attention is two batched matrix products and a softmax,
which for a few hundred tokens is faster on a CPU than the blocked kernel, backwards above all.
"""

import torch
from diffusers.models.transformers.transformer_flux2 import (
    Flux2Attention,
    Flux2KVLayerCache,
    Flux2ParallelSelfAttention,
)
from jaxtyping import Float
from torch import Tensor

from triptych.errors import BackboneError

__all__ = ["PocketAttnProcessor", "PocketParallelAttnProcessor"]

Rotary = tuple[Float[Tensor, "sequence width"], Float[Tensor, "sequence width"]]


def _normalise(
    pair: Float[Tensor, "batch sequence 2 heads width"], query_norm: torch.nn.RMSNorm, key_norm: torch.nn.RMSNorm
) -> Float[Tensor, "batch sequence 2 heads width"]:
    weight = torch.stack((query_norm.weight, key_norm.weight)).to(pair.dtype)[:, None]
    scale = torch.linalg.vector_norm(pair, dim=-1, keepdim=True, dtype=torch.float32)
    scale = torch.rsqrt(scale.square() / pair.shape[-1] + query_norm.eps)
    return pair * (scale.to(pair.dtype) * weight)


def _rotate(
    pair: Float[Tensor, "batch sequence 2 heads width"], rotary: Rotary
) -> Float[Tensor, "batch sequence 2 heads width"]:
    cos, sin = (angle.to(pair.dtype)[:, None, None] for angle in rotary)
    swapped = pair.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    # The rotation of (a, b) is (a cos - b sin, b cos + a sin): the sign goes into the sines, once a call.
    signed = sin * sin.new_tensor((-1.0, 1.0)).repeat(sin.shape[-1] // 2)
    return torch.addcmul(pair * cos, swapped, signed)


def _attend(
    query: Float[Tensor, "batch target heads width"],
    key: Float[Tensor, "batch source heads width"],
    value: Float[Tensor, "batch source heads width"],
) -> Float[Tensor, "batch target inner"]:
    query, key, value = (x.transpose(1, 2) for x in (query * query.shape[-1] ** -0.5, key, value))
    weights = torch.softmax(query @ key.transpose(-1, -2), dim=-1)
    return (weights @ value).transpose(1, 2).flatten(2)


def _attend_pages(
    pair: Float[Tensor, "batch sequence 2 heads width"],
    value: Float[Tensor, "batch sequence heads width"],
    *,
    texts: int,
    mode: str | None,
    cache: Flux2KVLayerCache | None,
    references: int,
) -> Float[Tensor, "batch sequence inner"]:
    """Text and targets attend to all; references, which stand between them, to references only."""
    query, key = pair.unbind(2)
    if mode == "cached" and cache is not None:
        key_ref, value_ref = cache.get()
        key = torch.cat((key[:, :texts], key_ref, key[:, texts:]), dim=1)
        value = torch.cat((value[:, :texts], value_ref, value[:, texts:]), dim=1)
        return _attend(query, key, value)
    if mode != "extract" or references == 0:
        return _attend(query, key, value)
    end = texts + references
    if cache is not None:
        cache.store(key[:, texts:end], value[:, texts:end])
    among = _attend(query[:, texts:end], key[:, texts:end], value[:, texts:end])
    if end == query.shape[1] and texts == 0:
        return among
    rest = _attend(torch.cat((query[:, :texts], query[:, end:]), dim=1), key, value)
    return torch.cat((rest[:, :texts], among, rest[:, texts:]), dim=1)


def _no_mask(attention_mask: Tensor | None) -> None:
    if attention_mask is not None:
        raise BackboneError("pocket's attention takes no mask; pages of one batch have texts of one length.")


class PocketAttnProcessor:
    """For double-stream blocks; arguments as `Flux2KVAttnProcessor`."""

    def __call__(
        self,
        attn: Flux2Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None,
        image_rotary_emb: Rotary,
        kv_cache: Flux2KVLayerCache | None = None,
        kv_cache_mode: str | None = None,
        num_ref_tokens: int = 0,
    ) -> tuple[Tensor, Tensor]:
        _no_mask(attention_mask)

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (-1, attn.head_dim))

        image = torch.stack((heads(attn.to_q(hidden_states)), heads(attn.to_k(hidden_states))), dim=2)
        text = torch.stack(
            (heads(attn.add_q_proj(encoder_hidden_states)), heads(attn.add_k_proj(encoder_hidden_states))), dim=2
        )
        pair = torch.cat(
            (
                _normalise(text, attn.norm_added_q, attn.norm_added_k),
                _normalise(image, attn.norm_q, attn.norm_k),
            ),
            dim=1,
        )
        value = torch.cat((heads(attn.add_v_proj(encoder_hidden_states)), heads(attn.to_v(hidden_states))), dim=1)
        texts = encoder_hidden_states.shape[1]
        out = _attend_pages(
            _rotate(pair, image_rotary_emb),
            value,
            texts=texts,
            mode=kv_cache_mode,
            cache=kv_cache,
            references=num_ref_tokens,
        )
        return attn.to_out[0](out[:, texts:]), attn.to_add_out(out[:, :texts])


class PocketParallelAttnProcessor:
    """For single-stream blocks; arguments as `Flux2KVParallelSelfAttnProcessor`."""

    def __call__(
        self,
        attn: Flux2ParallelSelfAttention,
        hidden_states: Tensor,
        attention_mask: Tensor | None,
        image_rotary_emb: Rotary,
        kv_cache: Flux2KVLayerCache | None = None,
        kv_cache_mode: str | None = None,
        num_txt_tokens: int = 0,
        num_ref_tokens: int = 0,
    ) -> Tensor:
        _no_mask(attention_mask)
        projected = attn.to_qkv_mlp_proj(hidden_states)
        qkv, mlp = projected.split((3 * attn.inner_dim, attn.mlp_hidden_dim * attn.mlp_mult_factor), dim=-1)
        qkv = qkv.unflatten(-1, (3, -1, attn.head_dim))
        pair = _rotate(_normalise(qkv[:, :, :2], attn.norm_q, attn.norm_k), image_rotary_emb)
        out = _attend_pages(
            pair, qkv[:, :, 2], texts=num_txt_tokens, mode=kv_cache_mode, cache=kv_cache, references=num_ref_tokens
        )
        return attn.to_out(torch.cat((out, attn.mlp_act_fn(mlp)), dim=-1))
