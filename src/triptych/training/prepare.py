"""A page made ready for the loss: everything that does not depend on noise or on the adapter, encoded once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.conditioning import Conditioning
from triptych.models.backbone import Backbone, Conditions, Context, Drafts, Keeps, Targets, Text, frames
from triptych.models.reading import read
from triptych.page import Page
from triptych.prompts import Prompt
from triptych.sampling.encode import encode_text, prompt_of
from triptych.sampling.ways import WAYS
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

    text: Text
    conditions: Conditions | None
    guidance: float | None
    targets: Targets
    clean: Float[Tensor, "1 target channels"]
    weights: Float[Tensor, "1 target"]
    prompt: Prompt
    frames: tuple[int, ...]
    memory: Float[Tensor, "1 blocks 2 kept heads width"] | None = None
    """Keys and values of the conditions, where the recipe leaves their path as it was."""
    known: Float[Tensor, "1 target 1"] | None = None
    """1 on the tokens that get no noise, where the backbone sees a canvas so."""
    draft: Tensor | None = None
    """Of the answers, where a language model drafts the slots."""

    @property
    def shape(self) -> tuple[object, ...]:
        """Equal for pages that can be one batch."""
        grids = self.conditions.grids if self.conditions else ()
        return self.targets.grids, grids, self.targets.extra is not None, self.frames


@torch.no_grad()
def prepare_page(backbone: Backbone, page: Page, setting: Setting) -> Prepared:
    """Encode an answered page. Raises what sampling raises for a page that the backbone cannot take."""
    backbone.card.check_boxes(page, setting.conditioning)
    working = working_page(page, backbone.card, setting.side_px)
    way = WAYS[setting.conditioning]
    plan = way.plan(backbone, [working], [0])
    answers = [slot.answer for slot in page.slots if slot.answer is not None]
    own = [setting.slot_weights[index] if index < len(setting.slot_weights) else 1.0 for index in range(len(answers))]
    right = way.targets(backbone, working, answers, slot_weights=own, elsewhere=1.0 * setting.canvas_loss)
    text, memory = encode_text(backbone, [working]), None
    if setting.frozen_conditions and backbone.keeps is Keeps.CONDITIONS:
        memory = read(backbone, text, plan.conditions, guidance=setting.guidance).memory
    return Prepared(
        text=text,
        conditions=plan.conditions,
        guidance=setting.guidance,
        targets=plan.targets,
        clean=right.clean.float(),
        weights=right.weights,
        prompt=prompt_of(working, backbone.card),
        frames=frames(working),
        memory=memory,
        known=plan.known.keep if plan.known is not None and plan.known.clean else None,
        draft=backbone.drafted(answers, plan.targets.grids) if isinstance(backbone, Drafts) else None,
    )


def join(backbone: Backbone, pages: Sequence[Prepared]) -> tuple[Context, Targets]:
    """Pages of one shape as one batch, read: with gradients, or, where their memory was kept, without."""
    first = pages[0]
    text, conditions, targets = first.text, first.conditions, first.targets
    if len(pages) > 1:
        # Encoded again only where their lengths differ: blocks of words are padded to the longest of the batch.
        joined = _cat_text([page.text for page in pages])
        text = joined or backbone.encode_prompts([page.prompt for page in pages], first.frames)
        if conditions is not None:
            conditions = replace(conditions, tokens=_cat([page.conditions.tokens for page in pages if page.conditions]))
        if targets.extra is not None:
            targets = replace(targets, extra=_cat([page.targets.extra for page in pages]))
    draft = None if first.draft is None else _cat([page.draft for page in pages])
    if first.memory is None:
        return replace(read(backbone, text, conditions, guidance=first.guidance), draft=draft), targets
    memory = _cat([page.memory for page in pages])
    return Context(text=text, conditions=conditions, memory=memory, guidance=first.guidance, draft=draft), targets


def _cat_text(texts: Sequence[Text]) -> Text | None:
    """Encoded prompts as one batch, where all are padded alike and nothing but words has to be joined."""
    first = texts[0]
    alike = all(
        text.pooled is None and text.mask is None and torch.equal(text.positions, first.positions) for text in texts
    )
    return replace(first, embeds=torch.cat([text.embeds for text in texts])) if alike else None


def _cat(tensors: Sequence[Tensor | None]) -> Tensor:
    return torch.cat([tensor for tensor in tensors if tensor is not None])
