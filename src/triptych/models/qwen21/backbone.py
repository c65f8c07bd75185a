"""Qwen-Image 2.1: conditions by reference, read once together with the prompt that they stand in."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage21,
    FlowMatchEulerDiscreteScheduler,
    QwenImage21Transformer2DModel,
)
from diffusers.models.transformers.transformer_qwenimage21 import QwenImage21KVCache
from einops import rearrange
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration

from triptych.models.backbone import Card, Conditions, Context, Grid, Keeps, Targets, Text
from triptych.models.codecs import Qwen21Codec
from triptych.models.latent import SeeingBackbone, guided, linear_mu
from triptych.models.side_by_side import SideBySide
from triptych.models.text import refuse_marks, refuse_truncation
from triptych.models.vision_text import MARKS, VisionText, padded
from triptych.prompts import Prompt

__all__ = ["Qwen21", "Qwen21Text"]

_SYSTEM = "<|im_start|>system\nComprehend and analyze the provided prompt.<|im_end|>\n"
_TEMPLATE = _SYSTEM + "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


class Qwen21Text(VisionText):
    """Qwen3-VL reads the pictures, each at the size that the codec sees, and then the prompt."""

    def __init__(
        self,
        encoder: Qwen3VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Any,
        *,
        limit: int = 1024,
    ) -> None:
        super().__init__(encoder, tokenizer, image_processor, limit=limit)
        # The transformer was trained on the last layer's output before its norm, where transformers 5 gives it after.
        self.encoder.model.language_model.config.tie_last_hidden_states = False

    def encode(self, prompt: Prompt, images: Sequence[Image]) -> tuple[Float[Tensor, "length width"], Tensor]:
        """Hidden states of one page without the system message, and which of them stand for pixels.

        The sides of the pictures must be multiples of 32. Raises PromptError where template and prompt together,
        pictures not counted, have more than `limit` tokens.
        """
        text = prompt.text or " "
        refuse_marks(prompt, MARKS, encoder="Qwen3-VL")
        count = len(self.tokenizer(_TEMPLATE.format(text))["input_ids"])
        refuse_truncation(prompt, tokens=count, limit=self.limit, tokenizer=self.tokenizer, encoder="Qwen3-VL")
        # Not resized: every patch that the encoder sees gives its place in the sequence to one token of the codec.
        sight = self.see(images, resize=False)
        seen = " ".join(f"<image{number}>{marks}" for number, marks in enumerate(sight.marks, 1))
        states, places = self.read(_TEMPLATE.format(seen + text), sight)
        before = len(self.tokenizer(_SYSTEM)["input_ids"])
        return states[before:], places[before:]


class Qwen21(SeeingBackbone):
    """A Qwen-Image 2.1 checkpoint; `sample_sigmas` are the noise levels that a distilled one was made for."""

    def __init__(
        self,
        *,
        card: Card,
        transformer: QwenImage21Transformer2DModel,
        vae: AutoencoderKLQwenImage21,
        text: Qwen21Text,
        scheduler: FlowMatchEulerDiscreteScheduler,
        sample_sigmas: Sequence[float] | None = None,
    ) -> None:
        super().__init__(card=card, transformer=transformer, codec=Qwen21Codec(vae), scheduler=scheduler)
        self.text = text
        self._sample_sigmas = tuple(sample_sigmas or ())

    def encode_prompts_with_images(
        self,
        prompts: Sequence[Prompt],
        frames: Sequence[int],  # noqa: ARG002
        images: Sequence[Sequence[Image]],
    ) -> Text:
        """One sequence a page, padded to the longest. Its positions say where pictures stand: 1 there, 0 at words."""
        read = [self.text.encode(prompt, seen) for prompt, seen in zip(prompts, images, strict=True)]
        # Pictures come before the words, and pages of a batch have one layout: the longest speaks for all.
        places = max((places for _, places in read), key=len)
        return padded([states for states, _ in read], places[:, None].float().cpu(), self.device, self.dtype)

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        own = self._sample_sigmas if steps == len(self._sample_sigmas) else None
        # Counted in latents, of which a token here holds four.
        return self._levels(steps, mu=linear_mu(4 * tokens, self._scheduler.config), sigmas=own)

    @property
    def keeps(self) -> Keeps:
        """Text and conditions, unless they see the noise level."""
        return Keeps.PROMPT if self.transformer.config.causal_condition else Keeps.NOTHING

    def remember(self, text: Text, conditions: Conditions | None, *, guidance: float | None) -> Tensor | None:  # noqa: ARG002
        """Keys and values of text and conditions, which no step changes."""
        if self.keeps is Keeps.NOTHING:
            return None
        if text.mask is None:
            return self._remember(text, conditions)
        rows = _rows(Context(text=text, conditions=conditions))
        kept = [self._remember(row.text, row.conditions).transpose(1, 3) for row in rows]
        return nn.utils.rnn.pad_sequence([each[0] for each in kept], batch_first=True).transpose(1, 3)

    def _remember(self, text: Text, conditions: Conditions | None) -> Tensor:
        cache = QwenImage21KVCache(len(self.transformer.transformer_blocks))
        # They do not see what is made behind them, so the smallest picture does for it.
        one = Grid(frame=0, rows=1, columns=1)
        nothing = text.embeds.new_zeros(len(text.embeds), 4, self.transformer.config.in_channels)
        self._run(nothing, torch.zeros(len(nothing), device=self.device), text, conditions, one, cache, "extract")
        return torch.stack([torch.stack(layer.get(), dim=1) for layer in cache.layer_caches], dim=1)

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`. Raises BackboneError for slots of different heights."""
        slots = SideBySide(targets.grids, self.card)
        latents = _latents(slots.join(tokens), slots.wide)

        def one_pass(read: Context, _: bool) -> Tensor:
            if read.text.mask is None:
                return self._pass(latents, t, read, slots.wide)
            rows = zip(latents.split(1), t.split(1), _rows(read), strict=True)
            return torch.cat([self._pass(*row, slots.wide) for row in rows])

        return slots.part(_tokens(guided(context, one_pass), slots.wide))

    def _pass(self, latents: Tensor, t: Tensor, read: Context, wide: Grid) -> Tensor:
        if read.memory is None:
            return self._run(latents, t, read.text, read.conditions, wide)
        cache = QwenImage21KVCache(len(self.transformer.transformer_blocks))
        for layer, pair in zip(cache.layer_caches, read.memory.unbind(1), strict=True):
            layer.store(*pair.unbind(1))
        return self._run(latents, t, read.text, read.conditions, wide, cache, "cached")

    def _run(
        self,
        latents: Tensor,
        t: Tensor,
        text: Text,
        conditions: Conditions | None,
        wide: Grid,
        cache: QwenImage21KVCache | None = None,
        mode: str | None = None,
    ) -> Tensor:
        """Text, conditions inside it, and one picture behind it, whose velocity is returned."""
        batch = len(latents)
        grids = (*(conditions.grids if conditions else ()), wide)
        pictures = (text.positions[:, 0] > 0).to(latents.device)
        places = torch.cat((pictures, pictures.new_ones(wide.tokens))).expand(batch, -1)
        velocity = self.transformer(
            hidden_states=latents
            if conditions is None
            else torch.cat((_condition_latents(conditions), latents), dim=1),
            timestep=t,
            encoder_hidden_states=text.embeds,
            encoder_hidden_states_mask=text.mask,
            img_shapes=[[(1, 2 * grid.rows, 2 * grid.columns) for grid in grids]] * batch,
            img_mask=places,
            kv_cache=cache,
            kv_cache_mode=mode,
            return_dict=False,
        )[0]
        return velocity[:, -latents.shape[1] :]


