"""What can be known to go wrong before any model is loaded: all of it at once, each with where to fix it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path

import numpy as np

from triptych.data.pagesets import METADATA, pageset_problems
from triptych.data.validation import find_leaks, find_problems
from triptych.errors import BackboneError, PromptError, TriptychError
from triptych.models.backbone import Card
from triptych.models.catalog import find_known
from triptych.page import Page, Role
from triptych.prompts import find_template, write_prompt
from triptych.training.recipe import Recipe
from triptych.training.variants import page_sha256, prepared_by

__all__ = ["Problem", "Severity", "page_problems", "preflight"]

_MOST_ASPECT = 2.0
"""Times that a page's aspect may differ from the set's median."""
_MOST_APART = 1.05
"""Times that the aspect of an answer may differ from that of the picture it is made from."""
_TOKENS_A_WORD = 1.4


class Severity(StrEnum):
    """An error stops the training, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to fix: where it is, what it is and what to do."""

    severity: Severity
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.severity.value}: {self.where}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A readable page and the line it stands in."""

    where: str
    page: Page


def preflight(
    pageset: str | Path, recipe: Recipe, *, held_out: str | Path | None = None, card: Card | None = None
) -> tuple[Problem, ...]:
    """Every problem of a page set and a recipe, errors first; nothing is loaded but pictures.

    `card` is the backbone's, where it is known before loading.
    """
    found: list[Problem] = []
    lines = _readable(pageset, found)
    unseen = _readable(held_out, found) if held_out else []
    found += _about_pages(lines)
    found += _about_prompts(lines + unseen, recipe, card)
    found += _about_boxes(lines + unseen, recipe, card)
    found += _about_likeness(lines)
    found += _about_leaks(lines, unseen)
    found += _about_recipe(lines, recipe, card)
    return tuple(sorted(found, key=lambda problem: problem.severity is not Severity.ERROR))


def page_problems(names: Sequence[str], pages: Sequence[Page]) -> tuple[Problem, ...]:
    """What is unusual about pages by themselves: their shapes, and how like each other they are."""
    lines = [_Line(where=f"page {name}", page=page) for name, page in zip(names, pages, strict=True)]
    return (*_about_pages(lines), *_about_likeness(lines))


def _readable(folder: str | Path, found: list[Problem]) -> list[_Line]:
    """The pages that can be read; those that cannot are added to `found`."""
    pages, problems = pageset_problems(folder)
    found += [_error(where, what) for where, what in problems]
    lines = []
    for index in range(len(pages.lines) if pages else 0):
        assert pages is not None, "there are lines only where there is a set"
        where = f"{Path(folder) / METADATA}, line {pages.lines[index][0]}"
        try:
            page = pages[index]
        except TriptychError as error:
            # What is wrong with a picture names file and line as well.
            found.append(_error(where, str(error).removeprefix(where).lstrip(",: ")))
            continue
        lines.append(_Line(where=where, page=page))
    return lines


def _about_pages(lines: Sequence[_Line]) -> Iterator[Problem]:
    if len(lines) == 0:
        yield _error("page set", "none of its pages can be read")
        return
    aspects = [_aspect(line.page) for line in lines]
    middle = float(np.median(aspects))
    kinds = {tuple(panel.role for panel in line.page.panels) for line in lines}
    if len(kinds) > 1:
        yield _warning("page set", f"its pages have {len(kinds)} different rows of panels; the skill shows the first")
    for line, aspect in zip(lines, aspects, strict=True):
        if max(aspect / middle, middle / aspect) > _MOST_ASPECT:
            yield _warning(line.where, f"aspect {aspect:.2f}, where most have {middle:.2f}. Crop it, or leave it out")
    yield from _about_pairs(lines)


def _about_pairs(lines: Sequence[_Line]) -> Iterator[Problem]:
    """An answer whose shape differs from its condition's is cropped or scaled against it: edges no longer meet."""
    apart: list[tuple[_Line, tuple[int, int], tuple[int, int]]] = []
    for line in lines:
        sources = [panel for panel in line.page.conditions if panel.role in (Role.EDIT, Role.CONTROL)]
        if not sources and len(line.page.panels) == 2:
            sources = list(line.page.conditions)
        sizes = [panel.image.size for panel in sources if panel.image]
        answers = [panel.answer.size for panel in line.page.slots if panel.answer]
        for one, other in product(sizes, answers):
            ratio = (one[0] * other[1]) / (one[1] * other[0])
            if max(ratio, 1 / ratio) > _MOST_APART:
                apart.append((line, one, other))
                break
    if apart:
        line, one, other = apart[0]
        more = f"; the same on {len(apart)} of {len(lines)} pages" if len(apart) > 1 else ""
        sizes = f"{one[0]}x{one[1]} and an answer of {other[0]}x{other[1]} px"
        yield _warning(line.where, f"a condition of {sizes} differ in shape{more}. Crop both alike")


