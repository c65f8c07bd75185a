"""GLM-Image: a language model drafts the slots, a transformer paints them; conditions by reference, read once."""

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, GlmImageTransformer2DModel
from diffusers.models.transformers.transformer_glm_image import GlmImageKVCache
from einops import rearrange
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from triptych.models.backbone import Card, Conditions, Context, Grid, Keeps, Targets, Text
from triptych.models.glm_image.codec import GlmCodec, join_latents, part_latents
from triptych.models.glm_image.reading import GlmText
from triptych.models.latent import SeeingBackbone, guided
from triptych.models.side_by_side import SideBySide
from triptych.models.vision_text import padded
from triptych.models.windows import Rows, by_length
from triptych.prompts import Prompt

__all__ = ["GlmImage"]


class GlmImage(SeeingBackbone):
    """A GLM-Image checkpoint. A token here is four of the transformer's: one that the language model drafts."""

    def __init__(
        self,
        *,
        card: Card,
        transformer: GlmImageTransformer2DModel,
        vae: AutoencoderKL,
        text: GlmText,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__(card=card, transformer=transformer, codec=GlmCodec(vae), scheduler=scheduler)
        self.text = text

    def encode_prompts_with_images(
        self,
        prompts: Sequence[Prompt],
        frames: Sequence[int],  # noqa: ARG002
        images: Sequence[Sequence[Image]],
    ) -> Text:
        """The letters that stand in quotation marks, and the language model's tokens of the pictures."""
        rows = [self.text.spell(prompt) for prompt in prompts]
        places = torch.zeros(max(len(row) for row in rows), 1)
        text = padded(rows, places, self.device, self.dtype)
        if not any(images):
            return text
        seen = torch.stack([self.text.look(own) for own in images]).to(self.device)
        return Text(embeds=text.embeds, positions=text.positions, mask=text.mask, seen=seen)

    def draft(
        self,
        prompts: Sequence[Prompt],
        images: Sequence[Sequence[Image]],
        grids: tuple[Grid, ...],
        seeds: Sequence[int],
    ) -> Tensor:
        """As in `Drafts`; several slots are drafted as one wide picture. Raises BackboneError for unlike heights."""
        wide, factor = SideBySide(grids, self.card).wide, self.card.factor
        rows = [
            self.text.draft(prompt, own, wide.columns * factor, wide.rows * factor, seed)
            for prompt, own, seed in zip(prompts, images, seeds, strict=True)
        ]
        return torch.stack(rows).to(self.device)

    def drafted(self, answers: Sequence[Image], grids: tuple[Grid, ...]) -> Tensor:
        """As in `Drafts`: what the language model sees in the answers, side by side."""
        slots, factor = SideBySide(grids, self.card), self.card.factor
        sizes = [(grid.columns * factor, grid.rows * factor) for grid in grids]
        tokens = [self.text.look([answer.resize(size)]) for answer, size in zip(answers, sizes, strict=True)]
        rows = [rearrange(each, "(h w) -> h w", h=2 * slots.wide.rows) for each in tokens]
        return torch.cat(rows, dim=1).flatten()[None].to(self.device)

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        count = self._scheduler.config.num_train_timesteps
        whole = np.linspace(count, 1.0, steps + 1)[:-1].astype(np.int64)
        return self._levels(steps, mu=_mu(tokens, self._scheduler.config), sigmas=(whole / count).tolist())

    @property
    def keeps(self) -> Keeps:
        """Each condition sees itself alone, at t = 0."""
        return Keeps.CONDITIONS

    def remember(self, text: Text, conditions: Conditions | None, *, guidance: float | None) -> Tensor | None:  # noqa: ARG002
        """Keys and values of the conditions."""
        if conditions is None or text.seen is None:
            return None
        cache = GlmImageKVCache(num_layers=self.transformer.config.num_layers)
        cache.set_mode("write")
        counts = [grid.tokens for grid in conditions.grids]
        parts, seen = conditions.tokens.split(counts, dim=1), text.seen.split([4 * count for count in counts], dim=1)
        for part, own, grid in zip(parts, seen, conditions.grids, strict=True):
            # A picture is read without words.
            nothing = text.embeds[:, :0]
            t = torch.zeros(len(part), device=self.device)
            self._run(join_latents(part, grid), t, nothing, own, torch.zeros_like(own, dtype=torch.bool), cache)
        layers = [(*layer.k_caches, *layer.v_caches) for layer in cache.caches]
        return torch.stack([torch.stack([kept for kept in pair if kept is not None], dim=1) for pair in layers], dim=1)

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`. Raises BackboneError for slots of different heights."""
        assert context.draft is not None, "slots are drafted before the first step"
        slots, draft = SideBySide(targets.grids, self.card), context.draft
        latents, times = join_latents(slots.join(tokens), slots.wide), self._times(t, slots.wide.tokens)

        def one_pass(read: Context, negative: bool) -> Tensor:
            def run(rows: Rows, text: Text) -> Tensor:
                # The second pass has neither draft nor conditions.
                memory = None if negative or read.memory is None else self._cache_of(read.memory[rows])
                own = draft[rows]
                dropped = torch.full_like(own, negative, dtype=torch.bool)
                return part_latents(self._run(latents[rows], times[rows], text.embeds, own, dropped, memory))

            return by_length(read.text, run)

        return slots.part(guided(context, one_pass))

    def _run(
        self,
        latents: Float[Tensor, "batch channels height width"],
        times: Float[Tensor, " batch"],
        words: Float[Tensor, "batch length text"],
        draft: Tensor,
        dropped: Tensor,
        cache: GlmImageKVCache | None,
    ) -> Float[Tensor, "batch channels height width"]:
        side = self.codec.factor // 4
        size = torch.tensor([[side * latents.shape[2], side * latents.shape[3]]], dtype=words.dtype, device=self.device)
        return self.transformer(
            hidden_states=latents,
            encoder_hidden_states=words,
            prior_token_id=draft,
            prior_token_drop=dropped,
            timestep=times,
            target_size=size.repeat(len(latents), 1),
            crop_coords=torch.zeros_like(size).repeat(len(latents), 1),
            kv_caches=cache,
            return_dict=False,
        )[0]

    def _cache_of(self, memory: Float[Tensor, "batch blocks 2 kept heads width"]) -> GlmImageKVCache:
        cache = GlmImageKVCache(num_layers=memory.shape[1])
        for layer, pair in zip(cache.caches, memory.unbind(1), strict=True):
            layer.k_caches, layer.v_caches = [pair[:, 0]], [pair[:, 1]]
        cache.set_mode("read")
        return cache

    def _times(self, t: Float[Tensor, " batch"], tokens: int) -> Float[Tensor, " batch"]:
        """What the network is told of a noise level: the even one that the schedule shifted to it, counted from 0."""
        config = self._scheduler.config
        shift = config.shift
        if config.use_dynamic_shifting:
            mu = _mu(tokens, config)
            shift = float(np.exp(mu)) if config.time_shift_type == "exponential" else mu
        even = 1 / (1 + shift * (1 / t.double() - 1))
        return (config.num_train_timesteps * even - 1).to(t.dtype)


def _mu(tokens: int, config: object) -> float:
    """The time shift, by the square root of the transformer's tokens; the constants are the pipeline's."""
    count = getattr(config, "base_image_seq_len", 256)
    return (4 * tokens / count) ** 0.5 * getattr(config, "max_shift", 0.75) + getattr(config, "base_shift", 0.25)
