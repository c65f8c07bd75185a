"""Prompts and conditions encoded once: results are kept by content, across pages and calls."""

import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from triptych.models.backbone import Backbone, Grid, ReadsConditions, Text, frames
from triptych.page import Page
from triptych.prompts import Prompt, write_prompt

__all__ = ["encode_picture", "encode_text", "forget", "grid_of", "pixels"]

_MOST_BYTES = 256 * 2**20


@dataclass(slots=True)
class _Cache:
    """Least recently used first out, by bytes."""

    entries: OrderedDict[Hashable, tuple[Tensor | Text, int]] = field(default_factory=OrderedDict)
    size: int = 0

    def get(self, key: Hashable, make: Callable[[], Tensor | Text]) -> Tensor | Text:
        if key in self.entries:
            self.entries.move_to_end(key)
            return self.entries[key][0]
        value = make()
        size = _bytes(value)
        self.entries[key] = (value, size)
        self.size += size
        while self.size > _MOST_BYTES and len(self.entries) > 1:
            self.size -= self.entries.popitem(last=False)[1][1]
        return value


_caches: "weakref.WeakKeyDictionary[Backbone, _Cache]" = weakref.WeakKeyDictionary()


def forget(backbone: Backbone) -> None:
    """Drop what is kept for a backbone: call it after changing the weights of its encoders."""
    _caches.pop(backbone, None)


def pixels(image: Image) -> Float[Tensor, "1 3 height width"]:
    """An RGB picture as numbers in [-1, 1]."""
    values = torch.from_numpy(np.array(image, dtype=np.float32))
    return (values / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


def grid_of(image_size_px: tuple[int, int], frame: int, factor: int) -> Grid:
    """The tokens of a picture whose sides are multiples of `factor`."""
    return Grid(frame=frame, rows=image_size_px[1] // factor, columns=image_size_px[0] // factor)


def encode_picture(backbone: Backbone, image: Image) -> Float[Tensor, "1 tokens channels"]:
    """Tokens of one picture. Pictures are encoded one by one, so that a batch cannot change their bits."""
    key = ("picture", image.size, hashlib.sha256(image.tobytes()).digest())
    value = _cache_of(backbone).get(
        key, lambda: backbone.encode_images(pixels(image).to(backbone.device, backbone.dtype))
    )
    assert isinstance(value, Tensor)
    return value


def encode_text(backbone: Backbone, pages: Sequence[Page], *, negative: bool = False) -> Text:
    """The prompts of pages of one layout, or with `negative` the backbone's second prompt, once a page."""
    places = frames(pages[0])
    seen = [[panel.picture for panel in page.all_panels if panel.picture is not None] for page in pages]
    if negative:
        prompts = [Prompt(text=backbone.card.negative or "", parts=())] * len(pages)
    else:
        prompts = [write_prompt(page) for page in pages]
    if isinstance(backbone, ReadsConditions):
        pictures = tuple(hashlib.sha256(image.tobytes()).digest() for images in seen for image in images)
        key = ("text", tuple(prompts), places, pictures)
        value = _cache_of(backbone).get(key, lambda: backbone.encode_prompts_with_images(prompts, places, seen))
    else:
        value = _cache_of(backbone).get(
            ("text", tuple(prompts), places), lambda: backbone.encode_prompts(prompts, places)
        )
    assert isinstance(value, Text)
    return value


def _cache_of(backbone: Backbone) -> _Cache:
    return _caches.setdefault(backbone, _Cache())


def _bytes(value: Tensor | Text) -> int:
    tensors = [value] if isinstance(value, Tensor) else [value.embeds, value.positions, value.pooled, value.mask]
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
