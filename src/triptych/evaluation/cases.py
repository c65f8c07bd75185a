"""Cases: pages with known answers, their examples, their wrong examples and the candidates they are found among."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
from PIL import Image

from triptych.data.mixture import Words, shape_of
from triptych.data.photosource import PHOTOGRAPHS, PictureKind, picture_source
from triptych.data.rules import FAMILY_RULES, HELD_OUT_RULES, LATER_RULES, RULES, Rule, Task
from triptych.data.sources import Source, SpriteScenes
from triptych.data.sprites import EVALUATION_STYLES, SpriteSource, is_held_out
from triptych.errors import SourceError
from triptych.evaluation.retrieval import embed
from triptych.evaluation.suites import Control, Kind, Objects, Row, rules_of
from triptych.page import Page

__all__ = ["Case", "NotedSprites", "cases_of_pages", "cases_of_row"]

_TRIES = 60
_OTHER_TRIES = 120
_NEAREST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One answered page and all it is asked and measured with."""

    key: str
    group: str
    """Pages of one group share the parameters of their task."""
    page: Page
    words: Words
    rule: Rule | None
    examples: tuple[Page, ...]
    """Other pages of the same task, at least as many as the most shots asked."""
    wrong: tuple[Page, ...]
    """Pages of another rule with the same shape, as many; none where no other rule has the shape."""
    stranger: Page | None
    """Another object of the same task: the right rule with the wrong object."""
    candidates: np.ndarray
    """(candidates, slots, features): embedded answers of the task, the page's own at `right`."""
    right: int
    trained: tuple[tuple[Image.Image, ...], ...] = ()
    """Answers of the same task on training objects; empty where not asked for."""
    trained_features: np.ndarray | None = None
    cast: tuple[Image.Image, ...] = ()
    """Portraits of the other characters, for storyboards."""


@dataclass(frozen=True)
class NotedSprites(SpriteSource):
    """Sprites that remember which objects were drawn, so that candidates and examples show different ones."""

    drawn: list[str] = field(default_factory=list, compare=False)
    scenes: dict[tuple[object, ...], Source] = field(default_factory=dict, compare=False)

    def sprite(self, style: str, name: str) -> Image.Image:
        self.drawn.append(name)
        return super().sprite(style, name)


def _keeps(objects: Objects) -> Callable[[str], bool] | None:
    match objects:
        case Objects.HELD_OUT:
            return is_held_out
        case Objects.TRAINING:
            return lambda name: not is_held_out(name)
        case Objects.ANY:
            return None


def _scenes(
    sprites: NotedSprites,
    objects: Objects,
    pair: tuple[str, str] | None,
    style: str | None,
    kind: PictureKind = PictureKind.SPRITES,
) -> Source:
    """Kept with the sprites, whose memory of what was drawn it shares."""
    key = (objects, pair, style, kind)
    if key not in sprites.scenes and kind is not PictureKind.SPRITES:
        sprites.scenes[key] = picture_source(kind, sprites, names=_keeps(objects))
    elif key not in sprites.scenes:
        styles = pair if style is None else (style,)
        pairs = () if pair is None else (pair,)
        sprites.scenes[key] = SpriteScenes(sprites, names=_keeps(objects), styles=styles, style_pairs=pairs)
    return sprites.scenes[key]


def cases_of_row(
    row: Row,
    sprites: NotedSprites,
    *,
    pages: int,
    candidates: int = 50,
    size_px: int = 128,
    seed: int = 0,
    skip: frozenset[str] = frozenset(),
) -> Iterator[list[Case]]:
    """Groups of cases, one task each; the same arguments give the same pages. Groups named in `skip` are not made."""
    rules = rules_of(row)
    for number, wanted in row.tasks(pages).items():
        group = f"{row.name}/{number:03d}"
        if group in skip:
            continue
        rule = rules[number % len(rules)]
        yield _group(row, rule, group, sprites, wanted=wanted, candidates=candidates, size_px=size_px, seed=seed)


def _group(
    row: Row,
    rule: Rule,
    group: str,
    sprites: NotedSprites,
    *,
    wanted: int,
    candidates: int,
    size_px: int,
    seed: int,
) -> list[Case]:
    pair, style = _styles(row, sprites, Random(f"{seed}:{group}:styles"))
    task = rule.draw(Random(f"{seed}:{group}:task"), _scenes(sprites, row.objects, pair, style, row.source))
    rng = Random(f"{seed}:{group}:pages")
    pool = _different_pages(task, sprites, rng, max(candidates, wanted + max(row.shots)), size_px)
    features = _features(pool[:candidates])
    wrong = _wrong_pages(row, rule, pool[0], sprites, Random(f"{seed}:{group}:wrong"), size_px)
    trained = _trained(row, task, sprites, pair, style, f"{seed}:{group}", size_px) if row.nearest else ()
    trained_features = _features_of(trained) if trained else None
    cases = []
    for index in range(min(wanted, len(pool))):
        others = [page for position, page in enumerate(pool) if position != index]
        examples, stranger = _examples(others, max(row.shots), rng)
        cases.append(
            Case(
                key=f"{group}-{index}",
                group=group,
                page=replace(pool[index], page_id=f"{group}-{index}"),
                words=row.keeps,
                rule=rule,
                examples=examples,
                wrong=wrong,
                stranger=stranger,
                candidates=features,
                right=index,
                trained=trained,
                trained_features=trained_features,
                cast=tuple(_portraits(others[: candidates - 1])) if row.kind is Kind.STORYBOARD else (),
            )
        )
    return cases


