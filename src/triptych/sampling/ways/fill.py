"""Fill: the masked canvas and its mask enter as extra channels of every target token (FLUX.1-Fill)."""

from collections.abc import Sequence

import torch
from PIL.Image import Image

from triptych.errors import BackboneError
from triptych.models.backbone import Backbone, EncodesMasks, Targets
from triptych.page import Page
from triptych.sampling.encode import pixels
from triptych.sampling.ways.base import Answers, Plan, noise_of
from triptych.sampling.ways.canvas import canvas_answers, canvas_of, cuts_of, painted, pixel_mask

__all__ = ["Fill"]


class Fill:
    """See `Way`."""

    def plan(self, backbone: Backbone, pages: Sequence[Page], seeds: Sequence[int]) -> Plan:
        """The canvas with grey slots, then its mask, 1 in the slots."""
        if not isinstance(backbone, EncodesMasks):
            raise BackboneError(f"{backbone.card.name} has no mask channels, so it cannot take conditions by 'fill'.")
        canvas, grid = canvas_of(backbone, pages[0])
        mask = pixel_mask(pages[0], canvas)
        # Grey, the middle of [-1, 1], is what the fill models saw under their masks; no 8-bit colour is exactly that.
        masked = [
            backbone.encode_images((pixels(painted(page, canvas)) * (1 - mask)).to(backbone.device, backbone.dtype))
            for page in pages
        ]
        masks = backbone.encode_masks(mask.to(backbone.device, backbone.dtype)).expand(len(pages), -1, -1)
        return Plan(
            targets=Targets(grids=(grid,), extra=torch.cat((torch.cat(masked), masks.to(masked[0].dtype)), dim=-1)),
            noise=noise_of(backbone, seeds, 0, grid),
            cuts=cuts_of(pages[0], canvas),
        )

    def targets(
        self,
        backbone: Backbone,
        page: Page,
        answers: Sequence[Image],
        *,
        slot_weights: Sequence[float],
        elsewhere: float,
    ) -> Answers:
        """The finished canvas."""
        return canvas_answers(backbone, page, answers, slot_weights=slot_weights, elsewhere=elsewhere)
