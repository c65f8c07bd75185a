"""A page made ready for the loss: everything that does not depend on noise or on the adapter, encoded once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from triptych.canvas import resample, stitch, to_square
from triptych.models.backbone import Backbone, Conditioning, Grid, KeepsReferences, Sequences, frames
from triptych.page import Page
from triptych.prompts import Prompt, write_prompt
from triptych.sampling.encode import encode_picture, encode_text
from triptych.sampling.plan import Plan
from triptych.sampling.prepare import Batch, build_plan, page_canvas
from triptych.sampling.working import working_page

__all__ = ["Prepared", "Setting", "join", "prepare_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a page's preparation depends on, besides page and backbone."""

    conditioning: Conditioning
    side_px: int | None = None
    guidance: float | None = None
    canvas_loss: bool = False
    slot_weights: tuple[float, ...] = ()
    frozen_conditions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One page (the batch axis is 1); `weights` says which of the targets' tokens count, and how much."""

    sequences: Sequences
    clean: Float[Tensor, "1 target channels"]
    weights: Float[Tensor, "1 target"]
    prompt: Prompt
    frames: tuple[int, ...]
    memory: Float[Tensor, "1 blocks 2 reference heads width"] | None = None
    """Keys and values of the references, where the recipe leaves their path as it was."""
    known: Float[Tensor, "1 target 1"] | None = None
    """1 on the tokens that get no noise, where the backbone sees a canvas so."""

    @property
    def shape(self) -> tuple[object, ...]:
        """Equal for pages that can be one batch."""
        sequences = self.sequences
        return sequences.targets, sequences.reference_grids, sequences.extra is not None, self.frames


@torch.no_grad()
def prepare_page(backbone: Backbone, page: Page, setting: Setting) -> Prepared:
    """Encode an answered page. Raises what sampling raises for a page that the backbone cannot take."""
    working = working_page(page, backbone.card, setting.side_px)
    batch = Batch(
        pages=(working,), seeds=(0,), conditioning=setting.conditioning, guidance=setting.guidance, cached=True
    )
    plan = build_plan(backbone, batch, encode_text(backbone, [working]))
    answers = [slot.answer for slot in page.slots if slot.answer is not None]
    own = [setting.slot_weights[index] if index < len(setting.slot_weights) else 1.0 for index in range(len(answers))]
    if setting.conditioning is Conditioning.REFERENCE:
        clean, weights = _by_slot(backbone, plan, answers, own)
    else:
        clean, weights = _by_canvas(backbone, plan, working, answers, own, elsewhere=1.0 * setting.canvas_loss)
    memory = None
    if setting.frozen_conditions and plan.sequences.references is not None and isinstance(backbone, KeepsReferences):
        memory = backbone.read_references(plan.sequences)
    return Prepared(
        sequences=plan.sequences,
        clean=clean.float(),
        weights=weights,
        prompt=write_prompt(working),
        frames=frames(working),
        memory=memory,
        known=plan.known.keep if plan.known is not None and plan.known.clean else None,
    )


def join(backbone: Backbone, pages: Sequence[Prepared]) -> tuple[Sequences, Tensor | None]:
    """Pages of one shape as one batch, and their memory."""
    first = pages[0].sequences
    if len(pages) == 1:
        return first, pages[0].memory
    # Encoded anew: blocks of words are padded to the longest of the batch.
    text = backbone.encode_prompts([page.prompt for page in pages], pages[0].frames)
    memories = [page.memory for page in pages if page.memory is not None]
    joined = replace(
        first,
        text=text,
        references=_cat([page.sequences.references for page in pages]),
        extra=_cat([page.sequences.extra for page in pages]),
    )
    return joined, torch.cat(memories) if memories else None


def _cat(tensors: Sequence[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(present) if present else None


def _by_slot(
    backbone: Backbone, plan: Plan, answers: Sequence[Image.Image], own: Sequence[float]
) -> tuple[Float[Tensor, "1 target channels"], Float[Tensor, "1 target"]]:
    parts, weights = [], []
    for grid, answer, weight in zip(plan.sequences.targets, answers, own, strict=True):
        parts.append(encode_picture(backbone, _fitted(backbone, answer, grid)))
        weights.append(torch.full((1, grid.tokens), weight))
    return torch.cat(parts, dim=1), torch.cat(weights, dim=1)


def _fitted(backbone: Backbone, answer: Image.Image, grid: Grid) -> Image.Image:
    """The answer as the slot would be decoded."""
    factor = backbone.card.factor
    if backbone.card.fixed_side:
        return to_square(answer, grid.columns * factor)[0]
    size = (grid.columns * factor, grid.rows * factor)
    return answer if answer.size == size else answer.resize(size, Image.Resampling.LANCZOS)


def _by_canvas(
    backbone: Backbone,
    plan: Plan,
    working: Page,
    answers: Sequence[Image.Image],
    own: Sequence[float],
    *,
    elsewhere: float,
) -> tuple[Float[Tensor, "1 target channels"], Float[Tensor, "1 target"]]:
    factor, (grid,) = backbone.card.factor, plan.sequences.targets
    canvas, queue = page_canvas(working, factor), iter(answers)
    pictures = []
    for index, (panel, box) in enumerate(zip(working.all_panels, canvas.boxes, strict=True)):
        is_own_slot = index < len(working.panels) and panel.is_slot
        picture = next(queue) if is_own_slot else panel.picture
        assert picture is not None, "conditions, examples and answers have pictures"
        pictures.append(resample(picture, box.size_px)[0])
    clean = encode_picture(backbone, stitch(canvas, pictures))
    weights = torch.full((grid.rows, grid.columns), elsewhere)
    for cut, weight in zip(plan.cuts, own, strict=True):
        assert cut.box is not None, "slots on a canvas have boxes"
        left, top, right, bottom = (side // factor for side in cut.box.corners)
        weights[top:bottom, left:right] = weight
    return clean, weights.flatten()[None]
