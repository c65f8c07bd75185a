"""Repaint: conditions and slots on one canvas; the conditions are put back at every noise level.

The way of the published IC-LoRA (Huang et al. 2024, arXiv:2410.23775, with SDEdit-style inpainting at strength 1):
conditions are put back with the noise of the level. A network trained on canvases may be shown them clean instead.
"""

from collections.abc import Sequence

import torch
from PIL.Image import Image

from triptych.models.backbone import Backbone, Targets
from triptych.page import Page
from triptych.sampling.encode import encode_picture
from triptych.sampling.ways.base import Answers, Known, Plan, noise_of
from triptych.sampling.ways.canvas import canvas_answers, canvas_of, cuts_of, painted, pixel_mask, token_mask

__all__ = ["Repaint"]


class Repaint:
    """See `Way`."""

    def plan(self, backbone: Backbone, pages: Sequence[Page], seeds: Sequence[int]) -> Plan:
        """What is known is the encoded canvas, but for the slots."""
        canvas, grid = canvas_of(backbone, pages[0])
        keep = 1 - token_mask(pixel_mask(pages[0], canvas), backbone.card.factor)
        data = torch.cat([encode_picture(backbone, painted(page, canvas)) for page in pages]).float()
        known = Known(
            data=data,
            keep=keep.expand(len(pages), -1, -1).to(backbone.device),
            clean=backbone.card.clean_canvas,
        )
        return Plan(
            targets=Targets(grids=(grid,)),
            noise=noise_of(backbone, seeds, 0, grid),
            cuts=cuts_of(pages[0], canvas),
            known=known if bool(keep.any()) else None,
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
