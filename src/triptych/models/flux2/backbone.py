"""FLUX.2: dev, klein, and klein-KV, whose references are read once. Conditions by reference, and by repaint."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel
from diffusers.models.transformers.transformer_flux2 import (
    Flux2KVAttnProcessor,
    Flux2KVCache,
    Flux2KVParallelSelfAttnProcessor,
)
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from triptych.models.backbone import Card, Conditions, Context, Keeps, Targets, Text
from triptych.models.codecs import Flux2Codec
from triptych.models.latent import LatentBackbone, all_positions, distilled_guidance, guided
from triptych.models.options import References
from triptych.models.text import refuse_truncation
from triptych.prompts import Prompt

__all__ = ["Flux2", "MistralText", "QwenText", "References"]

_log = logging.getLogger(__name__)


@runtime_checkable
class Flux2Text(Protocol):
    """Prompts to what the transformer reads."""

    def encode(self, prompts: Sequence[Prompt]) -> Float[Tensor, "batch length width"]: ...


class QwenText:
    """klein's text: three layers of Qwen3 side by side, over the chat template, padded to the limit."""

    def __init__(
        self,
        encoder: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        limit: int = 512,
        layers: tuple[int, ...] = (9, 18, 27),
    ) -> None:
        self.encoder, self.limit, self.layers = encoder, limit, layers
        # What a chat template returns depends on its arguments, which no type tells.
        self.tokenizer: Any = tokenizer

    def encode(self, prompts: Sequence[Prompt]) -> Float[Tensor, "batch length width"]:
        """Raises PromptError for a prompt that, with its template, has more than `limit` tokens."""
        texts = []
        for prompt in prompts:
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt.text}],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,
            )
            count = len(self.tokenizer(text)["input_ids"])
            refuse_truncation(prompt, tokens=count, limit=self.limit, tokenizer=self.tokenizer, encoder="Qwen3")
            texts.append(text)
        inputs = self.tokenizer(texts, return_tensors="pt", padding="max_length", max_length=self.limit)
        return _side_by_side(self.encoder, inputs, self.layers)


class MistralText:
    """dev's text: three layers of Mistral Small 3 side by side, after the system message of FLUX.2."""

    def __init__(
        self,
        encoder: nn.Module,
        processor: PreTrainedTokenizerBase,
        *,
        limit: int = 512,
        layers: tuple[int, ...] = (10, 20, 30),
    ) -> None:
        self.encoder, self.limit, self.layers = encoder, limit, layers
        self.processor: Any = processor

    def encode(self, prompts: Sequence[Prompt]) -> Float[Tensor, "batch length width"]:
        """Raises PromptError for a prompt that, with its template, has more than `limit` tokens."""
        chats = [_chat(prompt.text) for prompt in prompts]
        tokenizer = getattr(self.processor, "tokenizer", self.processor)
        for prompt, chat in zip(prompts, chats, strict=True):
            whole = self.processor.apply_chat_template([chat], tokenize=True, return_dict=True)
            count = len(whole["input_ids"][0])
            refuse_truncation(prompt, tokens=count, limit=self.limit, tokenizer=tokenizer, encoder="Mistral")
        inputs = self.processor.apply_chat_template(
            chats,
            add_generation_prompt=False,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            padding="max_length",
            truncation=True,
            max_length=self.limit,
        )
        return _side_by_side(self.encoder, inputs, self.layers)


