"""Contexts of a batch: what was read before, by this request or another, is not read again."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from triptych.models.backbone import Adapter, Backbone, Conditions, Context, Drafts, Keeps, Text
from triptych.models.reading import read
from triptych.page import Page
from triptych.sampling.encode import draft_of, encode_text, text_keys
from triptych.sampling.ways.base import Plan

__all__ = ["ReadBatch", "read_batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBatch:
    """The context of a batch; for each page, how many tokens there were to read and how many were read before."""

    context: Context
    tokens: int
    cached: tuple[int, ...]


def read_batch(
    backbone: Backbone,
    adapter: Adapter | None,
    pages: Sequence[Page],
    plan: Plan,
    *,
    guidance: float | None,
    two_passes: bool,
) -> ReadBatch:
    """Read working pages of one layout. What was read is kept by content: see `Shared.memories`."""
    text = encode_text(backbone, pages)
    negative = encode_text(backbone, pages, negative=True) if two_passes else None
    seen = plan.seen or ((),) * len(pages)
    grids = plan.conditions.grids if plan.conditions else ()
    skills = None if backbone.shared.reads_bare else adapter
    common = (skills, backbone.dtype, guidance, grids)
    found: list[bool] = []

    def remember(words: Text, conditions: Conditions | None) -> Tensor | None:
        if backbone.keeps is Keeps.NOTHING or (conditions is None and backbone.keeps is Keeps.CONDITIONS):
            return None
        keys: list[Hashable] = [(common, each) for each in seen]
        if backbone.keeps is Keeps.PROMPT:
            said = text_keys(backbone, pages, negative=words is negative)
            keys = [(common, each, own) for each, own in zip(seen, said, strict=True)]
        before, memory = _remembered(backbone, words, conditions, keys, guidance)
        if backbone.keeps is not Keeps.CONDITIONS or not found:
            # Both passes of guidance read the same conditions: the second finds what the first has just read.
            found[:] = before
        return memory

    kept = None if backbone.shared.is_changing else remember
    context = read(backbone, text, plan.conditions, guidance=guidance, negative=negative, remember=kept)
    if isinstance(backbone, Drafts):
        context = replace(context, draft=draft_of(backbone, pages, plan.targets.grids, plan.seeds))
    if context.memory is None or kept is None:
        tokens = plan.conditions.tokens.shape[1] if plan.conditions else 0
        return ReadBatch(context=context, tokens=tokens, cached=(0,) * len(pages))
    tokens = context.memory.shape[3]
    return ReadBatch(context=context, tokens=tokens, cached=tuple(tokens * each for each in found))


def _remembered(
    backbone: Backbone,
    text: Text,
    conditions: Conditions | None,
    keys: Sequence[Hashable],
    guidance: float | None,
) -> tuple[list[bool], Tensor]:
    """For each row whether it was read before, an equal row of the batch included; and the memory of all rows."""
    kept = backbone.shared.memories
    if backbone.keeps is Keeps.PROMPT and len(set(keys)) > 1:
        # Their texts are padded to one length, so they belong together.
        known = kept.find(tuple(keys))
        memory = known if known is not None else kept.keep(tuple(keys), _afresh(backbone, text, conditions, guidance))
        return [known is not None] * len(keys), memory
    found: list[bool] = []
    rows: dict[Hashable, Tensor] = {}
    for row, key in enumerate(keys):
        known = rows.get(key)
        known = kept.find(key) if known is None else known
        found.append(known is not None)
        if known is None:
            one = conditions and replace(conditions, tokens=conditions.tokens[row : row + 1])
            known = kept.keep(key, _afresh(backbone, text.row(row), one, guidance))
        rows[key] = known
    if len(rows) == 1:
        return found, rows[keys[0]].expand(len(keys), *rows[keys[0]].shape[1:])
    return found, torch.cat([rows[key] for key in keys])


def _afresh(backbone: Backbone, text: Text, conditions: Conditions | None, guidance: float | None) -> Tensor:
    memory = backbone.remember(text, conditions, guidance=guidance)
    assert memory is not None, "this backbone keeps what it reads"
    return memory
