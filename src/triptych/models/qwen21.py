"""Qwen-Image 2.1: conditions by reference, read once together with the prompt that they stand in."""

from collections.abc import Sequence
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
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration

from triptych.models.backbone import Card, Grid, Sequences, Text
from triptych.models.codecs import Qwen21Codec
from triptych.models.latent import LatentBackbone, guided, linear_mu
from triptych.models.side_by_side import SideBySide
from triptych.models.text import refuse_truncation
from triptych.models.vision_text import VisionText, padded
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
        count = len(self.tokenizer(_TEMPLATE.format(text))["input_ids"])
        refuse_truncation(prompt, tokens=count, limit=self.limit, tokenizer=self.tokenizer, encoder="Qwen3-VL")
        # Not resized: every patch that the encoder sees gives its place in the sequence to one token of the codec.
        sight = self.see(images, resize=False)
        seen = " ".join(f"<image{number}>{marks}" for number, marks in enumerate(sight.marks, 1))
        states, places = self.read(_TEMPLATE.format(seen + text), sight)
        told = len(self.tokenizer(_SYSTEM)["input_ids"])
        return states[told:], places[told:]


class Qwen21(LatentBackbone):
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

    def encode_prompts(self, prompts: Sequence[Prompt], frames: Sequence[int]) -> Text:
        """As `encode_prompts_with_images` for pages without conditions."""
        return self.encode_prompts_with_images(prompts, frames, [[]] * len(prompts))

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

    def velocity_field(self, sequences: Sequences) -> "_Field":
        """The first call keeps the keys and values of text and references, which no later step changes.

        Raises BackboneError for slots of different heights.
        """
        return _Field(self, sequences)


class _Field:
    """Text, references inside it, and one picture behind it."""

    def __init__(self, backbone: Qwen21, sequences: Sequences) -> None:
        self._backbone, self._sequences = backbone, sequences
        self._slots = SideBySide(sequences.targets, backbone.card)
        grids = (*sequences.reference_grids, self._slots.wide)
        self._shapes = [(1, 2 * grid.rows, 2 * grid.columns) for grid in grids]
        self._references = self._reference_latents()
        self._kept: dict[int, QwenImage21KVCache] = {}

    def __call__(
        self, tokens: Float[Tensor, "batch target channels"], t: float
    ) -> Float[Tensor, "batch target channels"]:
        latents = _latents(self._slots.join(tokens), self._slots.wide)
        velocity = guided(self._sequences, lambda text: self._pass(latents, t, text))
        return self._slots.part(_tokens(velocity, self._slots.wide))

    def _pass(self, latents: Tensor, t: float, text: Text) -> Tensor:
        batch = len(latents)
        pictures = (text.positions[:, 0] > 0).to(latents.device)
        places = torch.cat((pictures, pictures.new_ones(self._slots.wide.tokens))).expand(batch, -1)
        kept, mode = self._memory(text)
        velocity = self._backbone.transformer(
            hidden_states=latents if self._references is None else torch.cat((self._references, latents), dim=1),
            timestep=torch.full((batch,), t, device=latents.device),
            encoder_hidden_states=text.embeds,
            encoder_hidden_states_mask=text.mask,
            img_shapes=[self._shapes] * batch,
            img_mask=places,
            kv_cache=kept,
            kv_cache_mode=mode,
            return_dict=False,
        )[0]
        return velocity[:, -latents.shape[1] :]

    def _memory(self, text: Text) -> tuple[QwenImage21KVCache | None, str | None]:
        """What is kept for a text, and whether it is to be filled or used; nothing where references see the noise."""
        transformer = self._backbone.transformer
        if not (self._sequences.cached and transformer.config.causal_condition):
            return None, None
        if id(text) in self._kept:
            return self._kept[id(text)], "cached"
        self._kept[id(text)] = QwenImage21KVCache(len(transformer.transformer_blocks))
        return self._kept[id(text)], "extract"

    def _reference_latents(self) -> Tensor | None:
        references = self._sequences.references
        if references is None:
            return None
        grids = self._sequences.reference_grids
        parts = references.split([grid.tokens for grid in grids], dim=1)
        return torch.cat([_latents(part, grid) for part, grid in zip(parts, grids, strict=True)], dim=1)


def _latents(tokens: Float[Tensor, "batch tokens packed"], grid: Grid) -> Float[Tensor, "batch latents channels"]:
    """Tokens of 2x2 latents to single latents, in row order."""
    return rearrange(tokens, "b (h w) (c p q) -> b (h p w q) c", h=grid.rows, p=2, q=2)


def _tokens(latents: Float[Tensor, "batch latents channels"], grid: Grid) -> Float[Tensor, "batch tokens packed"]:
    """Inverse of `_latents`."""
    return rearrange(latents, "b (h p w q) c -> b (h w) (c p q)", h=grid.rows, p=2, q=2, w=grid.columns)
