"""Prompts and conditions encoded once: results are kept by content, across pages and calls."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from triptych.models.backbone import Backbone, Grid, ReadsConditions, Text, frames
from triptych.page import Page
from triptych.prompts import Prompt, write_prompt

__all__ = ["encode_picture", "encode_text", "grid_of", "pixels"]


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
    value = backbone.shared.encodings.get(
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
        value = backbone.shared.encodings.get(key, lambda: backbone.encode_prompts_with_images(prompts, places, seen))
    else:
        value = backbone.shared.encodings.get(
            ("text", tuple(prompts), places), lambda: backbone.encode_prompts(prompts, places)
        )
    assert isinstance(value, Text)
    return value
