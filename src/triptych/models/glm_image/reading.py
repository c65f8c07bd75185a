"""What GLM-Image reads and drafts: a language model draws coarse tokens of the slots, a second one spells letters."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from einops import repeat
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor
from transformers import ByT5Tokenizer, GlmImageForConditionalGeneration, GlmImageProcessor, T5EncoderModel

from triptych.errors import BackboneError, PromptError
from triptych.models.offloading import call_up
from triptych.models.text import refuse_marks
from triptych.prompts import Prompt

__all__ = ["GlmText"]

_QUOTED = (r"'([^']*)'", r"“([^“”]*)”", r'"([^"]*)"', r"「([^「」]*)」")
"""Letters that are to be seen in the picture stand in quotation marks; those of one kind before the next."""
_ANY_SIZE = {"shortest_edge": 32**2, "longest_edge": 32768**2}
"""Pictures come at the size that the codec sees; the language model sees half of that."""
_TOKEN = 32
"""Pixels that a side of one drafted token covers; it is four tokens of the transformer."""


class GlmText:
    """GLM-Image's language model with its processor, and ByT5 for the letters."""

    def __init__(
        self,
        *,
        drafter: GlmImageForConditionalGeneration,
        processor: tuple[Any, Any],
        glyphs: T5EncoderModel,
        glyph_tokenizer: ByT5Tokenizer,
        limit: int = 2048,
    ) -> None:
        self.drafter: Any = drafter
        self.tokenizer, self.image_processor = processor
        self.image_processor.size = _ANY_SIZE
        self.processor: Any = GlmImageProcessor(
            image_processor=self.image_processor, tokenizer=self.tokenizer, chat_template=self.tokenizer.chat_template
        )
        self.glyphs: Any = glyphs
        self.glyph_tokenizer: Any = glyph_tokenizer
        self.limit = limit

    def spell(self, prompt: Prompt) -> Float[Tensor, "length width"]:
        """What ByT5 makes of each quoted text, one behind the other.

        Raises PromptError for a quoted text of more than `limit` tokens.
        """
        texts = [found for pattern in _QUOTED for found in re.findall(pattern, prompt.text)] or [""]
        rows = [self.glyph_tokenizer(text)["input_ids"] for text in texts]
        for text, row in zip(texts, rows, strict=True):
            if len(row) > self.limit:
                raise PromptError(
                    f"{text[:30]!r}... is {len(row)} tokens of letters and ByT5 reads {self.limit}. Shorten what "
                    "stands in quotation marks."
                )
        # As the network was trained: an odd number of texts is filled up in front.
        pad = self.glyph_tokenizer.pad_token_id
        rows = [[pad] * ((len(rows) + 1) % 2) + row for row in rows]
        longest = max(map(len, rows))
        device = self.glyphs.device
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
        states = self.glyphs(ids, attention_mask=mask).last_hidden_state
        return states[mask.bool()]

    def look(self, images: Sequence[Image]) -> Tensor:
        """The language model's own tokens of the pictures, for every 16x16 pixels, one picture behind the other."""
        call_up(self.drafter)
        seen = self.image_processor(images=list(images), return_tensors="pt").to(self.drafter.device)
        grids = seen["image_grid_thw"]
        features = self.drafter.get_image_features(seen["pixel_values"], grids).pooler_output
        tokens = self.drafter.get_image_tokens(features, grids)
        parts = tokens.split(grids.prod(dim=-1).tolist())
        return torch.cat(
            [_finer(part, rows, columns) for part, (_, rows, columns) in zip(parts, grids.tolist(), strict=True)]
        )

    def draft(self, prompt: Prompt, images: Sequence[Image], width_px: int, height_px: int, seed: int) -> Tensor:
        """Tokens for every 16x16 pixels of a picture of this size, drawn from `seed`.

        torch's own generator is left as it was. Raises BackboneError where the language model ends too early, and
        PromptError for a prompt that has the model's own mark of a picture.
        """
        refuse_marks(prompt, (self.processor.image_token,), encoder="GLM-Image")
        call_up(self.drafter)
        content = [{"type": "image", "image": image} for image in images]
        inputs = self.processor.apply_chat_template(
            [[{"role": "user", "content": [*content, {"type": "text", "text": prompt.text}]}]],
            tokenize=True,
            padding=False,
            target_h=height_px,
            target_w=width_px,
            return_dict=True,
            return_tensors="pt",
        ).to(self.drafter.device)
        rows, columns = height_px // _TOKEN, width_px // _TOKEN
        grids = inputs["image_grid_thw"]
        # Without pictures a small sketch comes first, of which the second, larger one is made.
        sketch = 0 if images else int(grids[1:].prod(dim=-1).sum())
        wanted = rows * columns
        device = self.drafter.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            output = self.drafter.generate(**inputs, max_new_tokens=sketch + wanted + 1, do_sample=True)
        drawn = output[0, inputs["input_ids"].shape[1] + sketch :][:wanted]
        if len(drawn) < wanted:
            raise BackboneError(
                f"the language model of GLM-Image ended after {len(drawn)} of {wanted} tokens. Try another seed."
            )
        return _finer(drawn, rows, columns)


def _finer(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """Each token for the four of the transformer that it covers, in row order."""
    return repeat(tokens.view(rows, columns), "h w -> (h p) (w q)", p=2, q=2).flatten()
