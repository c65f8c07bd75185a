"""What the vision-language text encoders of Qwen-Image share: pictures among words, and rows of unlike lengths."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from triptych.models.backbone import Text

__all__ = ["MARKS", "PICTURE", "Sight", "VisionText", "padded"]

PICTURE = "<|image_pad|>"
"""The token that stands for pixels, as often as the encoder sees patches."""
MARKS = (PICTURE, "<|video_pad|>")
"""What a prompt must not say: the encoder would look for pictures that are not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Pictures as an encoder takes them."""

    inputs: dict[str, Tensor]
    marks: tuple[str, ...]
    """What stands for each picture in the text."""


class VisionText:
    """A vision-language encoder with its tokenizer.

    `image_processor` is the one of Qwen2-VL, without the rest of its processor: that would need torchvision.
    """

    def __init__(
        self, encoder: nn.Module, tokenizer: PreTrainedTokenizerBase, image_processor: Any, *, limit: int
    ) -> None:
        self.encoder: Any = encoder
        self.tokenizer, self.image_processor, self.limit = tokenizer, image_processor, limit

    def see(self, images: Sequence[Image], *, resize: bool = True) -> Sight:
        """The patches of the pictures; with `resize` of sizes that the processor chooses."""
        if not images:
            return Sight(inputs={}, marks=())
        pictures = self.image_processor(images=list(images), return_tensors="pt", do_resize=resize)
        merged = self.image_processor.merge_size**2
        return Sight(
            inputs={name: pictures[name].to(self.encoder.device) for name in ("pixel_values", "image_grid_thw")},
            marks=tuple(
                f"<|vision_start|>{PICTURE * (int(grid.prod()) // merged)}<|vision_end|>"
                for grid in pictures["image_grid_thw"]
            ),
        )

    def read(self, text: str, sight: Sight) -> tuple[Float[Tensor, "length width"], Tensor]:
        """The last hidden states, and which of them stand for pixels."""
        tokens = self.tokenizer(text, return_tensors="pt").to(self.encoder.device)
        ids, inputs = tokens["input_ids"], dict(sight.inputs)
        seen = ids == self.encoder.config.image_token_id
        if sight.marks:
            # Says which tokens stand for pixels: the encoder places those in two dimensions.
            inputs["mm_token_type_ids"] = seen.int()
        output = self.encoder(
            input_ids=ids, attention_mask=tokens["attention_mask"], output_hidden_states=True, **inputs
        )
        return output.hidden_states[-1][0], seen[0]


def padded(
    rows: Sequence[Float[Tensor, "_ width"]], positions: Tensor, device: torch.device, dtype: torch.dtype
) -> Text:
    """One sequence a page, padded to the longest, and the mask that tells; none where nothing was padded."""
    lengths = torch.tensor([len(row) for row in rows])
    embeds = nn.utils.rnn.pad_sequence(list(rows), batch_first=True).to(device, dtype)
    mask = torch.arange(embeds.shape[1])[None] < lengths[:, None]
    return Text(embeds=embeds, positions=positions, mask=None if bool(mask.all()) else mask.long().to(device))
