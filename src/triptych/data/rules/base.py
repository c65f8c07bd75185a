"""`Rule` and `Task`: programs that make pages whose right answer is known, and judge pictures by it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from PIL import Image

from triptych.data.drawing import Look
from triptych.data.rules.verifiers import Check, Verdict, alike, distance, verify_page
from triptych.data.sources import Source
from triptych.errors import SourceError
from triptych.page import Page, Panel, Role, condition, slot

__all__ = ["Change", "Draft", "Mark", "Rule", "Task", "chain", "few_shot", "page_rule", "picture_rule", "with_article"]

_TRIES = 25
_LEAST_CHANGE = 4e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A map from picture to picture with its parameters fixed, and the ways to say it."""

    says: tuple[str, ...]
    apply: Callable[[Look], Look]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a rule's function hands back: the ways to say the task, and how to compose one page of it.

    `compose(rng, size_px, instruction)` returns an answered page. `change` is there for maps from picture to picture.
    """

    says: tuple[str, ...]
    compose: Callable[[Random, int, str], Page]
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One instance of a rule, its parameters fixed: which colour, which angle, which map."""

    rule: "Rule"
    instruction: str
    draft: Draft

    def page(self, rng: Random, size_px: int = 128) -> Page:
        """An answered page with fresh objects, conditions first; its answer differs from every condition."""
        for _ in range(_TRIES):
            page = self.draft.compose(rng, size_px, self.instruction)
            if not self.rule.changes or _is_telling(page):
                return replace(page, rule=self.rule.name)
        raise SourceError(
            f"rule {self.rule.name!r} found no page whose answer differs from its conditions in {_TRIES} tries; "
            "the source's pictures may be too plain for it."
        )

    def verify(self, page: Page, pictures: tuple[Image.Image, ...]) -> Verdict:
        """Judge `pictures`, one for each slot of an answered page of this task."""
        return self.rule.verify(page, pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where an answer carries what must stay legible: left, top, right and bottom as shares of the picture."""

    box: tuple[float, float, float, float]
    is_text: bool = False
    """True where the box holds letters or digits, to be read one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A small program that makes pages and proves answers. `make` fixes the parameters of one task."""

    name: str
    family: str
    description: str
    make: Callable[[Random, Source], Draft]
    check: Check
    is_map: bool = False
    """True for maps from one picture to one picture, which can be chained."""
    needs_object: bool = False
    """True for maps that must know where the object is, and so take no whole photographs."""
    changes: bool = True
    """False where an answer may be the picture it was given, or differ from it in fine detail only."""
    marks: Callable[[Panel], tuple[Mark, ...]] | None = None
    """For rules whose answers carry text or a mark: where, in the answer of a slot."""

    def draw(self, rng: Random, source: Source) -> Task:
        """A task with its parameters fixed and one way of saying it chosen."""
        draft = self.make(rng, source)
        return Task(rule=self, instruction=rng.choice(draft.says), draft=draft)

    def verify(self, page: Page, pictures: tuple[Image.Image, ...]) -> Verdict:
        """Judge `pictures` by the page's own answers alone, so that pages read from a file can be verified too."""
        return verify_page(self.check, page, tuple(pictures))


def _is_telling(page: Page) -> bool:
    images = [panel.image for panel in page.conditions if panel.image is not None]
    return all(
        distance(panel.answer, image, 32) > _LEAST_CHANGE
        for panel in page.slots
        if panel.answer is not None
        for image in images
    )


def with_article(words: str) -> str:
    """`words` behind "a" or "an", by their first letter."""
    return f"{'an' if words[:1].lower() in 'aeiou' else 'a'} {words}"


def few_shot(task: Task, shots: int, rng: Random, size_px: int = 128) -> Page:
    """A page of `task` behind `shots` other pages of the same task."""
    examples = [task.page(rng, size_px) for _ in range(shots)]
    return task.page(rng, size_px).with_context(*examples)


def _map_draft(change: Change, source: Source, *, figure: bool, role: Role) -> Draft:
    def compose(rng: Random, size_px: int, instruction: str) -> Page:
        look = source.look(rng, size_px, figure=figure)
        answer = change.apply(look).render()
        return Page(panels=(condition(look.render(), role=role), slot(instruction, answer=answer)))

    return Draft(says=change.says, compose=compose, change=change)


def picture_rule(
    name: str,
    family: str,
    description: str,
    *,
    figure: bool = False,
    check: Check | None = None,
    role: Role = Role.EDIT,
    changes: bool = True,
) -> Callable[[Callable[[Random], Change]], Rule]:
    """Turn `draw_parameters(rng) -> Change` into a rule: one picture in, the changed picture out.

    `figure` True says that the map must know where the object is; such a rule takes no whole photographs. `changes`
    False allows answers that are the picture itself.
    """

    def wrap(draw_parameters: Callable[[Random], Change]) -> Rule:
        def make(rng: Random, source: Source) -> Draft:
            return _map_draft(draw_parameters(rng), source, figure=figure, role=role)

        return Rule(
            name=name,
            family=family,
            description=description,
            make=make,
            check=check or alike(),
            is_map=True,
            needs_object=figure,
            changes=changes,
        )

    return wrap


def page_rule(
    name: str,
    family: str,
    description: str,
    *,
    check: Check | None = None,
    marks: Callable[[Panel], tuple[Mark, ...]] | None = None,
    changes: bool = True,
) -> Callable[[Callable[[Random, Source], Draft]], Rule]:
    """Turn `make(rng, source) -> Draft` into a rule whose pages have any number of panels."""

    def wrap(make: Callable[[Random, Source], Draft]) -> Rule:
        return Rule(
            name=name,
            family=family,
            description=description,
            make=make,
            check=check or alike(),
            marks=marks,
            changes=changes,
        )

    return wrap


def chain(first: Rule, second: Rule) -> Rule:
    """First one map, then the other; the picture between them is not shown."""
    for rule in (first, second):
        if not rule.is_map:
            raise SourceError(
                f"rule {rule.name!r} is not a map from picture to picture; only such rules can be chained."
            )

    needs_object = first.needs_object or second.needs_object

    def make(rng: Random, source: Source) -> Draft:
        one, two = first.make(rng, source).change, second.make(rng, source).change
        assert one is not None and two is not None
        joined = tuple(f"{a}, then {b}" for a in one.says for b in two.says)
        both = Change(says=joined, apply=lambda look: two.apply(one.apply(look)))
        return _map_draft(both, source, figure=needs_object, role=Role.EDIT)

    return Rule(
        name=f"{first.name}+{second.name}",
        family="chain",
        description=f"{first.description}; then: {second.description}",
        make=make,
        check=alike(),
        is_map=True,
        needs_object=needs_object,
    )
