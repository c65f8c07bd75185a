"""The pocket transformer: FLUX.2's own blocks at small size, predicting the clean image and answering with velocity."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from triptych.models.pocket.attention import KeysAndValues
from triptych.models.pocket.blocks import DoubleBlock, Modulation, SingleBlock, TimeEmbedding, last_norm, rotary_angles
from triptych.models.pocket.detail import DetailHead
from triptych.models.pocket.fits import FitHead
from triptych.models.pocket.lastheads import LastHeads
from triptych.models.pocket.moves import MoveHead

__all__ = ["FIRST_REFERENCE_FRAME", "PLACE_FEATURES", "PocketTransformer", "ReferenceCache", "with_places"]

_PLACE_PERIODS = (4.0, 8.0, 16.0, 32.0)
PLACE_FEATURES = 4 * len(_PLACE_PERIODS)
"""Sines and cosines of a token's row and column, which stand beside its channels."""

FIRST_REFERENCE_FRAME = 10
"""References stand at 10, 20, ... on the first position axis, as FLUX.2's do; slots before them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCache:
    """Keys and values of the references in every block, double blocks first; what the heads at the end keep is last."""

    blocks: tuple[KeysAndValues, ...]


def with_places(
    tokens: Float[Tensor, "batch tokens channels"], places: Float[Tensor, "tokens 4"]
) -> Float[Tensor, "batch tokens wide"]:
    """The tokens, and where they stand in their picture.

    Rotary positions tell how far two tokens are apart; to mirror, turn, tile or zoom one must know where each stands,
    and products of these features match a place with its image under any such map.
    """
    periods = places.new_tensor(_PLACE_PERIODS)
    angles = (2 * torch.pi * places[:, 1:3, None] / periods).flatten(1)
    features = torch.cat((angles.sin(), angles.cos()), dim=1).to(tokens.dtype)
    return torch.cat((tokens, features.expand(len(tokens), -1, -1)), dim=2)


class PocketTransformer(nn.Module):
    """FLUX.2's network at small size, which predicts the clean tokens (Li and He 2025, arXiv:2511.13720).

    Its weights are called as in `diffusers.Flux2Transformer2DModel`; `triptych.models.pocket.in_diffusers` puts them
    there. `detail` adds a `DetailHead`, `moves` a `MoveHead` of so many heads and `fits` a `FitHead`, which FLUX.2 has
    not.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        double_blocks: int,
        single_blocks: int,
        width: int,
        head_width: int,
        text_width: int,
        detail: bool = False,
        moves: int = 0,
        fits: bool = False,
    ) -> None:
        super().__init__()
        self.axes = (head_width // 4,) * 4
        self.time_guidance_embed = TimeEmbedding(width)
        self.double_stream_modulation_img = Modulation(width, sets=2)
        self.double_stream_modulation_txt = Modulation(width, sets=2)
        self.single_stream_modulation = Modulation(width, sets=1)
        self.x_embedder = nn.Linear(in_channels, width, bias=False)
        self.context_embedder = nn.Linear(text_width, width, bias=False)
        self.transformer_blocks = nn.ModuleList([DoubleBlock(width, head_width) for _ in range(double_blocks)])
        self.single_transformer_blocks = nn.ModuleList([SingleBlock(width, head_width) for _ in range(single_blocks)])
        self.norm_out = nn.ModuleDict({"linear": nn.Linear(width, 2 * width, bias=False)})
        self.proj_out = nn.Linear(width, out_channels, bias=False)
        self.detail = DetailHead(width=width, channels=out_channels, head_width=head_width) if detail else None
        self.moves = MoveHead(width=width, channels=out_channels, count=moves) if moves else None
        self.fits = FitHead(width=width, channels=out_channels) if fits else None
        self._checkpoints = False

    @property
    def last(self) -> LastHeads:
        """The heads that read the references' tokens once more."""
        return LastHeads(detail=self.detail, moves=self.moves, fits=self.fits, head_width=sum(self.axes))

    @property
    def device(self) -> torch.device:
        return self.x_embedder.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.x_embedder.weight.dtype

    def enable_gradient_checkpointing(self) -> None:
        """Compute the blocks again when gradients are needed, instead of keeping what they computed."""
        self._checkpoints = True

    def disable_gradient_checkpointing(self) -> None:
        """Keep what the blocks computed."""
        self._checkpoints = False

    def compile_repeated_blocks(self, **options: Any) -> None:
        """Compile each block, in place; equal blocks share the code."""
        for block in (*self.transformer_blocks, *self.single_transformer_blocks):
            block.compile(**options)

    def predict(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        *,
        text: Float[Tensor, "batch length width"],
        text_positions: Float[Tensor, "length 4"],
        positions: Float[Tensor, "target 4"],
        references: ReferenceCache | None = None,
    ) -> Float[Tensor, "batch target channels"]:
        """Clean tokens expected at noise level `t`, given the references' keys and values."""
        return self(tokens, t, text, text_positions, positions, references, remembers=False)[0]

    def encode_references(
        self, tokens: Float[Tensor, "batch reference channels"], positions: Float[Tensor, "reference 4"]
    ) -> ReferenceCache:
        """Keys and values of clean tokens in every block: they attend only to themselves. Gradients flow through."""
        no_text = tokens.new_zeros(len(tokens), 0, self.context_embedder.in_features)
        return self(tokens, tokens.new_zeros(len(tokens)), no_text, positions[:0], positions, None, remembers=True)[1]

    def forward(
        self,
        tokens: Tensor,
        t: Tensor,
        text: Tensor,
        text_positions: Tensor,
        positions: Tensor,
        references: ReferenceCache | None,
        *,
        remembers: bool,
    ) -> tuple[Tensor, ReferenceCache]:
        """Clean tokens, and the tokens' own keys and values in every block; in the last heads where it `remembers`."""
        level = self.time_guidance_embed(t.to(tokens))
        text_positions, positions = text_positions.to(tokens.device), positions.to(tokens.device)
        image_shifts, text_shifts = self.double_stream_modulation_img(level), self.double_stream_modulation_txt(level)
        (shifts,) = self.single_stream_modulation(level)
        rotary = rotary_angles(torch.cat((text_positions, positions)), self.axes)
        image, words = self.x_embedder(with_places(tokens, positions)), self.context_embedder(text)
        kept = iter(references.blocks) if references is not None else None
        own = []
        for block in self.transformer_blocks:
            here = next(kept) if kept is not None else None
            image, words, seen = self._run(block, image, words, image_shifts, text_shifts, rotary, here)
            own.append(seen)
        both, texts = torch.cat((words, image), dim=1), words.shape[1]
        for block in self.single_transformer_blocks:
            here = next(kept) if kept is not None else None
            both, seen = self._run(block, both, shifts, rotary, texts, here)
            own.append(seen)
        stream = last_norm(both[:, texts:], level, self.norm_out["linear"])
        clean = self.proj_out(stream)
        here = rotary[0][texts:], rotary[1][texts:]
        if kept is not None:
            clean = self.last.added(clean, stream, tuple(kept), positions, here)
        if remembers:
            own.extend(self.last.kept(stream, tokens, positions, here))
        return clean, ReferenceCache(blocks=tuple(own))

    def _run(self, block: nn.Module, *inputs: Any) -> Any:
        if self._checkpoints and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)
