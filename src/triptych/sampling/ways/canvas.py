"""What repaint and fill share: all panels on one canvas, which is the one target."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from triptych.canvas import Canvas, arrange, resample, slot_mask, stitch
from triptych.models.backbone import Backbone, Grid
from triptych.page import Page
from triptych.sampling.encode import encode_picture, grid_of
from triptych.sampling.ways.base import Answers, Cut

__all__ = ["canvas_answers", "canvas_of", "cuts_of", "page_canvas", "painted", "pixel_mask", "token_mask"]


def page_canvas(page: Page, factor: int) -> Canvas:
    """The canvas that a working page is painted on; boxes lie on whole tokens."""
    return arrange(page, multiple=factor, fit=True)


def canvas_of(backbone: Backbone, page: Page) -> tuple[Canvas, Grid]:
    """The canvas of a working page, and its tokens."""
    canvas = page_canvas(page, backbone.card.factor)
    return canvas, grid_of(canvas.size_px, 0, backbone.card.factor)


def painted(page: Page, canvas: Canvas) -> Image:
    """The canvas of the conditions and examples; slots are white."""
    return stitch(
        canvas,
        [
            None if panel.picture is None else resample(panel.picture, box.size_px)[0]
            for panel, box in zip(page.all_panels, canvas.boxes, strict=True)
        ],
    )


def cuts_of(page: Page, canvas: Canvas) -> tuple[Cut, ...]:
    """Where the slots lie."""
    return tuple(Cut(target=0, box=canvas.boxes[index]) for index in _own_slots(page))


def pixel_mask(page: Page, canvas: Canvas) -> Float[Tensor, "1 1 height width"]:
    """1 in the slots, 0 elsewhere."""
    mask = slot_mask(canvas, _own_slots(page))
    values = torch.frombuffer(bytearray(mask.tobytes()), dtype=torch.uint8)
    return (values.view(1, 1, mask.height, mask.width) > 0).float()


def token_mask(mask: Float[Tensor, "1 1 height width"], factor: int) -> Float[Tensor, "1 tokens 1"]:
    """A pixel mask for tokens."""
    # Boxes lie on whole tokens, so one pixel speaks for its token.
    return rearrange(mask[:, :, ::factor, ::factor], "b c h w -> b (h w) c")


def canvas_answers(
    backbone: Backbone, page: Page, answers: Sequence[Image], *, slot_weights: Sequence[float], elsewhere: float
) -> Answers:
    """`Way.targets` of a canvas: all of it is encoded, and the slots count by their weights."""
    factor, (canvas, grid) = backbone.card.factor, canvas_of(backbone, page)
    queue, own = iter(answers), set(_own_slots(page))
    pictures = []
    for index, (panel, box) in enumerate(zip(page.all_panels, canvas.boxes, strict=True)):
        picture = next(queue) if index in own else panel.picture
        assert picture is not None, "conditions, examples and answers have pictures"
        pictures.append(resample(picture, box.size_px)[0])
    weights = torch.full((grid.rows, grid.columns), elsewhere)
    for cut, weight in zip(cuts_of(page, canvas), slot_weights, strict=True):
        assert cut.box is not None, "slots on a canvas have boxes"
        left, top, right, bottom = (side // factor for side in cut.box.corners)
        weights[top:bottom, left:right] = weight
    return Answers(clean=encode_picture(backbone, stitch(canvas, pictures)), weights=weights.flatten()[None])


def _own_slots(page: Page) -> list[int]:
    return [index for index, panel in enumerate(page.panels) if panel.is_slot]
