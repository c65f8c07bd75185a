"""Reference: conditions are clean tokens that the slots attend to; all slots are denoised jointly.

A layered backbone makes the whole picture once more in front of its layers, as it was trained to; it is not shown.
"""

from collections.abc import Sequence

import torch
from PIL.Image import Image, Resampling

from triptych.canvas import to_square
from triptych.errors import BackboneError
from triptych.models.backbone import Backbone, Card, Conditions, Grid, Targets, frames
from triptych.page import Page
from triptych.sampling.encode import encode_picture, grid_of, picture_key
from triptych.sampling.ways.base import Answers, Cut, Plan, noise_of

__all__ = ["Reference"]


class Reference:
    """See `Way`."""

    def plan(self, backbone: Backbone, pages: Sequence[Page], seeds: Sequence[int]) -> Plan:
        """Examples are conditions too: all of a page's pictures, in its order."""
        slots, grids = _slot_grids(pages[0], backbone.card.factor), _condition_grids(pages[0], backbone.card.factor)
        hidden = _whole(pages[0], backbone.card, slots)
        pictures = [_pictures(page) for page in pages]
        conditions = None
        if grids:
            rows = [torch.cat([encode_picture(backbone, image) for image in images], dim=1) for images in pictures]
            conditions = Conditions(tokens=torch.cat(rows), grids=grids)
        noises = [noise_of(backbone, seeds, number, grid) for number, grid in enumerate((*slots, *hidden))]
        # The whole stands first but draws its noise last, so that slots begin as they do on other backbones.
        noises = [*noises[len(slots) :], *noises[: len(slots)]]
        return Plan(
            conditions=conditions,
            seen=tuple(tuple(map(picture_key, images)) for images in pictures),
            targets=Targets(grids=(*hidden, *slots)),
            noise=torch.cat(noises, dim=1),
            seeds=tuple(seeds),
            cuts=tuple(Cut(target=len(hidden) + index) for index in range(len(slots))),
            spaced_for=slots[0].tokens if hidden else None,
        )

    def targets(
        self,
        backbone: Backbone,
        page: Page,
        answers: Sequence[Image],
        *,
        slot_weights: Sequence[float],
        elsewhere: float,  # noqa: ARG002
    ) -> Answers:
        """Every target is a slot, but for the whole of a layered backbone: that is the condition, and counts as one."""
        grids = _slot_grids(page, backbone.card.factor)
        hidden = _whole(page, backbone.card, grids)
        answers, grids = (*(_pictures(page) if hidden else ()), *answers), (*hidden, *grids)
        slot_weights = (*(1.0 for _ in hidden), *slot_weights)
        clean = [
            encode_picture(backbone, _fitted(backbone, answer, grid))
            for grid, answer in zip(grids, answers, strict=True)
        ]
        weights = [torch.full((1, grid.tokens), weight) for grid, weight in zip(grids, slot_weights, strict=True)]
        return Answers(clean=torch.cat(clean, dim=1), weights=torch.cat(weights, dim=1))


def _whole(page: Page, card: Card, slots: tuple[Grid, ...]) -> tuple[Grid, ...]:
    """The target of a layered backbone that is not shown. Raises BackboneError for a page it cannot take."""
    if not card.layered:
        return ()
    count = len(_pictures(page))
    if count != 1:
        raise BackboneError(
            f"{card.name} takes one picture apart into layers, and this page shows it {count}, examples counted. Give "
            "it one condition, and a slot for each layer."
        )
    return (slots[0],)


def _slot_grids(page: Page, factor: int) -> tuple[Grid, ...]:
    own = zip(page.panels, frames(page), strict=False)
    return tuple(grid_of(panel.size_px, frame, factor) for panel, frame in own if panel.is_slot and panel.size_px)


def _condition_grids(page: Page, factor: int) -> tuple[Grid, ...]:
    places = [frame for panel, frame in zip(page.all_panels, frames(page), strict=True) if panel.picture is not None]
    return tuple(grid_of(image.size, frame, factor) for image, frame in zip(_pictures(page), places, strict=True))


def _pictures(page: Page) -> list[Image]:
    """Of conditions and examples: a working page has no answers in its own slots."""
    return [panel.picture for panel in page.all_panels if panel.picture is not None]


def _fitted(backbone: Backbone, answer: Image, grid: Grid) -> Image:
    """The answer as the slot would be decoded."""
    factor = backbone.card.factor
    if backbone.card.fixed_side:
        return to_square(answer, grid.columns * factor)[0]
    size = (grid.columns * factor, grid.rows * factor)
    return answer if answer.size == size else answer.resize(size, Resampling.LANCZOS)
