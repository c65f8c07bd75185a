"""Pages to tensors for pretraining, in a worker process that composes ahead of the optimizer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL.Image import Image
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from triptych.canvas import Canvas, arrange
from triptych.data.mixture import Mixture
from triptych.errors import TrainingError
from triptych.models.backbone import Grid, frames
from triptych.models.pocket.backbone import text_parts
from triptych.models.pocket.text import TextBlocks, lay_out
from triptych.page import Page
from triptych.prompts import write_prompt

__all__ = ["PageBatch", "batches", "collate", "on_device", "to_unit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageBatch:
    """Pages of one shape: pictures as bytes, text as ids, and the place of every picture."""

    given: UInt8[Tensor, "batch given height width 3"]
    answers: UInt8[Tensor, "batch slots height width 3"]
    text: TextBlocks
    given_grids: tuple[Grid, ...]
    slot_grids: tuple[Grid, ...]
    canvas: Canvas
    """Where the first page's panels lie when it is painted as one picture; the other pages are laid out alike."""
    slots: tuple[int, ...]
    """Which of the canvas's boxes are slots; the others hold the given pictures, in order."""
    index: int
    open_share: float | None = None
    """Of the entry it was drawn from."""


def _stack(rows: list[list[Image]], size_px: tuple[int, int]) -> Tensor:
    shape = (len(rows), len(rows[0]), size_px[1], size_px[0], 3)
    arrays = [np.asarray(image) for row in rows for image in row]
    return torch.from_numpy(np.stack(arrays).reshape(shape)) if arrays else torch.zeros(shape, dtype=torch.uint8)


def collate(pages: list[Page], tokenizer: Tokenizer, *, factor: int, index: int = 0) -> PageBatch:
    """Tensors of answered pages of one shape, all of whose pictures are of one size in multiples of `factor`.

    Raises TrainingError where they are not.
    """
    own = len(pages[0].panels)
    slot_rows = [position < own and panel.is_slot for position, panel in enumerate(pages[0].all_panels)]
    size_px = _common_size(pages, factor)
    grids = [Grid(frame=frame, rows=size_px[1] // factor, columns=size_px[0] // factor) for frame in frames(pages[0])]
    prompts = [text_parts(write_prompt(page), frames(page)) for page in pages]

    def pictures(*, slots: bool) -> list[list[Image]]:
        rows = [zip(page.all_panels, slot_rows, strict=True) for page in pages]
        return [[panel.picture for panel, is_slot in row if is_slot is slots and panel.picture] for row in rows]

    return PageBatch(
        given=_stack(pictures(slots=False), size_px),
        answers=_stack(pictures(slots=True), size_px),
        text=lay_out(prompts, tokenizer),
        given_grids=tuple(grid for grid, is_slot in zip(grids, slot_rows, strict=True) if not is_slot),
        slot_grids=tuple(grid for grid, is_slot in zip(grids, slot_rows, strict=True) if is_slot),
        canvas=arrange(pages[0], multiple=factor, fit=True),
        slots=tuple(position for position, is_slot in enumerate(slot_rows) if is_slot),
        index=index,
    )


def _common_size(pages: list[Page], factor: int) -> tuple[int, int]:
    sizes = {panel.picture.size for page in pages for panel in page.all_panels if panel.picture is not None}
    if len(sizes) != 1 or any(side % factor for side in next(iter(sizes))):
        found = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        raise TrainingError(
            f"the pictures of one batch are {found} px; they must have one size in multiples of {factor}. "
            f"Rule of the first page: {pages[0].rule}."
        )
    return next(iter(sizes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batches(Dataset):
    mixture: Mixture
    tokenizer_json: str
    factor: int
    first: int
    count: int
    stride: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> PageBatch:
        index = self.first + position * self.stride
        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        pages = self.mixture.batch(index)
        batch = collate(pages, tokenizer, factor=self.factor, index=index)
        return replace(batch, open_share=self.mixture.open_share(index))


def batches(
    mixture: Mixture, tokenizer: Tokenizer, *, factor: int, first: int, count: int, workers: int = 1, stride: int = 1
) -> Iterator[PageBatch]:
    """Batches `first`, `first` + `stride`, ... in order, composed ahead by `workers` processes."""
    dataset = _Batches(
        mixture=mixture, tokenizer_json=tokenizer.to_str(), factor=factor, first=first, count=count, stride=stride
    )
    return iter(DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=6 if workers else None))


def on_device(batch: PageBatch, device: torch.device) -> PageBatch:
    """The batch with its tensors there."""
    text = replace(batch.text, ids=batch.text.ids.to(device), positions=batch.text.positions.to(device))
    return replace(batch, given=batch.given.to(device), answers=batch.answers.to(device), text=text)


def to_unit(pictures: UInt8[Tensor, "batch panels height width 3"]) -> Float[Tensor, "pictures 3 height width"]:
    """Bytes to [-1, 1], channels first, panels folded into the batch."""
    return pictures.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
