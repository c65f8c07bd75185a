"""Reference: conditions are clean tokens that the slots attend to; all slots are denoised jointly."""

from collections.abc import Sequence

import torch
from PIL.Image import Image, Resampling

from triptych.canvas import to_square
from triptych.models.backbone import Backbone, Conditions, Grid, Targets, frames
from triptych.page import Page
from triptych.sampling.encode import encode_picture, grid_of, picture_key
from triptych.sampling.ways.base import Answers, Cut, Plan, noise_of

__all__ = ["Reference"]


class Reference:
    """See `Way`."""

    def plan(self, backbone: Backbone, pages: Sequence[Page], seeds: Sequence[int]) -> Plan:
        """Examples are conditions too: all of a page's pictures, in its order."""
        slots, grids = _slot_grids(pages[0], backbone.card.factor), _condition_grids(pages[0], backbone.card.factor)
        pictures = [_pictures(page) for page in pages]
        conditions = None
        if grids:
            rows = [torch.cat([encode_picture(backbone, image) for image in images], dim=1) for images in pictures]
            conditions = Conditions(tokens=torch.cat(rows), grids=grids)
        noises = [noise_of(backbone, seeds, number, grid) for number, grid in enumerate(slots)]
        return Plan(
            conditions=conditions,
            seen=tuple(tuple(map(picture_key, images)) for images in pictures),
            targets=Targets(grids=slots),
            noise=torch.cat(noises, dim=1),
            cuts=tuple(Cut(target=index) for index in range(len(slots))),
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
        """Every target is a slot."""
        grids = _slot_grids(page, backbone.card.factor)
        clean = [
            encode_picture(backbone, _fitted(backbone, answer, grid))
            for grid, answer in zip(grids, answers, strict=True)
        ]
        weights = [torch.full((1, grid.tokens), weight) for grid, weight in zip(grids, slot_weights, strict=True)]
        return Answers(clean=torch.cat(clean, dim=1), weights=torch.cat(weights, dim=1))


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
