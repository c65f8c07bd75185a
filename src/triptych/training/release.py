"""From a finished run to the card of its skill."""

import datetime
from collections.abc import Sequence
from itertools import zip_longest

from safetensors.torch import save

from triptych.models.backbone import Card
from triptych.models.catalog import find_family
from triptych.page import Page
from triptych.prompts import PageSketch, PanelSketch, Template, find_template
from triptych.skill import Skill, SkillCard, payload_sha256
from triptych.training.recipe import Recipe
from triptych.training.variants import pages_sha256

__all__ = ["card_of", "page_names", "skill_sha256", "template_of"]


def page_names(pages: Sequence[Page]) -> tuple[str, ...]:
    """A name for each page: its own, or its number where it has none."""
    return tuple(page.page_id or f"number {number}" for number, page in enumerate(pages, 1))


def template_of(page: Page) -> Template:
    """The page's prompt template, with the page itself as the template's page: roles, sizes and layout."""
    template = find_template(page.template)
    hints = [panel.hint for panel in template.page.panels] if template.page else []
    panels = []
    for index, panel in enumerate(page.panels):
        picture = panel.picture
        size = panel.size_px or (picture.size if picture else (1, 1))
        hint = hints[index] if index < len(hints) else ""
        panels.append(PanelSketch(role=panel.role, size_px=size, hint=hint))
    sketch = PageSketch(layout=page.layout, hint=template.page.hint if template.page else "", panels=tuple(panels))
    return template.model_copy(update={"page": sketch})


def card_of(
    name: str, pages: Sequence[Page], recipe: Recipe, backbone: Card, date: datetime.date, *, steps: int
) -> SkillCard:
    """The card of a skill trained for `steps` on `pages`, the first of which shows what its page is like."""
    family = find_family(backbone.family)
    overview = _shared([page.overview.removeprefix(recipe.trigger).strip() for page in pages])
    rows = zip_longest(*([panel.instruction for panel in page.panels] for page in pages), fillvalue="")
    instructions = tuple(_shared(row) for row in rows)[: len(pages[0].panels)]
    return SkillCard(
        name=name,
        description=recipe.description or overview or next(filter(None, instructions), ""),
        overview=overview,
        instructions=instructions if any(instructions) else (),
        backbone=backbone.name,
        family=backbone.family,
        architecture=family.architecture if family else "",
        rank=recipe.adapter.rank,
        alpha=recipe.adapter.alpha,
        rank_stabilised=recipe.adapter.rank_stabilised,
        frozen_conditions=recipe.frozen_conditions,
        template=template_of(pages[0]),
        trigger=recipe.trigger,
        gutter_px=pages[0].gutter_px,
        licence=recipe.licence or backbone.licence,
        recipe=recipe.model_dump(mode="json"),
        steps=steps,
        pages=len(pages),
        data_sha256=pages_sha256(pages),
        date=date.isoformat(),
    )


def skill_sha256(skill: Skill) -> str:
    """Of the adapter's values."""
    return payload_sha256(save({key: value.contiguous() for key, value in skill.tensors.items()}))


def _shared(texts: Sequence[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else ""
