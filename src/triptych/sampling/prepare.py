"""From working pages of one layout to a plan, by the way that conditions enter."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from triptych.canvas import Box, Canvas, arrange, resample, slot_mask, stitch
from triptych.errors import BackboneError
from triptych.models.backbone import Backbone, Conditioning, EncodesMasks, Grid, Text, frames
from triptych.page import Page
from triptych.sampling.encode import encode_picture, grid_of, pixels
from triptych.sampling.fill import fill
from triptych.sampling.plan import Plan, slot_noise
from triptych.sampling.reference import reference
from triptych.sampling.repaint import repaint
from triptych.sampling.request import Request

__all__ = ["Batch", "build_plan", "page_canvas"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Working pages of one layout, one seed each, and how they are to be made."""

    pages: tuple[Page, ...]
    seeds: tuple[int, ...]
    conditioning: Conditioning
    guidance: float | None = None
    cached: bool = True

    @classmethod
    def of(cls, working: tuple[Page, ...], requests: Sequence[Request]) -> "Batch":
        """The batch of settled requests whose pages were brought to the backbone's sizes."""
        first = requests[0]
        assert first.conditioning is not None, "the requests are settled"
        seeds = tuple(request.seed for request in requests)
        return cls(pages=working, seeds=seeds, conditioning=first.conditioning, guidance=first.guidance)


def build_plan(backbone: Backbone, batch: Batch, text: Text, negative: Text | None = None) -> Plan:
    """Encode the conditions and lay out targets, noise and references.

    Raises BackboneError where the backbone cannot take conditions in the way asked.
    """
    card = backbone.card
    if batch.conditioning not in card.conditionings:
        known = ", ".join(way.value for way in card.conditionings)
        raise BackboneError(f"{card.name} cannot take conditions by {batch.conditioning.value!r}. It can by: {known}.")
    match batch.conditioning:
        case Conditioning.REFERENCE:
            return _by_reference(backbone, batch, text, negative)
        case Conditioning.REPAINT:
            return _by_repaint(backbone, batch, text, negative)
        case Conditioning.FILL:
            return _by_fill(backbone, batch, text, negative)


def page_canvas(page: Page, factor: int) -> Canvas:
    """The canvas that a working page is painted on; boxes lie on whole tokens."""
    return arrange(page, multiple=factor, fit=True)


def _by_reference(backbone: Backbone, batch: Batch, text: Text, negative: Text | None) -> Plan:
    page, factor = batch.pages[0], backbone.card.factor
    places = frames(page)
    slots, conditions = [], []
    for index, (panel, frame) in enumerate(zip(page.all_panels, places, strict=True)):
        if panel.is_slot and index < len(page.panels):
            assert panel.size_px is not None, "working pages give every slot a size"
            slots.append(grid_of(panel.size_px, frame, factor))
        else:
            conditions.append((index, grid_of(_picture(page, index).size, frame, factor)))
    return reference(
        text=text,
        negative=negative,
        conditions=[
            torch.cat([encode_picture(backbone, _picture(each, index)) for each in batch.pages])
            for index, _ in conditions
        ],
        condition_grids=tuple(grid for _, grid in conditions),
        noises=[_noise(backbone, batch.seeds, number, grid) for number, grid in enumerate(slots)],
        slot_grids=tuple(slots),
        guidance=batch.guidance,
        cached=batch.cached,
    )


def _by_repaint(backbone: Backbone, batch: Batch, text: Text, negative: Text | None) -> Plan:
    canvas, grid = _canvas_of(backbone, batch)
    mask = _pixel_mask(batch.pages[0], canvas)
    return repaint(
        text=text,
        negative=negative,
        canvas=torch.cat([encode_picture(backbone, _painted(page, canvas)) for page in batch.pages]).float(),
        grid=grid,
        keep=(1 - _token_mask(mask, backbone.card.factor)).expand(len(batch.pages), -1, -1).to(backbone.device),
        noise=_noise(backbone, batch.seeds, 0, grid),
        slots=_slot_boxes(batch.pages[0], canvas),
        guidance=batch.guidance,
        clean=backbone.card.clean_canvas,
    )


def _by_fill(backbone: Backbone, batch: Batch, text: Text, negative: Text | None) -> Plan:
    if not isinstance(backbone, EncodesMasks):
        raise BackboneError(f"{backbone.card.name} has no mask channels, so it cannot take conditions by 'fill'.")
    canvas, grid = _canvas_of(backbone, batch)
    mask = _pixel_mask(batch.pages[0], canvas)
    # Grey, the middle of [-1, 1], is what the fill models saw under their masks; no 8-bit colour is exactly that.
    masked = [
        backbone.encode_images((pixels(_painted(page, canvas)) * (1 - mask)).to(backbone.device, backbone.dtype))
        for page in batch.pages
    ]
    masks = backbone.encode_masks(mask.to(backbone.device, backbone.dtype))
    return fill(
        text=text,
        negative=negative,
        masked=torch.cat(masked),
        mask=masks.expand(len(batch.pages), -1, -1),
        grid=grid,
        noise=_noise(backbone, batch.seeds, 0, grid),
        slots=_slot_boxes(batch.pages[0], canvas),
        guidance=batch.guidance,
    )


def _picture(page: Page, index: int) -> Image:
    picture = page.all_panels[index].picture
    assert picture is not None, "conditions and examples have pictures"
    return picture


def _noise(backbone: Backbone, seeds: Sequence[int], slot: int, grid: Grid) -> Float[Tensor, "batch tokens channels"]:
    noises = [slot_noise(seed, slot, grid, backbone.card.channels) for seed in seeds]
    return torch.stack(noises).to(backbone.device)


def _canvas_of(backbone: Backbone, batch: Batch) -> tuple[Canvas, Grid]:
    canvas = page_canvas(batch.pages[0], backbone.card.factor)
    return canvas, grid_of(canvas.size_px, 0, backbone.card.factor)


def _painted(page: Page, canvas: Canvas) -> Image:
    """The canvas of the conditions and examples; slots are white."""
    return stitch(
        canvas,
        [
            None if panel.picture is None else resample(panel.picture, box.size_px)[0]
            for panel, box in zip(page.all_panels, canvas.boxes, strict=True)
        ],
    )


def _own_slots(page: Page) -> list[int]:
    return [index for index, panel in enumerate(page.panels) if panel.is_slot]


def _slot_boxes(page: Page, canvas: Canvas) -> tuple[Box, ...]:
    return tuple(canvas.boxes[index] for index in _own_slots(page))


def _pixel_mask(page: Page, canvas: Canvas) -> Float[Tensor, "1 1 height width"]:
    """1 in the slots, 0 elsewhere."""
    mask = slot_mask(canvas, _own_slots(page))
    values = torch.frombuffer(bytearray(mask.tobytes()), dtype=torch.uint8)
    return (values.view(1, 1, mask.height, mask.width) > 0).float()


def _token_mask(mask: Float[Tensor, "1 1 height width"], factor: int) -> Float[Tensor, "1 tokens 1"]:
    # Boxes lie on whole tokens, so one pixel speaks for its token.
    return rearrange(mask[:, :, ::factor, ::factor], "b c h w -> b (h w) c")