def _rows(read: Context) -> list[Context]:
    """Each row without what pads it: to the transformer, padding would put the picture further behind its prompt."""
    assert read.text.mask is not None
    lengths = read.text.mask.sum(dim=1).tolist()
    rows = []
    for row, length in enumerate(lengths):
        text = read.text.row(row)
        text = replace(text, embeds=text.embeds[:, :length], positions=text.positions[:length], mask=None)
        given, memory = read.conditions, read.memory
        if memory is not None:
            padded_by = read.text.embeds.shape[1] - length
            memory = memory[row : row + 1, :, :, : memory.shape[3] - padded_by]
        conditions = given and replace(given, tokens=given.tokens[row : row + 1])
        rows.append(replace(read, text=text, conditions=conditions, memory=memory))
    return rows


def _condition_latents(conditions: Conditions) -> Tensor:
    parts = conditions.tokens.split([grid.tokens for grid in conditions.grids], dim=1)
    return torch.cat([_latents(part, grid) for part, grid in zip(parts, conditions.grids, strict=True)], dim=1)


def _latents(tokens: Float[Tensor, "batch tokens packed"], grid: Grid) -> Float[Tensor, "batch latents channels"]:
    """Tokens of 2x2 latents to single latents, in row order."""
    return rearrange(tokens, "b (h w) (c p q) -> b (h p w q) c", h=grid.rows, p=2, q=2)


def _tokens(latents: Float[Tensor, "batch latents channels"], grid: Grid) -> Float[Tensor, "batch tokens packed"]:
    """Inverse of `_latents`."""
    return rearrange(latents, "b (h p w q) c -> b (h w) (c p q)", h=grid.rows, p=2, q=2, w=grid.columns)
