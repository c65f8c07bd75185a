"""Pages as they are seen in training: chosen slots, left-out panels and words, examples in front."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from triptych.images import opaque
from triptych.page import Page, Panel, Role
from triptych.training.recipe import Recipe, Variety

__all__ = ["item_seed", "page_sha256", "pages_sha256", "prepared_by", "varied", "wordless"]


def item_seed(*parts: int | str) -> int:
    """A seed of 63 bits from anything that names a place in a run: the same in every process, without order."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def page_sha256(page: Page) -> str:
    """Of everything on the page that a model can see or learn, and nothing else."""
    digest = hashlib.sha256()
    for source in (page, *page.context):
        facts = (source.overview, source.layout.value, source.gutter_px, source.template, len(source.panels))
        digest.update(repr(facts).encode())
        for panel in source.panels:
            picture = panel.picture
            size = None if picture is None else picture.size
            digest.update(repr((panel.role.value, panel.instruction, panel.size_px, size)).encode())
            digest.update(b"" if picture is None else picture.tobytes())
            if panel.boxes:
                digest.update(repr(panel.boxes).encode())
            for rejected in panel.rejected:
                digest.update(repr(("rejected", rejected.size)).encode() + rejected.tobytes())
    return digest.hexdigest()


def pages_sha256(pages: Iterable[Page]) -> str:
    """Of all pages in their order, as the card of a skill has it of those that taught it."""
    return hashlib.sha256("".join(page_sha256(page) for page in pages).encode()).hexdigest()


def prepared_by(page: Page, recipe: Recipe) -> Page:
    """The page with the recipe's template and trigger."""
    overview = " ".join(filter(None, (recipe.trigger, page.overview)))
    return replace(page, overview=overview, template=recipe.template or page.template)


def varied(page: Page, pool: Sequence[Page], variety: Variety, seed: int) -> Page:
    """The page as it is seen this time; `pool` are the pages that may stand in front of it as examples."""
    chance = random.Random(seed)
    if chance.random() < variety.random_slots and len(page.panels) > 1:
        count = chance.randrange(1, len(page.panels))
        page = _with_slots(page, set(chance.sample(range(len(page.panels)), count)))
    kept = [panel for panel in page.panels if panel.is_slot or chance.random() >= variety.condition_dropout]
    page = replace(page, panels=tuple(kept))
    shots = min(chance.choice(variety.shots), len(pool))
    page = page.with_context(*chance.sample(list(pool), shots))
    return wordless(page) if chance.random() < variety.instruction_dropout else page


def _with_slots(page: Page, slots: set[int]) -> Page:
    panels = []
    for index, panel in enumerate(page.panels):
        # Where things were in a picture that was given says nothing of where they are wanted, nor the other way about.
        boxes = panel.boxes if panel.is_slot == (index in slots) else ()
        if index in slots:
            panels.append(Panel(role=Role.SLOT, answer=panel.picture, instruction=panel.instruction, boxes=boxes))
        else:
            role = Role.SUBJECT if panel.is_slot else panel.role
            assert panel.picture is not None, "pages that teach are answered"
            panels.append(Panel(role=role, image=opaque(panel.picture), instruction=panel.instruction, boxes=boxes))
    return replace(page, panels=tuple(panels))


def wordless(page: Page) -> Page:
    """The page, and its examples, with all words left out, and the boxes, which are told in words."""

    def silent(source: Page) -> Page:
        return replace(
            source, overview="", panels=tuple(replace(panel, instruction="", boxes=()) for panel in source.panels)
        )

    return replace(silent(page), context=tuple(silent(example) for example in page.context))
