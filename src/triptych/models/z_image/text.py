"""What Z-Image-Omni reads: the words in pieces between which pictures stand, and what SigLIP 2 sees in each picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, Siglip2VisionModel

from triptych.models.backbone import Text
from triptych.models.text import refuse_truncation
from triptych.prompts import Prompt

__all__ = ["Sighted", "ZImageText", "as_text", "pieces_of", "sights_of"]

_BEGIN, _SEEN, _SEE = "<|im_start|>user\n", "<|vision_end|>", "<|vision_start|>"
_ANSWER = "<|im_end|>\n<|im_start|>assistant\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighted:
    """One page as it was read."""

    pieces: tuple[Float[Tensor, "_ width"], ...]
    """Every picture stands behind one of them: the conditions behind the first ones, then what is made."""
    sights: tuple[Float[Tensor, "_ _ features"], ...]
    """One for each condition."""


class ZImageText:
    """Qwen3 reads words alone, each piece for itself; SigLIP 2 looks at the conditions."""

    def __init__(
        self,
        encoder: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        eyes: Siglip2VisionModel,
        image_processor: Any,
        *,
        limit: int = 512,
    ) -> None:
        self.encoder: Any = encoder
        self.eyes: Any = eyes
        self.tokenizer, self.image_processor, self.limit = tokenizer, image_processor, limit

    def encode(self, prompt: Prompt, images: Sequence[Image]) -> Sighted:
        """Raises PromptError for a prompt that, with its template, has more than `limit` tokens."""
        texts = _texts(prompt.text, len(images))
        count = max(len(self.tokenizer(text)["input_ids"]) for text in texts)
        refuse_truncation(prompt, tokens=count, limit=self.limit, tokenizer=self.tokenizer, encoder="Qwen3")
        return Sighted(pieces=tuple(map(self._read, texts)), sights=tuple(map(self._look, images)))

    def _read(self, text: str) -> Float[Tensor, "length width"]:
        """What the last layer but one says."""
        tokens = self.tokenizer(text, return_tensors="pt").to(self.encoder.device)
        output = self.encoder(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], output_hidden_states=True
        )
        return output.hidden_states[-2][0]

    def _look(self, image: Image) -> Float[Tensor, "rows columns features"]:
        inputs = self.image_processor(images=[image], return_tensors="pt").to(self.eyes.device)
        rows, columns = inputs["spatial_shapes"][0].tolist()
        return self.eyes(**inputs).last_hidden_state[0, : rows * columns].unflatten(0, (rows, columns))


def _texts(words: str, pictures: int) -> tuple[str, ...]:
    if not pictures:
        return (_BEGIN + words + _ANSWER,)
    between = (_SEEN + _SEE,) * (pictures - 1)
    return (_BEGIN + _SEE, *between, _SEEN + words + _ANSWER + _SEE, _SEEN + "<|im_end|>")


def as_text(pages: Sequence[Sighted], device: torch.device, dtype: torch.dtype) -> Text:
    """Pages of one layout as one batch; `pieces_of` and `sights_of` are the way back.

    Pieces lie one behind the other, each padded to the longest of the batch. A token's position says which piece it is
    of, and how many rows and columns were seen of the picture behind that. What was seen is pooled, flat.
    """
    pieces = [
        nn.utils.rnn.pad_sequence(list(row), batch_first=True) for row in zip(*(p.pieces for p in pages), strict=True)
    ]
    lengths = torch.tensor([[len(piece) for piece in page.pieces] for page in pages])
    masks = [torch.arange(piece.shape[1])[None] < lengths[:, place, None] for place, piece in enumerate(pieces)]
    shapes = [sight.shape[:2] for sight in pages[0].sights]
    shapes += [torch.Size((0, 0))] * (len(pieces) - len(shapes))
    places = [
        torch.tensor([[number, *shape]]).float().expand(piece.shape[1], -1)
        for number, (piece, shape) in enumerate(zip(pieces, shapes, strict=True))
    ]
    mask = torch.cat(masks, dim=1)
    seen = [torch.cat([sight.flatten() for sight in page.sights]) for page in pages if page.sights]
    return Text(
        embeds=torch.cat(pieces, dim=1).to(device, dtype),
        positions=torch.cat(places),
        pooled=torch.stack(seen).to(device, dtype) if seen else None,
        mask=None if bool(mask.all()) else mask.long().to(device),
    )


def pieces_of(text: Text, row: int) -> list[Float[Tensor, "_ width"]]:
    """The pieces of one page."""
    numbers = text.positions[:, 0].to(text.embeds.device)
    there = torch.ones_like(numbers, dtype=torch.bool) if text.mask is None else text.mask[row].bool()
    return [text.embeds[row, (numbers == number) & there] for number in range(int(numbers.max()) + 1)]


def sights_of(text: Text, row: int) -> list[Float[Tensor, "_ _ features"]]:
    """What was seen of each condition of one page."""
    if text.pooled is None:
        return []
    shapes = [(int(rows), int(columns)) for _, rows, columns in text.positions.unique(dim=0).tolist() if rows]
    tokens = [rows * columns for rows, columns in shapes]
    flat = text.pooled[row].unflatten(0, (sum(tokens), -1)).split(tokens)
    return [part.unflatten(0, shape) for part, shape in zip(flat, shapes, strict=True)]
