"""FLUX 3 Image Klein: conditions by reference at t = 0, in blocks of their own and then jointly; and by repaint."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux3Transformer2DModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration

from triptych.models.backbone import Card, Conditions, Context, Grid, Targets, Text
from triptych.models.codecs import Flux2Codec
from triptych.models.latent import LatentBackbone, guided, positions
from triptych.models.text import refuse_truncation
from triptych.models.vision_text import padded
from triptych.models.windows import Rows, by_length
from triptych.prompts import Prompt

__all__ = ["Flux3", "Flux3Text"]

_WINDOW = 80
"""A prompt is filled up to a multiple of this many tokens. What fills it is hidden inside Qwen3-VL and seen by the
transformer, so it is part of how the network was trained."""
_SCALE = 0.5
"""Of rows and columns in the places of pictures, as the network was trained."""


class Flux3Text:
    """Eight layers of Qwen3-VL side by side, over the chat template. It sees no pictures."""

    def __init__(
        self,
        encoder: Qwen3VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        *,
        limit: int = 8192,
        layers: tuple[int, ...] = (4, 8, 12, 16, 20, 24, 28, 32),
    ) -> None:
        self.encoder: Any = encoder
        self.limit, self.layers = limit, layers
        # What a chat template returns depends on its arguments, which no type tells.
        self.tokenizer: Any = tokenizer

    def encode(self, prompt: Prompt) -> Float[Tensor, "length width"]:
        """One prompt in its window. Raises PromptError where it has, with its template, more than `limit` tokens."""
        chat = [{"role": "user", "content": prompt.text}]
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        count = len(self.tokenizer(text)["input_ids"])
        refuse_truncation(prompt, tokens=count, limit=self.limit, tokenizer=self.tokenizer, encoder="Qwen3-VL")
        inputs = self.tokenizer(
            text,
            return_tensors="pt",
            padding="max_length",
            padding_side="right",
            max_length=min(-(-count // _WINDOW) * _WINDOW, self.limit),
        ).to(self.encoder.device)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        output = self.encoder(
            input_ids=ids,
            attention_mask=mask,
            # What fills the window stands at 1, as it did in training; transformers has changed that since.
            position_ids=torch.arange(ids.shape[1], device=ids.device)[None].masked_fill(mask == 0, 1),
            output_hidden_states=True,
            use_cache=False,
        )
        stacked = torch.stack([output.hidden_states[layer][0] for layer in self.layers])
        return rearrange(stacked, "layers length width -> length (layers width)")


class Flux3(LatentBackbone):
    """A FLUX 3 Image Klein checkpoint. A distilled one reads the noise level that a step leads to as well."""

    def __init__(
        self,
        *,
        card: Card,
        transformer: Flux3Transformer2DModel,
        vae: AutoencoderKLFlux2,
        text: Flux3Text,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__(card=card, transformer=transformer, codec=Flux2Codec(vae), scheduler=scheduler)
        self.text = text

    def encode_prompts(self, prompts: Sequence[Prompt], frames: Sequence[int]) -> Text:  # noqa: ARG002
        """One sequence a page, along the last axis; the mask tells windows of different lengths apart."""
        rows = [self.text.encode(prompt) for prompt in prompts]
        places = torch.zeros(max(len(row) for row in rows), 4, device=self.device)
        places[:, 3] = torch.arange(len(places))
        return padded(rows, places, self.device, self.dtype)

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:  # noqa: ARG002
        return self._levels(steps, mu=None)

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`. A distilled network that is told no other level answers with the velocity at `t`."""
        toward = t if targets.toward is None else targets.toward
        levels = {"timestep": t, "target_timestep": toward} if self.transformer.config.flow_map else {"timestep": t}
        return guided(context, lambda read, _: self._pass(tokens, levels, read, targets.grids))

    def _pass(
        self, tokens: Tensor, levels: Mapping[str, Tensor], read: Context, grids: tuple[Grid, ...]
    ) -> Float[Tensor, "batch target channels"]:
        """Rows whose windows have one length go through the transformer together: it sees whatever fills them."""
        given = read.conditions

        def run(rows: Rows, text: Text) -> Tensor:
            own = given and replace(given, tokens=given.tokens[rows])
            return self._alike(tokens[rows], {name: t[rows] for name, t in levels.items()}, text, own, grids)

        return by_length(read.text, run)

    def _alike(
        self,
        tokens: Tensor,
        levels: Mapping[str, Tensor],
        text: Text,
        given: Conditions | None,
        grids: tuple[Grid, ...],
    ) -> Float[Tensor, "batch target channels"]:
        references = {}
        if given is not None:
            places = [_places(grid, reference=number) for number, grid in enumerate(given.grids, 1)]
            references["image_cond_hidden_states"] = given.tokens
            references["image_cond_ids"] = torch.cat(places).to(self.device)
        return self.transformer(
            hidden_states=tokens,
            img_ids=_slot_places(grids).to(self.device),
            encoder_hidden_states=text.embeds,
            txt_ids=text.positions,
            **levels,
            **references,
            return_dict=False,
        )[0]


def _slot_places(grids: Sequence[Grid]) -> Float[Tensor, "target 4"]:
    """Slots side by side, as if they were one wide picture: the network knows one place for what it makes."""
    column, slots = 0, []
    for grid in grids:
        slots.append(_places(grid, column=column))
        column += grid.columns
    return torch.cat(slots)


def _places(grid: Grid, *, column: int = 0, reference: int = 0) -> Float[Tensor, "tokens 4"]:
    """(time, row, column, sequence): text runs along the last axis from 0, the i-th reference stands at -i."""
    places = positions(grid, frame=0, axes=4, column=column)
    places[:, 1:3] *= _SCALE
    places[:, 3] = -reference
    return places
