"""Training on picks: `prefer` takes picks, a skill and the pages that taught it, and gives a better skill or none."""

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from triptych.errors import TrainingError
from triptych.events import CancelToken, Event
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.skill import Skill, SkillCard, save_skill
from triptych.training.beforeafter import write_report
from triptych.training.foretold import Look, Looks, foretold
from triptych.training.loop import conduct
from triptych.training.measure import held_out_loss
from triptych.training.objective import Asked
from triptych.training.picked import Example, Mixed, PickItems, split_examples
from triptych.training.recipe import LossSpace, Preference, Recipe
from triptych.training.running import arithmetic
from triptych.training.trainer import Trainer
from triptych.training.variants import item_seed, page_sha256

__all__ = ["REPORT", "before_path", "prefer", "split_pages"]

REPORT = "picks.md"
_BEST = "best."


def before_path(out: Path) -> Path:
    """Where the version before stands."""
    return out.with_name(f"{out.stem}-before{out.suffix}")


def split_pages(pages: Sequence[Page], share: float) -> tuple[list[Page], list[Page]]:
    """Teaching pages to learn and to measure on: a share by hash, at least one; a single page is both."""
    if len(pages) == 1:
        return list(pages), list(pages)
    ranked = sorted(pages, key=lambda page: item_seed("held out", page_sha256(page)))
    count = max(1, round(share * len(ranked)))
    held = {id(page) for page in ranked[:count]}
    return [page for page in pages if id(page) not in held], [page for page in pages if id(page) in held]


def prefer(
    examples: Sequence[Example],
    pages: Sequence[Page],
    out: str | Path,
    recipe: Recipe,
    backbone: Backbone,
    *,
    start: Skill,
    held_out: Sequence[Page] = (),
    resume: bool = False,
    more_steps: int = 0,
    overwrite: bool = False,
    on_event: Callable[[Event[Skill]], None] = lambda _: None,
    cancel: CancelToken | None = None,
) -> Skill:
    """Tune `start` to picks and save it to `out`, the version before beside it as NAME-before.

    One half of every batch are picks, the other `pages`, of which a share is held out where no `held_out` is given.
    A share of the picks is held out too: the run ends when they are foretold worse, and the step at which they were
    foretold best is released. Raises TrainingError, and writes no skill, where that is never better than chance, or the
    error on held-out pages has risen by more than the recipe allows; else what `train` raises.
    """
    out = Path(out)
    if recipe.preference is None:
        raise TrainingError("the recipe has no preference. Take the recipe prefer, or give preference.kind.")
    taught, measured = (
        (list(pages), list(held_out)) if held_out else split_pages(list(pages), recipe.preference.held_out)
    )
    learned, unseen = split_examples(examples, recipe.preference.held_out)
    if not learned:
        raise TrainingError(f"the {len(examples)} picks are of too few pages to hold some out. Pick on more pages.")

    def trainer(accelerator: Accelerator) -> Trainer:
        return _Tuner((learned, unseen), (taught, measured), out, recipe, backbone, accelerator, start, on_event)

    return conduct(
        trainer,
        out,
        backbone,
        resume=resume,
        more_steps=more_steps,
        overwrite=overwrite,
        on_event=on_event,
        cancel=cancel,
    )