def _about_prompts(lines: Sequence[_Line], recipe: Recipe, card: Card | None) -> Iterator[Problem]:
    for line in lines:
        try:
            prompt = write_prompt(prepared_by(line.page, recipe))
        except PromptError as error:
            yield _error(line.where, str(error))
            continue
        if card is None:
            continue
        # The pocket reads each text by itself, the others the prompt as a whole.
        texts = [part.text for part in prompt.parts] if card.family == "pocket" else [prompt.text]
        words = max((len(text.split()) for text in texts), default=0)
        if words > card.max_text_tokens:
            yield _error(line.where, f"{words} words; {card.name} reads at most {card.max_text_tokens} tokens. Shorten")
        elif words * _TOKENS_A_WORD > card.max_text_tokens:
            yield _warning(
                line.where, f"{words} words may be more than the {card.max_text_tokens} tokens of {card.name}"
            )


def _about_boxes(lines: Sequence[_Line], recipe: Recipe, card: Card | None) -> Iterator[Problem]:
    boxed = [line for line in lines if line.page.has_boxes]
    if boxed and max(recipe.variety.shots):
        yield _error("recipe key variety.shots", f"a page with boxes is no example ({boxed[0].where}). Set it to [0]")
    if card is None:
        return
    for line in boxed:
        try:
            card.check_boxes(line.page, recipe.conditioning or card.native)
        except BackboneError as error:
            yield _error(line.where, str(error))


def _about_likeness(lines: Sequence[_Line]) -> Iterator[Problem]:
    for finding in find_problems([line.page for line in lines]):
        yield _warning(lines[finding.page - 1].where, f"{finding.problem.value}: {finding.reason}. Look at it")


def _about_leaks(lines: Sequence[_Line], unseen: Sequence[_Line]) -> Iterator[Problem]:
    trained = {page_sha256(line.page): line.where for line in lines}
    for line in unseen:
        if (source := trained.get(page_sha256(line.page))) is not None:
            yield _error(line.where, f"held out, but also trained on in {source}. Leave it out of one of them")
    for finding in find_leaks([line.page for line in lines], [line.page for line in unseen]):
        yield _warning(unseen[finding.page - 1].where, f"{finding.problem.value}: {finding.reason}")


def _about_recipe(lines: Sequence[_Line], recipe: Recipe, card: Card | None) -> Iterator[Problem]:
    seeds = recipe.watch.seeds
    if len(set(seeds)) != len(seeds):
        yield _warning("recipe key watch.seeds", f"{seeds} has a seed twice, which makes the same pictures twice")
    if max(recipe.variety.shots) >= max(1, len(lines)):
        yield _error("recipe key variety.shots", f"{max(recipe.variety.shots)} examples, but only {len(lines)} pages")
    named = {prepared_by(line.page, recipe).template for line in lines}
    fixed = sorted(name for name in named if _has_fixed_tags(name))
    if fixed and recipe.variety.condition_dropout:
        yield _error(
            "recipe key variety.condition_dropout", f"template {fixed[0]!r} has a tag for every panel. Set it to 0"
        )
    slots = max((len(line.page.slots) for line in lines), default=0)
    if len(recipe.slot_weights) > slots:
        yield _error("recipe key slot_weights", f"{len(recipe.slot_weights)} weights, but pages have {slots} slots")
    if card and recipe.conditioning and recipe.conditioning not in card.conditionings:
        known = ", ".join(way.value for way in card.conditionings)
        yield _error(
            "recipe key conditioning",
            f"{card.name} takes no conditions by {recipe.conditioning.value!r}; only by {known}",
        )
    known = find_known(recipe.backbone)
    if known and known.undistilled and recipe.guided is None:
        name = known.card.name
        yield _warning(
            "recipe key backbone",
            f"{name} was distilled to {known.card.steps} steps, and a skill trained on it blurs it. Train on "
            f"{known.undistilled} (--train-on base) and use the skill with {name}, or set guided to 3",
        )
    if card and recipe.guidance is not None and card.guidance is None:
        yield _error("recipe key guidance", f"{card.name} takes no guidance. Leave it out")


def _has_fixed_tags(name: str) -> bool:
    try:
        return bool(find_template(name).tags)
    except PromptError:
        return False


def _aspect(page: Page) -> float:
    picture = next(panel.picture for panel in page.panels if panel.picture)
    return picture.width / picture.height


def _error(where: str, what: str) -> Problem:
    return Problem(severity=Severity.ERROR, where=where, what=what)


def _warning(where: str, what: str) -> Problem:
    return Problem(severity=Severity.WARNING, where=where, what=what)
