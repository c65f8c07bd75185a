"""The pocket as a `Backbone`."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from tokenizers import Tokenizer
from torch import Tensor, nn

from triptych.conditioning import Words
from triptych.flow import uniform_schedule, velocity_from_data
from triptych.models.backbone import Card, Conditioning, Conditions, Context, Grid, Keeps, Targets, Text
from triptych.models.pocket.codec import PocketCodec
from triptych.models.pocket.klt import FACTOR, KltCodec
from triptych.models.pocket.text import OVERVIEW_FRAME, PocketText, lay_out
from triptych.models.pocket.transformer import PLACE_FEATURES, PocketTransformer, ReferenceCache
from triptych.models.sharing import Shared
from triptych.prompts import Prompt

__all__ = [
    "PocketBackbone",
    "PocketConfig",
    "PocketNetwork",
    "pocket_card",
    "positions",
    "text_parts",
]

SIDE_PX = 128
_SAMPLE_STEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PocketConfig:
    """Name and sizes of the network, stored with its weights."""

    name: str = "pocket"
    """What cards, requests and skills call it."""
    codec: Literal["convolutional", "klt"] = "convolutional"
    """Which image codec: the first generation's, for squares of 128 px, or `KltCodec`, for any size."""
    channels: int = 128
    width: int = 320
    double_blocks: int = 2
    single_blocks: int = 8
    head_width: int = 64
    text_width: int = 256
    vocabulary: int = 6000
    detail: bool = False
    """Whether the references' tokens are read once more at the end: see `DetailHead`."""
    moves: int = 0
    """Heads that read the references' tokens by place: see `MoveHead`."""
    fits: bool = False
    """Whether examples are fitted by least squares: see `FitHead`."""
    sample_from: float | None = None
    """Noise level that the steps after the first start from, as it was trained; None: even steps from 1 to 0."""


class PocketNetwork(nn.Module):
    """Transformer, codec and text embedding in one module, so that one file holds them."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = (KltCodec if config.codec == "klt" else PocketCodec)(channels=config.channels)
        self.text = PocketText(vocabulary=config.vocabulary, width=config.text_width)
        self.transformer = PocketTransformer(
            in_channels=config.channels + PLACE_FEATURES,
            out_channels=config.channels,
            double_blocks=config.double_blocks,
            single_blocks=config.single_blocks,
            width=config.width,
            head_width=config.head_width,
            text_width=config.text_width,
            detail=config.detail,
            moves=config.moves,
            fits=config.fits,
        )
        nn.init.zeros_(self.transformer.proj_out.weight)


def positions(grids: Sequence[Grid]) -> Float[Tensor, "tokens 4"]:
    """(frame, row, column, 0) of every token; rows and columns are shared between images."""
    places = [
        torch.cartesian_prod(
            torch.tensor([float(grid.frame)]),
            torch.arange(grid.rows) * 1.0,
            torch.arange(grid.columns) * 1.0,
            torch.zeros(1),
        )
        for grid in grids
    ]
    return torch.cat(places) if places else torch.zeros(0, 4)


def text_parts(prompt: Prompt, frames: Sequence[int]) -> list[tuple[int, str]]:
    """A prompt's parts with the place that each belongs to."""
    return [(OVERVIEW_FRAME if part.panel is None else frames[part.panel], part.text) for part in prompt.parts]


def _memory(cache: ReferenceCache) -> Float[Tensor, "batch blocks 2 reference heads width"]:
    return torch.stack([torch.stack(block, dim=1) for block in cache.blocks], dim=1)


def _filled_cache(memory: Float[Tensor, "batch blocks 2 reference heads width"]) -> ReferenceCache:
    return ReferenceCache(blocks=tuple((block[:, 0], block[:, 1]) for block in memory.unbind(1)))


def pocket_card(config: PocketConfig = PocketConfig()) -> Card:
    """What a pocket of these sizes can do, known before its weights are read; by default the released one.

    One of the second codec is a reference model: no page of its training was painted on one canvas.
    """
    is_first = config.codec == "convolutional"
    return Card(
        name=config.name,
        family="pocket",
        conditionings=(Conditioning.REFERENCE, *((Conditioning.REPAINT,) if is_first else ())),
        factor=FACTOR,
        channels=config.channels,
        side_px=SIDE_PX,
        fixed_side=is_first,
        one_area=not is_first,
        clean_canvas=True,
        steps=1,  # nearly all is decided at t = 1, and more costs truth: docs/pocket.md, "Steps"
        sample_steps=None if config.sample_from is None else _SAMPLE_STEPS,
        guidance=None,
        max_text_tokens=64,
        words=Words.PLAIN,
        own_skills=True,
        summary="icons and emoji" if is_first else "photographs, clip art and icons",
        licence="Apache-2.0",
    )


class PocketBackbone:
    """The small backbone that ships inside the package."""

    def __init__(self, network: PocketNetwork, tokenizer: Tokenizer) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.card = pocket_card(network.config)
        self.shared = Shared()

    @property
    def transformer(self) -> PocketTransformer:
        return self.network.transformer

    @property
    def device(self) -> torch.device:
        return self.transformer.device

    @property
    def dtype(self) -> torch.dtype:
        return self.transformer.dtype

    def encode_images(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        return self.network.codec.encode(images.to(self.device, self.dtype))

    def decode_images(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch 3 height width"]:
        return self.network.codec.decode(tokens.to(self.dtype), rows=grid.rows).float().clamp(-1, 1)

    @property
    def linear(self) -> "PocketBackbone | None":
        """The same backbone with its codec's linear transform alone, as a baseline; None where it has no such part."""
        if not isinstance(self.network.codec, KltCodec):
            return None
        network = copy(self.network)
        network._modules = self.network._modules | {"codec": self.network.codec.linear()}
        return PocketBackbone(network, self.tokenizer)

    def encode_prompts(self, prompts: Sequence[Prompt], frames: Sequence[int]) -> Text:
        """One prompt a page, each part at its panel's place; raises PromptError for a part of more than 64 tokens."""
        blocks = lay_out([text_parts(prompt, frames) for prompt in prompts], self.tokenizer)
        return Text(embeds=self.network.text(blocks.ids.to(self.device)), positions=blocks.positions)

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:  # noqa: ARG002
        """The same for any number of tokens: one step to the mean, and from `sample_from` on even ones to a sample."""
        start = self.network.config.sample_from
        if start is None or steps == 1:
            return uniform_schedule(steps)
        return (1.0, *(start * level for level in uniform_schedule(steps - 1)))

    @property
    def keeps(self) -> Keeps:
        """Conditions attend to conditions only."""
        return Keeps.CONDITIONS

    def remember(self, text: Text, conditions: Conditions | None, *, guidance: float | None) -> Tensor | None:  # noqa: ARG002
        """Keys and values of the conditions in every block."""
        if conditions is None:
            return None
        return _memory(self.transformer.encode_references(conditions.tokens, positions(conditions.grids)))

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`; `t` must be above 0."""
        clean = self.transformer.predict(
            tokens,
            t.to(tokens.dtype),
            text=context.text.embeds,
            text_positions=context.text.positions,
            positions=positions(targets.grids),
            references=None if context.memory is None else _filled_cache(context.memory),
        )
        return velocity_from_data(tokens, clean, t[:, None, None]).to(tokens.dtype)
