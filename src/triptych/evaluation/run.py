"""`evaluate`: ask every page of a suite or a page set in every way, score it, and keep the scores."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL.Image import Image

from triptych.conditioning import Reading
from triptych.data.mixture import Words
from triptych.evaluation.asking import asked_page, noise_seed
from triptych.evaluation.baselines import Baseline, baselines, through_codec
from triptych.evaluation.cases import Case, NotedSprites, cases_of_pages, cases_of_row
from triptych.evaluation.gallery import shown_page
from triptych.evaluation.records import PageScores, RunFolder, Settings, Shown
from triptych.evaluation.scores import Scores, load_scores
from triptych.evaluation.scoring import score_samples
from triptych.evaluation.storyboards import ShotJudge
from triptych.evaluation.suites import Arm, Control, Kind, Row, Suite
from triptych.events import CancelToken, Done, Event, Phase, Step, Warning
from triptych.models.backbone import Adapter, Backbone, Conditioning
from triptych.page import Page
from triptych.sampling import Engine, MakesPictures, Request, Result

__all__ = ["evaluate", "weights_digest"]

_CHUNK_PAGES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """A backbone as it is to be asked."""

    engine: MakesPictures
    backbone: Backbone | None
    """None at a server, where nobody sees codec and weights."""
    skill: Adapter | None
    steps: int | None
    conditioning: Conditioning
    seed: int
    cancel: CancelToken
    tell: Callable[[Warning], None]

    def can_ask(self, arm: Arm) -> bool:
        return arm.seeds == 0 or self.engine.card.sample_steps is not None

    def hear(self, event: Event[tuple[Result, ...]]) -> None:
        if isinstance(event, Warning):
            self.tell(event)

    def paint(self, cases: Sequence[Case], pages: Sequence[Page], *, sample: int | None) -> list[tuple[Image, ...]]:
        """Pictures of every page: as the backbone answers, or its sample of that number."""
        requests = [
            Request(
                page=page.without_answers(),
                seed=noise_seed(case, self.seed) + (sample or 0),
                steps=self.steps if sample is None else None,
                reading=None if sample is None else Reading.SAMPLE,
                conditioning=self.conditioning,
            )
            for case, page in zip(cases, pages, strict=True)
        ]
        made = self.engine.generate(requests, skill=self.skill, cancel=self.cancel, on_event=self.hear)
        return [result.images for result in made]

    def settings(self, suite: Suite, source: str) -> Settings:
        return Settings(
            suite=suite,
            seed=self.seed,
            backbone=self.engine.card.name,
            weights=weights_digest(self.backbone) if self.backbone else "at a server",
            skill=self.skill.name if self.skill else None,
            steps=self.steps,
            conditioning=self.conditioning,
            source=source,
        )


def evaluate(
    backbone: Backbone | MakesPictures,
    pages: Suite | Sequence[Page],
    *,
    out: Path,
    sprites: Path | None = None,
    rows: Sequence[str] = (),
    shots: Sequence[int] = (0, 1, 2, 3),
    skill: Adapter | None = None,
    count: int | None = None,
    seed: int = 0,
    steps: int | None = None,
    conditioning: Conditioning | None = None,
    shown: int = 12,
    on_event: Callable[[Event[Scores]], None] = lambda _: None,
    cancel: CancelToken | None = None,
) -> Scores:
    """Score a backbone, and a skill on it, on a suite or on answered pages; the scores are kept in `out`.

    A server (`open_engine`) is scored without the ceilings of its codec, which nobody here can compute.

    `sprites` is the folder of rendered sprites that a suite draws from; `rows` names those to score now, all if
    empty. `count` takes so many pages a row, evenly over its tasks, or the first pages of a page set; `shots` is for
    page sets, a suite names its own. `shown` pages of each row, the first of its tasks, keep their pictures for the
    report. A run that was stopped goes on where it was; another run's folder is refused with OutputError. `on_event`
    hears each row as a phase, and its pages as steps; what it raises ends the run. `cancel` raises Cancelled after the
    step at hand, and what was scored before stays.
    """
    engine = backbone if isinstance(backbone, MakesPictures) else Engine(backbone)
    model = _Model(
        engine=engine,
        backbone=engine.backbone if isinstance(engine, Engine) else None,
        skill=skill,
        steps=steps or engine.card.steps or None,
        conditioning=conditioning or engine.card.native,
        seed=seed,
        cancel=cancel or CancelToken(),
        tell=on_event,
    )
    if isinstance(pages, Suite):
        suite, source = pages if count is None else pages.shortened(count), str(sprites)
        maker = _from_sprites(suite, sprites, seed)
    else:
        given = list(pages)[:count]
        suite, source = _suite_of(given, shots), f"{len(given)} pages"
        maker = _from_pages(given, max(shots), seed)
    folder = RunFolder(out)
    folder.begin(model.settings(suite, source))
    for row in suite.only(tuple(rows)).rows if rows else suite.rows:
        _score_row(model, row, suite, maker, folder, shown=shown, on_event=on_event)
    scores = load_scores(out)
    on_event(Done(result=scores))
    return scores


def _score_row(
    model: _Model,
    row: Row,
    suite: Suite,
    maker: "_Maker",
    folder: RunFolder,
    *,
    shown: int,
    on_event: Callable[[Event[Scores]], None],
) -> None:
    done, pages = set(folder.scores(row.name)), row.pages or suite.pages
    on_event(Phase(name=row.name, steps=pages))
    kept = len({entry.page for entry in folder.shown(row.name)})
    for chunk in maker(row, frozenset(done)):
        scored, pictures = _chunk(model, row, suite, chunk, shown=max(0, shown - kept))
        folder.add(row.name, scored, pictures)
        kept += len({entry.page for entry in pictures})
        done |= {entry.page for entry in scored}
        on_event(Step(step=len(done), steps=pages))


_Maker = Callable[[Row, frozenset[str]], Iterator[list[Case]]]


def _from_sprites(suite: Suite, sprites: Path | None, seed: int) -> _Maker:
    source = NotedSprites(sprites or Path())
    _ = source.names

    def make(row: Row, done: frozenset[str]) -> Iterator[list[Case]]:
        pages = row.pages or suite.pages
        tasks, counts = row.tasks(pages), Counter(key.rpartition("-")[0] for key in done)
        whole = frozenset(
            group for group, count in counts.items() if count >= tasks.get(int(group.rpartition("/")[2]), 0)
        )
        found = cases_of_row(
            row,
            source,
            pages=pages,
            candidates=suite.candidates,
            size_px=row.size_px or suite.size_px,
            seed=seed,
            skip=whole,
        )
        yield from _chunks([case for case in group if case.key not in done] for group in found)

    return make


def _from_pages(pages: Sequence[Page], shots: int, seed: int) -> _Maker:
    def make(row: Row, done: frozenset[str]) -> Iterator[list[Case]]:
        cases = cases_of_pages(pages, shots=shots, words=row.keeps, seed=seed)
        yield from _chunks([case] for case in cases if case.key not in done)

    return make


def _chunks(groups: Iterator[list[Case]]) -> Iterator[list[Case]]:
    gathered: list[Case] = []
    for group in groups:
        gathered.extend(group)
        if len(gathered) >= _CHUNK_PAGES:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def _chunk(
    model: _Model, row: Row, suite: Suite, cases: list[Case], *, shown: int
) -> tuple[list[PageScores], list[Shown]]:
    """Every arm and every baseline of some cases; `shown` of them keep their pictures."""
    factor = model.engine.card.factor
    judges = {case.key: ShotJudge(case.page, case.cast) for case in cases if row.kind is Kind.STORYBOARD}
    scores: dict[str, dict[str, dict[str, float | None]]] = {case.key: {} for case in cases}
    pictures: list[Shown] = []

    def note(name: str, case: Case, asked: Page, made: Sequence[tuple[Image, ...]]) -> None:
        found = score_samples(case, asked, made, patch_px=factor, judge=judges.get(case.key))
        scores[case.key][name] = {figure: round(value, 5) for figure, value in found.items()}

    chosen = _shown_keys(cases)[:shown]
    for arm in filter(model.can_ask, row.arms):
        for case, page, made in _painted(model, arm, [case for case in cases if _is_asked(case, arm, row, suite)]):
            note(arm.name, case, page, made)
            if case.key in chosen:
                pictures.append(shown_page(case, arm.name, page, made[0]))
    for case, ceilings in zip(cases, _ceilings(model.backbone, cases), strict=True):
        for name, images in {**baselines(case), **ceilings}.items():
            note(name.value, case, case.page, [images])
    records = [
        PageScores(page=case.key, group=case.group, rule=case.page.rule, scores=scores[case.key]) for case in cases
    ]
    return records, pictures


def _painted(model: _Model, arm: Arm, cases: Sequence[Case]) -> list[tuple[Case, Page, Sequence[tuple[Image, ...]]]]:
    """Those of the cases that allow it, with the page as asked and what the model made of it, a seed after another."""
    ready = [(case, page) for case in cases if (page := asked_page(case, arm)) is not None]
    if not ready:
        return []
    asked, pages = [case for case, _ in ready], [page for _, page in ready]
    made = [model.paint(asked, pages, sample=sample) for sample in (range(arm.seeds) if arm.seeds else (None,))]
    return [(case, page, images) for (case, page), images in zip(ready, zip(*made, strict=True), strict=True)]


def _is_asked(case: Case, arm: Arm, row: Row, suite: Suite) -> bool:
    """Controls may be asked on fewer pages: then on the first of every task, so that no rule is left out.

    Swapped instructions are not a mistake but a test of their own, asked on every page.
    """
    if arm.control in (None, Control.SWAPPED) or suite.control_pages is None:
        return True
    share = suite.control_pages / (row.pages or suite.pages)
    return int(case.key.rpartition("-")[2]) < math.ceil(row.pages_per_task * share)


def _shown_keys(cases: Sequence[Case]) -> list[str]:
    """The first page of each task: a report shows many tasks, and none by choice."""
    return list({case.group: case.key for case in reversed(cases)}.values())[::-1]


def _ceilings(backbone: Backbone | None, cases: Sequence[Case]) -> list[dict[Baseline, tuple[Image, ...]]]:
    """The right answers of each case through the backbone's codec, and through its linear part where it has one."""
    if backbone is None:
        return [{} for _ in cases]
    answers = [panel.answer for case in cases for panel in case.page.slots if panel.answer is not None]
    codecs = {Baseline.CEILING: backbone, Baseline.LINEAR: getattr(backbone, "linear", None)}
    decoded = {name: iter(through_codec(codec, answers)) for name, codec in codecs.items() if codec is not None}
    return [{name: tuple(next(found) for _ in case.page.slots) for name, found in decoded.items()} for case in cases]


def _suite_of(pages: Sequence[Page], shots: Sequence[int]) -> Suite:
    """One row for a page set: every example count, with another rule's examples beside where there are two rules."""
    kinds = {page.rule for page in pages}
    controls = (Control.OTHER_RULE,) if len(kinds) > 1 and any(shots) else ()
    words = Words.ALL if any(panel.instruction for page in pages for panel in page.panels) else Words.NONE
    row = Row(name="pages", title="Pages", rules=(), shots=tuple(shots), controls=controls, words=words)
    return Suite(title="A page set", pages=len(pages), rows=(row,))


def weights_digest(backbone: Backbone) -> str:
    """Twelve hex digits that tell one set of weights from another."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.transformer.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:12]
