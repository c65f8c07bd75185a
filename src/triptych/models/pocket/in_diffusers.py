"""The pocket inside diffusers: its weights in diffusers' own class, for diffusers' FLUX.2 pipelines."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from diffusers import Flux2Transformer2DModel
from diffusers.models.transformers.transformer_flux2 import (
    Flux2Attention,
    Flux2KVAttnProcessor,
    Flux2KVCache,
    Flux2KVParallelSelfAttnProcessor,
    Flux2ParallelSelfAttention,
    Flux2Transformer2DModelOutput,
)
from torch import Tensor
from torch.nn import Module

from triptych.flow import velocity_from_data
from triptych.models.pocket.attention import KeysAndValues
from triptych.models.pocket.blocks import last_norm, rotary_angles
from triptych.models.pocket.detail import DetailHead
from triptych.models.pocket.fits import FitHead
from triptych.models.pocket.lastheads import LastHeads
from triptych.models.pocket.moves import MoveHead
from triptych.models.pocket.transformer import FIRST_REFERENCE_FRAME, PocketTransformer, with_places

__all__ = ["PocketInDiffusers", "in_diffusers"]


def in_diffusers(transformer: PocketTransformer) -> "PocketInDiffusers":
    """A copy of the weights in diffusers' class, on their device and in their type."""
    double, single = transformer.transformer_blocks, transformer.single_transformer_blocks
    head_width = sum(transformer.axes)
    with torch.device("meta"):
        copy = PocketInDiffusers(
            in_channels=transformer.x_embedder.in_features,
            out_channels=transformer.proj_out.out_features,
            num_layers=len(double),
            num_single_layers=len(single),
            attention_head_dim=head_width,
            num_attention_heads=transformer.x_embedder.out_features // head_width,
            joint_attention_dim=transformer.context_embedder.in_features,
            axes_dims_rope=transformer.axes,
            guidance_embeds=False,
        )
        copy.add_last(transformer)
    weights = {name: weight.detach().clone() for name, weight in transformer.state_dict().items()}
    copy.load_state_dict(weights, assign=True)
    for module in copy.modules():
        match module:
            case Flux2Attention():
                module.set_processor(cast(Any, Flux2KVAttnProcessor()))
            case Flux2ParallelSelfAttention():
                module.set_processor(cast(Any, Flux2KVParallelSelfAttnProcessor()))
    return copy.eval().requires_grad_(False)


class PocketInDiffusers(Flux2Transformer2DModel):
    """A `Flux2Transformer2DModel` that predicts clean tokens and answers with velocity, as the pipelines expect.

    Where the pocket has heads at its end, this has them too: FLUX.2 ends with its output layer, so they listen there.
    """

    detail: DetailHead | None
    moves: MoveHead | None
    fits: FitHead | None

    def add_last(self, transformer: PocketTransformer) -> None:
        """Have the heads that `transformer` has at its end."""
        self.detail = self.moves = self.fits = None
        self._heard: dict[str, Tensor] = {}
        width, channels = transformer.x_embedder.out_features, transformer.proj_out.out_features
        if transformer.detail is not None:
            self.detail = DetailHead(width=width, channels=channels, head_width=transformer.detail.head_width)
        if transformer.moves is not None:
            self.moves = MoveHead(width=width, channels=channels, count=transformer.moves.count)
        if transformer.fits is not None:
            self.fits = FitHead(width=width, channels=channels)
        if any(head is not None for head in (self.detail, self.moves, self.fits)):
            self.single_transformer_blocks[-1].register_forward_hook(self._listener("both"))
            self.norm_out.register_forward_hook(self._listener("answer"))

    def _listener(self, name: str) -> Callable[[Module, tuple[Any, ...], Tensor], None]:
        def hear(_: Module, __: tuple[Any, ...], stream: Tensor) -> None:
            self._heard[name] = stream

        return hear

    def _with_last(
        self, clean: Tensor, given: Tensor, places: Tensor, texts: int, cache: Flux2KVCache | None, mode: str | None
    ) -> Tensor:
        """The clean tokens, and what the last heads add; what they keep travels with the cache of the blocks."""
        if not self._heard or mode is None or cache is None:
            return clean
        count = given.shape[1]
        axes, places = tuple(self.config["axes_dims_rope"]), places.float()
        last = LastHeads(detail=self.detail, moves=self.moves, fits=self.fits, head_width=sum(axes))
        rotary = rotary_angles(places, axes)
        if mode == "extract":
            zero = self._level(clean.new_zeros(len(clean)))
            stream = last_norm(self._heard["both"][:, texts : texts + count], zero, self.norm_out.linear)
            cast(Any, cache).last = last.kept(stream, given, places[:count], (rotary[0][:count], rotary[1][:count]))
        kept = cast(tuple[KeysAndValues, ...], cast(Any, cache).last)
        answer = self._heard["answer"]
        return last.added(clean, answer, kept, places[count:], (rotary[0][count:], rotary[1][count:]))

    def _level(self, t: Tensor) -> Tensor:
        return self.time_guidance_embed(1000 * t, None)

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
        # The parent's annotations ask for integer noise levels, its code does not.
        output = cast(Callable[..., Flux2Transformer2DModelOutput], super().forward)(
            with_places(tokens, places),
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
        given, targets = (
            (tokens[:, :references], tokens[:, references:]) if mode == "extract" else (tokens[:, :0], tokens)
        )
        cache = output.kv_cache if mode == "extract" else kv_cache
        clean = self._with_last(output.sample, given, places, encoder_hidden_states.shape[1], cache, mode)
        sample = velocity_from_data(targets, clean, timestep.to(targets.dtype).view(-1, 1, 1))
        cache = output.kv_cache
        if behind:
            sample, cache = torch.cat((sample, torch.zeros_like(tokens[:, :behind])), dim=1), None
        if not return_dict:
            return (sample,) if cache is None else (sample, cache)
        return Flux2Transformer2DModelOutput(sample=sample, kv_cache=cache)
