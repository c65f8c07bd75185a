"""One run of training: pages, recipe and backbone in, steps that can be resumed, a skill out."""

import datetime
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedType
from torch import Tensor

from triptych.data.pagesets import PageSet
from triptych.errors import TrainingError, TriptychError
from triptych.events import CancelToken, Event
from triptych.models.adapters import (
    AdapterSpec,
    ejecting,
    inject,
    linear_names,
    put_skill,
    shard_frozen,
    unheard_by_conditions,
)
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.skill import Skill, SkillCard, save_skill
from triptych.training.batches import Batches
from triptych.training.cache import PageCache, fingerprint
from triptych.training.channels import backbone_weights
from triptych.training.checkpoint import Identity, newest_checkpoint
from triptych.training.claim import CHECKPOINTS, note_pages, run_folder
from triptych.training.core import Core
from triptych.training.guided import Guided
from triptych.training.measure import held_out_loss
from triptych.training.objective import FlowMatching, Objective, group_items
from triptych.training.optimizers import make_optimizer, rate_share, span_of
from triptych.training.preferences import Preferences
from triptych.training.preflight import page_problems
from triptych.training.recipe import OptimizerKind, Recipe
from triptych.training.release import card_of, page_names, skill_sha256
from triptych.training.running import arithmetic
from triptych.training.state import TrainingState
from triptych.training.variants import page_sha256, prepared_by
from triptych.training.watch import Watcher

__all__ = ["Trainer"]


