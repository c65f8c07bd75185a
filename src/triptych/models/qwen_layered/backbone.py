"""Qwen-Image-Layered: one condition by reference, and the layers that it is made of, all at one size."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageLayeredPipeline,
    QwenImageTransformer2DModel,
)
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from triptych.models.backbone import Card, Context, Targets, Text
from triptych.models.codecs import QwenLayersCodec
from triptych.models.latent import SeeingBackbone, guided_within
from triptych.models.text import refuse_truncation
from triptych.models.vision_text import PICTURE, Sight, VisionText, padded
from triptych.prompts import Prompt

__all__ = ["QwenLayered", "QwenLayeredText"]

_TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
_MOST_SAID = 512
"""Tokens of a picture's description."""


class QwenLayeredText(VisionText):
    """Qwen2.5-VL reads the prompt, and not the picture; a page without words is described by it first."""

    untold = 34
    """Tokens of the system message in Qwen's vocabulary: the transformer was trained without them."""

    def encode(self, prompt: Prompt, images: Sequence[Image]) -> Float[Tensor, "length width"]:
        """Last hidden states of one page, without the system message.

        Raises PromptError where template and prompt together have more than `limit` tokens.
        """
        text = prompt.text or (self.describe(images[0]) if images else "")
        count = len(self.tokenizer(_TEMPLATE.format(text))["input_ids"])
        refuse_truncation(prompt, tokens=count, limit=self.limit, tokenizer=self.tokenizer, encoder="Qwen2.5-VL")
        nothing = Sight(inputs={}, marks=())
        return self.read(_TEMPLATE.format(text), nothing)[0][self.untold :]

    def describe(self, image: Image) -> str:
        """The picture in English, always in the same words: nothing is drawn."""
        sight = self.see([image])
        text = _question().replace(f"<|vision_start|>{PICTURE}<|vision_end|>", sight.marks[0])
        tokens = self.tokenizer(text, return_tensors="pt").to(self.encoder.device)
        ids = tokens["input_ids"]
        seen = (ids == self.encoder.config.image_token_id).int()
        said = self.encoder.generate(
            input_ids=ids,
            attention_mask=tokens["attention_mask"],
            mm_token_type_ids=seen,
            **sight.inputs,
            max_new_tokens=_MOST_SAID,
            do_sample=False,
        )
        return str(self.tokenizer.decode(said[0, ids.shape[1] :], skip_special_tokens=True)).strip()


@cache
def _question() -> str:
    """What the pipeline of diffusers asks the encoder for, so that descriptions are those that it makes."""
    names = ("scheduler", "vae", "text_encoder", "tokenizer", "processor", "transformer")
    nothing: dict[str, Any] = dict.fromkeys(names)
    return QwenImageLayeredPipeline(**nothing).image_caption_prompt_en


class QwenLayered(SeeingBackbone):
    """Qwen-Image-Layered. The first target is the whole, the others are its layers from the back to the front."""

    def __init__(
        self,
        *,
        card: Card,
        transformer: QwenImageTransformer2DModel,
        vae: AutoencoderKLQwenImage,
        text: QwenLayeredText,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__(card=card, transformer=transformer, codec=QwenLayersCodec(vae), scheduler=scheduler)
        self.text = text

    def encode_prompts_with_images(
        self,
        prompts: Sequence[Prompt],
        frames: Sequence[int],  # noqa: ARG002
        images: Sequence[Sequence[Image]],
    ) -> Text:
        """One sequence a page, padded to the longest; the transformer places text itself, behind the pictures."""
        rows = [self.text.encode(prompt, seen) for prompt, seen in zip(prompts, images, strict=True)]
        longest = max(len(row) for row in rows)
        return padded(rows, torch.zeros(longest, 3), self.device, self.dtype)

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        """Noise levels for layers of `tokens` tokens each, however many there are."""
        return self._levels(steps, mu=math.sqrt(tokens / 256))

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`."""
        return guided_within(context, self.passes(context, lambda read: self._pass(tokens, t, read, targets)))

    def _pass(self, tokens: Tensor, t: Tensor, context: Context, targets: Targets) -> Tensor:
        assert context.conditions is not None, "the way of reference gives it one condition"
        # The transformer knows the last picture for the condition.
        grids = (*targets.grids, *context.conditions.grids)
        velocity = self.transformer(
            hidden_states=torch.cat((tokens, context.conditions.tokens), dim=1),
            timestep=t,
            encoder_hidden_states=context.text.embeds,
            encoder_hidden_states_mask=context.text.mask,
            img_shapes=[[(1, grid.rows, grid.columns) for grid in grids]] * len(tokens),
            additional_t_cond=torch.zeros(len(tokens), dtype=torch.long, device=tokens.device),
            return_dict=False,
        )[0]
        return velocity[:, : tokens.shape[1]]
