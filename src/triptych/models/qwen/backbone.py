"""Qwen-Image-Edit, plain and Plus: conditions by reference, and seen by the text encoder too."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Qwen2_5_VLForConditionalGeneration

from triptych.models.backbone import Card, Context, Grid, Targets, Text
from triptych.models.codecs import QwenCodec
from triptych.models.latent import SeeingBackbone, guided_within, linear_mu
from triptych.models.side_by_side import SideBySide
from triptych.models.text import refuse_marks, refuse_truncation
from triptych.models.vision_text import MARKS, VisionText, padded
from triptych.prompts import Prompt

__all__ = ["QwenEdit", "QwenEditText"]

_TEMPLATE = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. Generate a new "
    "image that meets the user's requirements while maintaining consistency with the original input where "
    "appropriate.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
_TEMPLATE_TOKENS = 64
"""Tokens of the system message in Qwen's vocabulary: the transformer was trained without them."""


class QwenEditText(VisionText):
    """Qwen2.5-VL reads the pictures, and then the prompt.

    Plus was trained on numbered pictures shrunk to about `seen_side_px` squared; the plain one (`seen_side_px` None) on
    one picture of the size that the codec sees, without a number.
    """

    def __init__(
        self,
        encoder: Qwen2_5_VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Any,
        *,
        limit: int = 1024,
        seen_side_px: int | None = 384,
    ) -> None:
        super().__init__(encoder, tokenizer, image_processor, limit=limit)
        self.seen_side_px = seen_side_px

    def encode(self, prompt: Prompt, images: Sequence[Image.Image]) -> Float[Tensor, "length width"]:
        """Last hidden states of one page, without the system message.

        Raises PromptError where template and prompt together, pictures not counted, have more than `limit` tokens.
        """
        refuse_marks(prompt, MARKS, encoder="Qwen2.5-VL")
        count = len(self.tokenizer(_TEMPLATE.format(prompt.text))["input_ids"])
        refuse_truncation(prompt, tokens=count, limit=self.limit, tokenizer=self.tokenizer, encoder="Qwen2.5-VL")
        sight = self.see([self._seen(image) for image in images])
        named = "" if self.seen_side_px is None else "Picture {}: "
        seen = "".join(named.format(number) + marks for number, marks in enumerate(sight.marks, 1))
        return self.read(_TEMPLATE.format(seen + prompt.text), sight)[0][_TEMPLATE_TOKENS:]

    def _seen(self, image: Image.Image) -> Image.Image:
        if self.seen_side_px is None:
            return image
        ratio = image.width / image.height
        width = math.sqrt(self.seen_side_px**2 * ratio)
        size = (round(width / 32) * 32, round(width / ratio / 32) * 32)
        return image.resize(size, Image.Resampling.LANCZOS)


class QwenEdit(SeeingBackbone):
    """Qwen-Image-Edit, and Plus (2509 and 2511)."""

    def __init__(
        self,
        *,
        card: Card,
        transformer: QwenImageTransformer2DModel,
        vae: AutoencoderKLQwenImage,
        text: QwenEditText,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__(card=card, transformer=transformer, codec=QwenCodec(vae), scheduler=scheduler)
        self.text = text

    def encode_prompts_with_images(
        self,
        prompts: Sequence[Prompt],
        frames: Sequence[int],  # noqa: ARG002
        images: Sequence[Sequence[Image.Image]],
    ) -> Text:
        """One sequence a page, padded to the longest; the transformer places text itself, behind the pictures."""
        rows = [self.text.encode(prompt, seen) for prompt, seen in zip(prompts, images, strict=True)]
        longest = max(len(row) for row in rows)
        return padded(rows, torch.zeros(longest, 3), self.device, self.dtype)

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        return self._levels(steps, mu=linear_mu(tokens, self._scheduler.config))

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`."""
        # The 2511 weights know one target, the first picture, and hold all others to be clean; the plain ones know one
        # target and one condition.
        if not getattr(self.transformer, "zero_cond_t", False) and self.text.seen_side_px is not None:
            return self._guided(tokens, t, context, targets.grids)
        slots = SideBySide(targets.grids, self.card)
        return slots.part(self._guided(slots.join(tokens), t, context, (slots.wide,)))

    def _guided(self, tokens: Tensor, t: Tensor, context: Context, grids: tuple[Grid, ...]) -> Tensor:
        return guided_within(context, self.passes(context, lambda read: self._pass(tokens, t, read, grids)))

    def _pass(self, tokens: Tensor, t: Tensor, context: Context, grids: tuple[Grid, ...]) -> Tensor:
        conditions, inputs = context.conditions, tokens
        if conditions is not None:
            inputs, grids = torch.cat((tokens, conditions.tokens), dim=1), (*grids, *conditions.grids)
        velocity = self.transformer(
            hidden_states=inputs,
            timestep=t,
            encoder_hidden_states=context.text.embeds,
            encoder_hidden_states_mask=context.text.mask,
            img_shapes=[[(1, grid.rows, grid.columns) for grid in grids]] * len(tokens),
            return_dict=False,
        )[0]
        return velocity[:, : tokens.shape[1]]
