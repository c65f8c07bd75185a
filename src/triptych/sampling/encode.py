"""Prompts and conditions encoded once: results are kept by content, across pages and calls."""

import hashlib
from collections.abc import Hashable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL.Image import Image, fromarray
from torch import Tensor

from triptych.images import opaque
from triptych.models.backbone import Backbone, Card, Drafts, Grid, ReadsConditions, Text, frames
from triptych.naming import named_prompt
from triptych.page import Page
from triptych.prompts import Prompt, write_prompt

__all__ = [
    "draft_of",
    "encode_picture",
    "encode_text",
    "grid_of",
    "picture_key",
    "picture_of",
    "pixels",
    "prompt_of",
    "text_keys",
]


def pixels(image: Image) -> Float[Tensor, "1 colours height width"]:
    """A picture, RGB or RGBA, as numbers in [-1, 1]."""
    values = torch.from_numpy(np.array(image, dtype=np.float32))
    return (values / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


def picture_of(values: Float[Tensor, "1 colours height width"]) -> Image:
    """What `pixels` makes numbers of, from such numbers; those outside [-1, 1] are cut off."""
    levels = ((values[0].float() + 1) * 127.5).round().clamp(0, 255)
    return fromarray(levels.permute(1, 2, 0).cpu().numpy().astype(np.uint8))


def grid_of(image_size_px: tuple[int, int], frame: int, factor: int) -> Grid:
    """The tokens of a picture whose sides are multiples of `factor`."""
    return Grid(frame=frame, rows=image_size_px[1] // factor, columns=image_size_px[0] // factor)


def picture_key(image: Image) -> Hashable:
    """Equal for equal pictures."""
    return image.size, hashlib.sha256(image.tobytes()).digest()


def encode_picture(backbone: Backbone, image: Image) -> Float[Tensor, "1 tokens channels"]:
    """Tokens of one picture. Pictures are encoded one by one, so that a batch cannot change their bits."""
    image = image if backbone.card.layered else opaque(image)
    value = backbone.shared.encodings.get(
        ("picture", picture_key(image)),
        lambda: backbone.encode_images(pixels(image).to(backbone.device, backbone.dtype)),
    )
    assert isinstance(value, Tensor)
    return value


def text_keys(backbone: Backbone, pages: Sequence[Page], *, negative: bool = False) -> tuple[Hashable, ...]:
    """For each page, the content of all that its text encoder reads."""
    seen = [()] * len(pages)
    if isinstance(backbone, ReadsConditions):
        seen = [tuple(map(picture_key, _pictures(page))) for page in pages]
    prompts = [_prompt(backbone, page, negative) for page in pages]
    return tuple((prompt, frames(page), own) for prompt, page, own in zip(prompts, pages, seen, strict=True))


def encode_text(backbone: Backbone, pages: Sequence[Page], *, negative: bool = False) -> Text:
    """The prompts of pages of one layout, or with `negative` the backbone's second prompt, once a page.

    Pages that say the same are encoded once.
    """
    keys = text_keys(backbone, pages, negative=negative)
    if len(set(keys)) == 1 and len(pages) > 1:
        return encode_text(backbone, pages[:1], negative=negative).repeated(len(pages))
    prompts, places = [_prompt(backbone, page, negative) for page in pages], frames(pages[0])

    def encode() -> Text:
        if isinstance(backbone, ReadsConditions):
            return backbone.encode_prompts_with_images(prompts, places, [_pictures(page) for page in pages])
        return backbone.encode_prompts(prompts, places)

    value = backbone.shared.encodings.get(("text", keys), encode)
    assert isinstance(value, Text)
    return value


def draft_of(backbone: Drafts, pages: Sequence[Page], grids: tuple[Grid, ...], seeds: Sequence[int]) -> Tensor:
    """What the backbone's language model drafts of the targets, once for a page and a seed."""
    rows = []
    for page, seed, said in zip(pages, seeds, text_keys(backbone, pages), strict=True):
        prompt, seen = _prompt(backbone, page, False), _pictures(page)

        def afresh(prompt: Prompt = prompt, seen: list[Image] = seen, seed: int = seed) -> Tensor:
            return backbone.draft([prompt], [seen], grids, [seed])

        value = backbone.shared.encodings.get(("draft", said, grids, seed), afresh)
        assert isinstance(value, Tensor)
        rows.append(value)
    return torch.cat(rows)


def prompt_of(page: Page, card: Card) -> Prompt:
    """What the backbone's text encoder reads of a working page."""
    return write_prompt(page) if card.picture_name is None else named_prompt(page, card.picture_name)


def _prompt(backbone: Backbone, page: Page, negative: bool) -> Prompt:
    return Prompt(text=backbone.card.negative or "", parts=()) if negative else prompt_of(page, backbone.card)


def _pictures(page: Page) -> list[Image]:
    return [panel.picture for panel in page.all_panels if panel.picture is not None]