def _examples(others: Sequence[Page], shots: int, rng: Random) -> tuple[tuple[Page, ...], Page | None]:
    """Examples, and one more page that is none of them where there are enough."""
    drawn = rng.sample(others, min(shots + 1, len(others)))
    return tuple(drawn[:shots]), drawn[-1] if drawn else None


def _portraits(pages: Sequence[Page]) -> list[Image.Image]:
    return [page.conditions[0].image for page in pages if page.conditions and page.conditions[0].image is not None]


def _styles(row: Row, sprites: NotedSprites, rng: Random) -> tuple[tuple[str, str] | None, str | None]:
    pair = rng.choice(row.styles) if row.styles else None
    usable = [style for style in sprites.names if style not in EVALUATION_STYLES]
    return pair, rng.choice(usable) if row.same_style else None


def _different_pages(task: Task, sprites: NotedSprites, rng: Random, count: int, size_px: int) -> list[Page]:
    """Up to `count` pages whose (last drawn) objects all differ; fewer where the source has no more of them."""
    pages: list[Page] = []
    seen: set[str] = set()
    misses = 0
    while len(pages) < count and misses < _TRIES:
        sprites.drawn.clear()
        page = task.page(rng, size_px)
        name = sprites.drawn[-1] if sprites.drawn else None
        if name in seen:
            misses += 1
            continue
        if name is not None:
            seen.add(name)
        misses = 0
        pages.append(page)
    return pages


def _wrong_pages(
    row: Row, rule: Rule, like: Page, sprites: NotedSprites, rng: Random, size_px: int
) -> tuple[Page, ...]:
    """Pages of one task of another rule with the shape of `like`: of the row's rules, or else of trained ones."""
    if not {Control.OTHER_RULE, Control.OTHER_WORDS} & set(row.controls):
        return ()
    shape, source = shape_of(like), _scenes(sprites, row.objects, None, None, row.source)
    unseen = HELD_OUT_RULES | LATER_RULES | FAMILY_RULES
    trained = [other for name, other in RULES.items() if name not in unseen and (other.is_map or shape != (1, 1))]
    if row.source in PHOTOGRAPHS:
        trained = [other for other in trained if other.is_map and not other.needs_object]
    own = [other for other in rules_of(row) if other.name != rule.name] or trained
    for attempt in range(_OTHER_TRIES):
        other = rng.choice(own if attempt < _OTHER_TRIES // 4 else trained)
        task = other.draw(rng, source)
        first = task.page(rng, size_px)
        if other.name != rule.name and shape_of(first) == shape:
            return (first, *(task.page(rng, size_px) for _ in range(max(row.shots) - 1)))
    return ()


def _trained(
    row: Row,
    task: Task,
    sprites: NotedSprites,
    pair: tuple[str, str] | None,
    style: str | None,
    key: str,
    size_px: int,
) -> tuple[tuple[Image.Image, ...], ...]:
    """Answers of the same task on training objects; none where its parameters cannot be drawn again."""
    source = _scenes(sprites, Objects.TRAINING, pair, style, row.source)
    again = task.rule.draw(Random(f"{key}:task"), source)
    if again.instruction != task.instruction:
        return ()
    rng = Random(f"{key}:trained")
    return tuple(_answers(page) for page in _different_pages(again, sprites, rng, _NEAREST, size_px))


def _answers(page: Page) -> tuple[Image.Image, ...]:
    found = tuple(panel.answer for panel in page.slots if panel.answer is not None)
    if len(found) < len(page.slots):
        raise SourceError(f"page {page.page_id!r} has a slot without an answer; only answered pages can be scored.")
    return found


def _features(pages: Sequence[Page]) -> np.ndarray:
    return _features_of([_answers(page) for page in pages])


def _features_of(answers: Sequence[tuple[Image.Image, ...]]) -> np.ndarray:
    rows = embed([picture for slots in answers for picture in slots])
    return rows.reshape(len(answers), -1, rows.shape[-1])


def cases_of_pages(
    pages: Sequence[Page], *, shots: int = 0, candidates: int = 50, words: Words = Words.ALL, seed: int = 0
) -> list[Case]:
    """Cases of a page set: examples and candidates of a page are other pages of its rule and shape.

    Raises SourceError where a page has no answer.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, page in enumerate(pages):
        alike.setdefault((page.rule, shape_of(replace(page, context=()))), []).append(index)
    features = [_features([page])[0] for page in pages]
    cases: dict[int, Case] = {}
    for (name, shape), indices in alike.items():
        strangers = [i for (other, form), found in alike.items() if other != name and form == shape for i in found]
        for index in indices:
            rng = Random(f"{seed}:{index}")
            others = [other for other in indices if other != index]
            among = [index, *rng.sample(others, min(candidates - 1, len(others)))]
            page = pages[index]
            examples, stranger = _examples(_bare(pages, rng.sample(others, min(shots + 1, len(others)))), shots, rng)
            key = page.page_id or f"{index:04d}"
            cases[index] = Case(
                key=key,
                group=key,
                page=replace(page, context=()),
                words=words,
                rule=RULES.get(page.rule) if page.rule else None,
                examples=page.context or examples,
                wrong=_bare(pages, rng.sample(strangers, min(shots, len(strangers)))),
                stranger=stranger,
                candidates=np.stack([features[other] for other in among]),
                right=0,
            )
    return [cases[index] for index in range(len(pages))]


def _bare(pages: Sequence[Page], indices: Sequence[int]) -> tuple[Page, ...]:
    return tuple(replace(pages[index], context=()) for index in indices)