class Flux2(LatentBackbone):
    """A FLUX.2 checkpoint; `references` says how its references are seen, `trained` how its weights learnt to.

    Where the two differ, the first page says in the log how far that is from what the weights were trained to do.
    """

    reference_error: float | None = None
    """Of an approximation: root mean square error of the first page's first velocity, relative to its size."""

    def __init__(
        self,
        *,
        card: Card,
        transformer: Flux2Transformer2DModel,
        vae: AutoencoderKLFlux2,
        text: Flux2Text,
        scheduler: FlowMatchEulerDiscreteScheduler,
        references: References = References.JOINT,
        trained: References | None = None,
    ) -> None:
        super().__init__(card=card, transformer=transformer, codec=Flux2Codec(vae), scheduler=scheduler)
        self.text = text
        self.references = references
        self.approximates = references is References.ALONE and trained is References.JOINT
        if references is References.ALONE:
            for block in self.transformer.transformer_blocks:
                block.attn.set_processor(Flux2KVAttnProcessor())
            for block in self.transformer.single_transformer_blocks:
                block.attn.set_processor(Flux2KVParallelSelfAttnProcessor())

    def encode_prompts(self, prompts: Sequence[Prompt], frames: Sequence[int]) -> Text:  # noqa: ARG002
        """One sequence a page, all of it at frame 0, as FLUX.2 was trained; `frames` places only pictures."""
        embeds = self.text.encode(prompts).to(self.device, self.dtype)
        places = torch.zeros(embeds.shape[1], 4, device=self.device)
        places[:, 3] = torch.arange(embeds.shape[1])
        return Text(embeds=embeds, positions=places)

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        return self._levels(steps, mu=_empirical_mu(tokens, steps))

    def tell_error(self, approximate: Tensor, exact: Tensor) -> None:
        """Keep and log the relative error of a velocity."""
        self.reference_error = float((approximate - exact).float().norm() / exact.float().norm())
        _log.warning(
            "%s: conditions are cached, which is an approximation here: the first velocity of this page is %.1f%% off",
            self.card.name,
            100 * self.reference_error,
        )

    @property
    def keeps(self) -> Keeps:
        """Conditions that are seen alone can be kept."""
        return Keeps.CONDITIONS if self.references is References.ALONE else Keeps.NOTHING

    def remember(self, text: Text, conditions: Conditions | None, *, guidance: float | None) -> Tensor | None:  # noqa: ARG002
        """Keys and values of the conditions where they are seen alone."""
        if conditions is None or self.keeps is Keeps.NOTHING:
            return None
        batch, count, _ = conditions.tokens.shape
        # One token of no meaning stands for the text, which conditions do not see.
        cache = self.transformer(
            hidden_states=conditions.tokens,
            img_ids=all_positions(conditions.grids, axes=4).to(self.device),
            encoder_hidden_states=conditions.tokens.new_zeros(batch, 1, self.transformer.context_embedder.in_features),
            txt_ids=torch.zeros(1, 4, device=self.device),
            timestep=torch.zeros(batch, device=self.device),
            guidance=distilled_guidance(self, guidance, batch),
            kv_cache_mode="extract",
            num_ref_tokens=count,
            return_dict=False,
        )[1]
        layers = (*cache.double_block_caches, *cache.single_block_caches)
        return torch.stack([torch.stack(layer.get(), dim=1) for layer in layers], dim=1)

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`."""
        return guided(context, self.passes(context, lambda read: self._pass(tokens, t, read, targets)))

    def _pass(self, tokens: Tensor, t: Tensor, context: Context, targets: Targets) -> Tensor:
        inputs = {
            "timestep": t,
            "guidance": distilled_guidance(self, context.guidance, len(tokens)),
            "encoder_hidden_states": context.text.embeds,
            "txt_ids": context.text.positions,
            "return_dict": False,
        }
        places = all_positions(targets.grids, axes=4).to(self.device)
        if context.conditions is None:
            return self.transformer(hidden_states=tokens, img_ids=places, **inputs)[0]
        if context.memory is None:
            return self._jointly(tokens, places, context.conditions, inputs)
        velocity = self.transformer(
            hidden_states=tokens,
            img_ids=places,
            kv_cache=self._cache_of(context.memory),
            kv_cache_mode="cached",
            **inputs,
        )[0]
        if self.approximates and self.reference_error is None and not torch.is_grad_enabled():
            self.tell_error(velocity, self._jointly(tokens, places, context.conditions, inputs))
        return velocity

    def _jointly(self, tokens: Tensor, places: Tensor, conditions: Conditions, inputs: Mapping[str, Any]) -> Tensor:
        velocity = self.transformer(
            hidden_states=torch.cat((tokens, conditions.tokens), dim=1),
            img_ids=torch.cat((places, all_positions(conditions.grids, axes=4).to(self.device))),
            **inputs,
        )[0]
        return velocity[:, : tokens.shape[1]]

    def _cache_of(self, memory: Float[Tensor, "batch blocks 2 kept heads width"]) -> Flux2KVCache:
        cache = Flux2KVCache(len(self.transformer.transformer_blocks), len(self.transformer.single_transformer_blocks))
        cache.num_ref_tokens = memory.shape[3]
        layers = (*cache.double_block_caches, *cache.single_block_caches)
        for layer, pair in zip(layers, memory.unbind(1), strict=True):
            layer.store(*pair.unbind(1))
        return cache


def _side_by_side(encoder: nn.Module, inputs: Mapping[str, Tensor], layers: tuple[int, ...]) -> Tensor:
    device = next(encoder.parameters()).device
    output = encoder(
        input_ids=inputs["input_ids"].to(device),
        attention_mask=inputs["attention_mask"].to(device),
        output_hidden_states=True,
        use_cache=False,
    )
    stacked = torch.stack([output.hidden_states[layer] for layer in layers], dim=1)
    return rearrange(stacked, "batch layers length width -> batch length (layers width)")


def _chat(text: str) -> list[dict]:
    # The marker of a picture in Mistral's own format must not come in through a user's text.
    said = text.replace("[IMG]", "")
    return [
        {"role": "system", "content": [{"type": "text", "text": SYSTEM_MESSAGE}]},
        {"role": "user", "content": [{"type": "text", "text": said}]},
    ]


def _empirical_mu(tokens: int, steps: int) -> float:
    """FLUX.2's time shift, fitted by its authors: linear in tokens at 10 and 200 steps, and in steps between.

    The constants are those of black-forest-labs/flux2, `sampling.py`.
    """
    at_200 = 0.00016927 * tokens + 0.45666666
    if tokens > 4300:
        return at_200
    at_10 = 8.73809524e-05 * tokens + 1.89833333
    return at_200 + (at_200 - at_10) / 190 * (steps - 200)