class Trainer:
    """Everything of one run; `adapted` first, then `begin`, `run` and `finish`."""

    def __init__(
        self,
        pages: Sequence[Page],
        out: Path,
        recipe: Recipe,
        backbone: Backbone,
        accelerator: Accelerator,
        *,
        start: Skill | None,
        held_out: Sequence[Page],
        on_event: Callable[[Event[Skill]], None],
    ) -> None:
        self.out, self.recipe, self.backbone, self.accelerator = out, recipe, backbone, accelerator
        self.start = start
        self.folder = run_folder(out)
        if isinstance(pages, PageSet) and accelerator.is_main_process:
            note_pages(self.folder, pages.folder)
        self.pages = [prepared_by(page, recipe) for page in pages]
        self.held_out = [prepared_by(page, recipe) for page in held_out]
        if not self.pages or not all(page.is_answered for page in self.pages):
            raise TrainingError("training needs pages, and an answer in every slot of them.")
        # Before the adapter is added: it would change the names and the samples of the weights.
        self.cache = PageCache(backbone, self.folder / "cache")
        self.objective = FlowMatching(
            backbone=backbone,
            make_ready=self.cache.get,
            draws=recipe.draws,
            levels=recipe.levels,
            space=recipe.loss,
            channel_weights=backbone_weights(backbone) if recipe.decoder_weights else None,
        )
        self.learned = self._learned()
        self.batches = Batches(self.pages, recipe, backbone, self.learned)
        self.identity = Identity(
            recipe=recipe.deciding() | ({"start": skill_sha256(start)} if start else {}),
            pages={name: page_sha256(page) for name, page in zip(page_names(self.pages), self.pages, strict=True)},
            backbone=fingerprint(backbone),
            pages_per_step=recipe.batch * recipe.accumulation * self.accelerator.num_processes,
        )
        self.watcher = Watcher(self.folder, recipe, on_event, is_main=self.accelerator.is_main_process)

    def _learned(self) -> Objective:
        """What the recipe makes of flow matching."""
        if (preference := self.recipe.preference) is not None:
            return Preferences(flow=self.objective, preference=preference, as_begun=lambda: self.state.as_begun())
        if self.recipe.guided is not None:
            return Guided(flow=self.objective, scale=self.recipe.guided)
        return self.objective

    @contextmanager
    def adapted(self) -> Iterator[None]:
        """The backbone with the adapter in it, out of reach of other threads, and afterwards as before."""
        recipe, transformer = self.recipe, self.backbone.transformer
        was_training = transformer.training
        spec = AdapterSpec(
            rank=recipe.adapter.rank,
            alpha=recipe.adapter.alpha,
            rank_stabilised=recipe.adapter.rank_stabilised,
            dropout=recipe.adapter.dropout,
        )
        names = linear_names(transformer, recipe.adapter.targets)
        with ExitStack() as stack:
            stack.enter_context(self.backbone.shared.using(self.backbone, None))
            stack.enter_context(self.backbone.shared.changing())
            stack.enter_context(ejecting(transformer))
            stack.callback(transformer.train, was_training)
            parameters = inject(transformer, names, spec, seed=recipe.seed)
            if self.start is not None:
                put_skill(self.start, parameters)
            if recipe.frozen_conditions:
                stack.enter_context(unheard_by_conditions(self.backbone))
            if recipe.gradient_checkpointing:
                transformer.enable_gradient_checkpointing()  # pyright: ignore[reportCallIssue]
                stack.callback(transformer.disable_gradient_checkpointing)  # pyright: ignore[reportArgumentType]
            if self.is_sharded:
                shard_frozen(transformer, parameters.values())
            self.state = TrainingState(
                parameters,
                {"optimizer": make_optimizer(parameters, recipe.optimizer)},
                ema=recipe.ema,
                fixed=self.noted(parameters),
                # The others' steps are bounded by the clipped gradient; its step grows with what it finds.
                can_undo=recipe.optimizer.kind is OptimizerKind.PRODIGY,
                keeps_beginning=recipe.preference is not None,
            )
            self.core = Core(
                state=self.state,
                losses=self._losses,
                rate=self._rate,
                clip=recipe.optimizer.clip,
                accelerator=self.accelerator,
                identity=self.identity,
                folder=self.folder / CHECKPOINTS,
                keep=recipe.watch.keep,
                most_bad_steps=recipe.most_bad_steps,
            )
            transformer.train()
            torch.manual_seed(recipe.seed)
            yield

    @property
    def is_sharded(self) -> bool:
        """Whether the frozen weights are spread over the processes: by the recipe, or as accelerate was told."""
        return self.recipe.sharded or self.accelerator.distributed_type is DistributedType.FSDP

    def noted(self, parameters: Mapping[str, torch.nn.Parameter]) -> dict[str, Tensor]:  # noqa: ARG002
        """What a run notes on its way and a resumed one must know, as tensors that are changed in place."""
        return {}

    def ends(self) -> bool:
        """Asked before the first step and after each: whether the run is over before its last."""
        return False

    def _rate(self, step: int) -> float:
        done, steps = span_of(step, self.state.spans)
        return self.recipe.optimizer.learning_rate * rate_share(done, steps, self.recipe.optimizer)

    def begin(self, *, resume: bool, more_steps: int, overwrite: bool) -> None:
        folder = self.folder / CHECKPOINTS
        if overwrite and self.accelerator.is_main_process:
            shutil.rmtree(folder, ignore_errors=True)
        checkpoint, damaged = newest_checkpoint(folder) if resume else (None, ())
        for path in damaged:
            self.watcher.note(f"checkpoint {path.name} is damaged; continuing from the one before it.")
        self.state.spans = [self.recipe.steps]
        if checkpoint is not None:
            checkpoint.identity.refuse_changes(self.identity)
            self.state.resume(checkpoint)
        if more_steps:
            self.state.spans.append(more_steps)
        self.watcher.steps = self.state.steps
        if checkpoint is None:
            self.watcher.begin()
            if self.accelerator.is_main_process:
                for problem in page_problems(page_names(self.pages), self.pages):
                    self.watcher.remark(str(problem))

    def run(self, cancel: CancelToken) -> None:
        if self.state.step == 0:
            self._look(0, cancel)
        if self.ends():
            return
        for taken in self.core.run(cancel):
            if taken.loss is not None:
                self.watcher.step(
                    taken.step, taken.loss, learning_rate=taken.rate, seconds_per_step=taken.seconds_per_step
                )
            else:
                self.watcher.note(f"step {taken.step}: not finite; left out.")
            if self.is_sharded or not cancel.is_cancelled:
                self._at_intervals(taken.step, cancel)
            if self.ends():
                return

    def released(self) -> dict[str, Tensor]:
        """The values that become the skill."""
        with self._evaluating():
            return {name: value.detach().cpu().clone() for name, value in self.state.parameters.items()}

    def card(self) -> SkillCard:
        """What the skill says about itself."""
        steps, date = self.state.steps, datetime.date.today()
        return card_of(self.out.stem, self.pages, self.recipe, self.backbone.card, date, steps=steps)

    def finish(self, cancel: CancelToken) -> Skill:
        """Write the skill, and then what only shows how it was trained."""
        skill = Skill(card=self.card(), tensors=self.released())
        if self.accelerator.is_main_process:
            save_skill(skill, self.out)
            with self._harmless("writing the last checkpoint"):
                self.core.save()
        with self._evaluating():
            self._measure(self.state.step)
            self._sample(self.state.step, cancel)
        if self.accelerator.is_main_process:
            with self._harmless("writing the summary"):
                self.watcher.summarise(skill)
        self.accelerator.wait_for_everyone()
        return skill

    def _losses(self, step: int) -> Iterator[Tensor]:
        """The parts of a step's loss, a group of pages at a time."""
        recipe, here = self.recipe, self.accelerator
        for micro in range(recipe.accumulation):
            batch = step * recipe.accumulation + micro
            items = self.batches.items(batch, process=here.process_index, processes=here.num_processes)
            for group in group_items(self.backbone, items):
                with arithmetic(self.backbone.device, recipe.precision):
                    losses = self.learned.losses(group)
                yield losses.sum() / (recipe.batch * recipe.accumulation)

    def _at_intervals(self, step: int, cancel: CancelToken) -> None:
        if step < self.state.steps:
            # Saved before anything is shown: showing may fail, and must not cost the steps.
            if step % self.recipe.watch.save_every == 0:
                with self._harmless("writing a checkpoint"):
                    self.core.save()
            self._look(step, cancel)

    def _look(self, step: int, cancel: CancelToken) -> None:
        """Measure and sample where it is time for it."""
        watch = self.recipe.watch
        measures = bool(watch.held_out_every) and step % watch.held_out_every == 0
        samples = bool(watch.sample_every) and step % watch.sample_every == 0
        if measures or samples:
            with self._evaluating():
                if measures:
                    self._measure(step)
                if samples:
                    self._sample(step, cancel)

    def _measure(self, step: int) -> None:
        if self.held_out:
            setting, loss = self.batches.setting(0), None
            with self._harmless("measuring the held-out loss"), arithmetic(self.backbone.device, self.recipe.precision):
                loss = held_out_loss(self.objective, self.held_out, setting, seed=self.recipe.seed)
            if loss is not None:
                self.watcher.held_out(step, loss)

    def _sample(self, step: int, cancel: CancelToken) -> None:
        # Spread weights come together only where every process computes, and to the end.
        if self.accelerator.is_main_process or self.is_sharded:
            heard = CancelToken() if self.is_sharded else cancel
            with self._harmless("drawing samples"):
                self.watcher.sample(step, self.backbone, self.held_out or self.pages, self.pages, heard)

    @contextmanager
    def _harmless(self, doing: str) -> Iterator[None]:
        """What fails inside the `with` is reported, and training continues: the weights do not depend on it."""
        try:
            yield
        # Memory that runs out is a RuntimeError in torch.
        except (TriptychError, OSError, RuntimeError, ValueError, MemoryError) as error:
            self.watcher.note(f"step {self.state.step}: {doing} failed: {error} Training continues.")

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        self.backbone.transformer.eval()
        try:
            with self.state.released(), torch.random.fork_rng(), torch.no_grad():
                yield
        finally:
            self.backbone.transformer.train()
