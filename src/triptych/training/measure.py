"""Loss on pages that are not trained on, and pictures that are too much like what they should not be like."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from triptych.page import Page
from triptych.training.objective import FlowMatching, group_items
from triptych.training.prepare import Setting
from triptych.training.variants import item_seed

__all__ = ["copies", "distance", "held_out_loss"]

_SIDE_PX = 32
_SAME = 0.03
"""Root mean square difference, of pictures from 0 to 1, below which two pictures count as one."""


@torch.no_grad()
def held_out_loss(objective: FlowMatching, pages: Sequence[Page], setting: Setting, *, seed: int) -> float:
    """The training loss on unchanged pages, with the same noise each time it is measured."""
    measured = replace(objective, draws=max(4, objective.draws))
    items = [measured.prepare(page, setting, item_seed(seed, "held out", number)) for number, page in enumerate(pages)]
    return float(torch.cat([measured.losses(group) for group in group_items(measured.backbone, items)]).mean())


def distance(one: Image.Image, other: Image.Image) -> float:
    """Root mean square difference of two pictures at thumbnail size, from 0 to 1."""
    first, second = (
        np.asarray(image.resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX), dtype=np.float32) / 255
        for image in (one, other)
    )
    return float(np.sqrt(np.mean((first - second) ** 2)))


def copies(page: Page, images: Sequence[Image.Image], training: Sequence[Page]) -> tuple[str, ...]:
    """What the pictures made for `page` are copies of: inputs or training answers that are not the right answer."""
    found = []
    for number, (slot, image) in enumerate(zip(page.slots, images, strict=True), 1):
        right = slot.answer

        def is_copy(other: Image.Image | None, image: Image.Image = image, right: Image.Image | None = right) -> bool:
            if other is None or distance(image, other) > _SAME:
                return False
            return right is None or distance(right, other) > 2 * _SAME

        for place, panel in enumerate(page.conditions, 1):
            if is_copy(panel.image):
                found.append(f"slot {number} is a copy of condition {place}")
        for other in training:
            if other.page_id != page.page_id and any(is_copy(answered.answer) for answered in other.slots):
                found.append(f"slot {number} is a copy of the answer of training page {other.page_id!r}")
    return tuple(found)
