"""Text conditioning of the pocket: a byte-pair vocabulary, learned embeddings, and a place for each panel's words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from triptych.errors import PromptError

__all__ = ["OVERVIEW_FRAME", "PocketText", "TextBlocks", "lay_out", "train_tokenizer"]

OVERVIEW_FRAME = -10
"""Place of the overview on the first position axis: on the far side of the slots from the conditions."""

MAX_PART_TOKENS = 64
_PAD, _UNKNOWN = "[PAD]", "[UNK]"
_BLOCKS = (4, 16, 32, MAX_PART_TOKENS)
"""Lengths of a block: few, so that pages share shapes."""


def train_tokenizer(texts: Iterable[str], *, size: int = 6000) -> Tokenizer:
    """A lower-case byte-pair vocabulary of `size` pieces learned from `texts`."""
    tokenizer = Tokenizer(models.BPE(unk_token=_UNKNOWN, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[_PAD, _UNKNOWN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBlocks:
    """Token ids of a batch and their positions, which every page of the batch shares."""

    ids: Int[Tensor, "batch length"]
    positions: Float[Tensor, "length 4"]


def lay_out(pages: Sequence[Sequence[tuple[int, str]]], tokenizer: Tokenizer) -> TextBlocks:
    """Place each page's (frame, text) parts: one padded block a frame, its words counted on the last axis.

    A block holds 4, 16, 32 or 64 tokens, as its longest text in the batch asks; the overview's block is always there.
    Raises PromptError for a part of more than 64 tokens.
    """
    encoded = [{frame: tokenizer.encode(text).ids for frame, text in ((OVERVIEW_FRAME, ""), *parts)} for parts in pages]
    for parts in encoded:
        for frame, ids in parts.items():
            if len(ids) > MAX_PART_TOKENS:
                most = f"pocket reads at most {MAX_PART_TOKENS}"
                raise PromptError(f"{_place(frame)} has {len(ids)} tokens; {most}. Say it in fewer words.")
    columns: list[Tensor] = []
    places: list[Tensor] = []
    for frame in sorted({frame for parts in encoded for frame in parts}):
        longest = max(len(parts.get(frame, ())) for parts in encoded)
        length = next(size for size in _BLOCKS if size >= longest)
        block = torch.zeros(len(encoded), length, dtype=torch.long)
        for row, parts in enumerate(encoded):
            ids = parts.get(frame, [])
            block[row, : len(ids)] = torch.tensor(ids, dtype=torch.long)
        place = torch.zeros(length, 4)
        place[:, 0], place[:, 3] = frame, torch.arange(length)
        columns.append(block)
        places.append(place)
    return TextBlocks(ids=torch.cat(columns, dim=1), positions=torch.cat(places))


def _place(frame: int) -> str:
    """A frame in the user's words: slots and conditions are counted from 1, those of example pages as conditions."""
    if frame == OVERVIEW_FRAME:
        return "the overview"
    return "the instruction of " + (f"slot {frame + 1}" if frame < 10 else f"condition {frame // 10}")


class PocketText(nn.Module):
    """Token ids to embeddings; the transformer's double blocks do the reading."""

    def __init__(self, *, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=1.0)

    def forward(self, ids: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length width"]:
        return self.embedding(ids)