class _Tuner(Trainer):
    """A training that looks at held-out picks, ends by them, and releases the best step or nothing."""

    def __init__(
        self,
        picks: tuple[Sequence[Example], Sequence[Example]],
        pages: tuple[Sequence[Page], Sequence[Page]],
        out: Path,
        recipe: Recipe,
        backbone: Backbone,
        accelerator: Accelerator,
        start: Skill,
        on_event: Callable[[Event[Skill]], None],
    ) -> None:
        super().__init__(
            pages[0], out, recipe, backbone, accelerator, start=start, held_out=pages[1], on_event=on_event
        )
        assert recipe.preference is not None, "`prefer` has seen to it"
        self.begun_from, self.preference = start, recipe.preference
        self.learned_picks, self.unseen_picks = picks
        self.items = PickItems(self.learned_picks, self.objective, recipe)
        self.pages_only = self.batches
        self.batches = Mixed(self.pages_only, self.items)
        own = {f"pick {example.pick_id}": _digest(example) for example in (*picks[0], *picks[1])}
        self.identity = replace(self.identity, pages={**self.identity.pages, **own})
        self.looks, self.since = Looks(), 0
        self._asked: list[list[Asked | None]] = []
        self._before: tuple[list[list[float]], float] | None = None

    def noted(self, parameters: Mapping[str, torch.nn.Parameter]) -> dict[str, Tensor]:
        self.best = {name: value.detach().clone() for name, value in parameters.items()}
        return self.looks.tensors() | {f"{_BEST}{name}": value for name, value in self.best.items()}

    def begin(self, *, resume: bool, more_steps: int, overwrite: bool) -> None:
        super().begin(resume=resume, more_steps=more_steps, overwrite=overwrite)
        # A run that is made longer starts with full patience again.
        self.since = self.state.step if more_steps else 0

    def ends(self) -> bool:
        # Also where a run was stopped between a checkpoint and its look.
        self._look_at_picks()
        return self.looks.have_ended(self.preference, since=self.since)

    def _look_at_picks(self, *, is_last: bool = False) -> None:
        step = self.state.step
        is_due = step % self.preference.measure_every == 0 or is_last
        if step == 0 or not is_due or any(look.step == step for look in self.looks.all):
            return
        with self._evaluating():
            before, error_before = self._measured_before()
            with arithmetic(self.backbone.device, self.recipe.precision):
                now, error = self.items.errors(self._asked), self._teaching_error()
            found = foretold(self.unseen_picks, before, now)
            worse_db = 10 * math.log10(max(error, 1e-12) / max(error_before, 1e-12))
            look = Look(step=step, accuracy=found.accuracy, margin=found.margin, chance=found.chance, worse_db=worse_db)
            self.looks.add(look)
            if self.looks.best(self.preference) == look:
                for name, value in self.best.items():
                    value.copy_(self.state.parameters[name])
        self.watcher.measured(step, {"picks_foretold": look.accuracy, "teaching_db": worse_db})

    def _measured_before(self) -> tuple[list[list[float]], float]:
        if self._before is None:
            with self.state.as_begun(), arithmetic(self.backbone.device, self.recipe.precision):
                # Of the beginning: what is compared is asked the same all the time.
                self._asked = self.items.asked(self.unseen_picks)
                self._before = self.items.errors(self._asked), self._teaching_error()
        return self._before

    def _teaching_error(self) -> float:
        """Squared error of the clean tokens on held-out teaching pages."""
        flow = replace(self.objective, space=LossSpace.DATA)
        return held_out_loss(flow, self.held_out, self.batches.setting(0), seed=self.recipe.seed)

    def finish(self, cancel: CancelToken) -> Skill:
        """Release the best step with the version before beside it, or undo it all and say why."""
        self._look_at_picks(is_last=True)
        chosen = self.looks.best(self.preference)
        if self.accelerator.is_main_process:
            with self._harmless("writing the report of the picks"), self._evaluating():
                self._report(chosen, cancel)
            if chosen is None:
                self.core.save()
            else:
                save_skill(self.begun_from, before_path(self.out))
        if chosen is None:
            raise TrainingError(_undone(self.looks.all, self.preference, self.begun_from, self.folder / REPORT))
        return super().finish(cancel)

    def released(self) -> dict[str, Tensor]:
        return {name: value.detach().cpu().clone() for name, value in self.best.items()}

    def card(self) -> SkillCard:
        """That of the skill before, with how it was tuned."""
        old, chosen = self.begun_from.card, self.looks.best(self.preference)
        assert chosen is not None, "a run that is undone has no card"
        picks = {
            "learned": len(self.learned_picks),
            "held_out": len(self.unseen_picks),
            "foretold": round(chosen.accuracy, 4),
            "chance": round(chosen.chance, 4),
            "teaching_db": round(chosen.worse_db, 4),
        }
        return old.model_copy(
            update={
                "name": self.out.stem,
                "recipe": {**self.recipe.model_dump(mode="json"), "picks": picks},
                "steps": old.steps + chosen.step,
                "date": datetime.date.today().isoformat(),
            }
        )

    def _report(self, chosen: Look | None, cancel: CancelToken) -> None:
        after = self.best if chosen else {name: value.detach().clone() for name, value in self.state.parameters.items()}
        write_report(
            self.folder,
            self.backbone,
            self.unseen_picks,
            (self.state.as_begun, lambda: self.state.holding(after)),
            self.looks.all,
            chosen,
            cancel,
        )


def _digest(example: Example) -> str:
    told = [(result.seed, result.verdict.value, page_sha256(result.page)) for result in example.results]
    return str(item_seed(repr(told)))


def _undone(looks: Sequence[Look], preference: Preference, start: Skill, report: Path) -> str:
    best = max(looks, key=lambda look: look.margin, default=None)
    why = "no step was taken"
    if best is not None and best.chance > preference.most_chance:
        why = (
            f"held-out picks are foretold in {best.accuracy:.0%} of cases at best, which is no better than chance: as "
            f"much comes of nothing in {best.chance:.0%} of cases"
        )
    elif best is not None:
        least = min(look.worse_db for look in looks)
        why = (
            f"the error on held-out teaching pages rose by {best.worse_db:.2f} dB, more than the "
            f"{preference.most_worse_db:g} dB allowed (by {least:.2f} dB at least)"
        )
    return (
        f"undone: {why}. The skill {start.name!r} stays as it was; {report} shows what was tried. Pick more, or lower "
        "optimizer.learning_rate."
    )
