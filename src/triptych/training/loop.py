"""Training of a skill: `train` takes pages and a recipe and gives a skill file."""

import datetime
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from torch import Tensor

from triptych.errors import TrainingError
from triptych.models.adapters import AdapterSpec, ejecting, inject, linear_names, shard_frozen, unheard_by_conditions
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.skill import Skill, save_skill
from triptych.training.cache import PageCache, fingerprint
from triptych.training.channels import backbone_weights
from triptych.training.checkpoint import Identity, newest_checkpoint, write_checkpoint
from triptych.training.measure import held_out_loss
from triptych.training.objective import Item, draw_item, group_items, group_losses
from triptych.training.optimizers import make_optimizer, rate_share, set_rate
from triptych.training.prepare import Setting
from triptych.training.recipe import Recipe
from triptych.training.release import card_of, page_names
from triptych.training.running import arithmetic, stopping
from triptych.training.state import TrainingState
from triptych.training.variants import item_seed, page_sha256, prepared_by, varied
from triptych.training.watch import Progress, Watcher

__all__ = ["run_folder", "train"]


def run_folder(out: Path) -> Path:
    """Where a run to `out` keeps checkpoints, caches, samples and its log."""
    return out.with_name(f"{out.stem}.run")


def train(
    pages: Sequence[Page],
    out: str | Path,
    recipe: Recipe,
    backbone: Backbone,
    *,
    held_out: Sequence[Page] = (),
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Skill:
    """Train an adapter on answered pages, save it to `out` and return it; the backbone is left as it was.

    With `resume` the newest whole checkpoint of the run is continued, to the same weights bit for bit on a CPU.
    Ctrl-C saves a checkpoint first. Raises TrainingError for a run that is there already, a changed recipe or page
    set, and losses that stay NaN or infinite.
    """
    out = Path(out)
    trainer = _Trainer(pages, out, recipe, backbone, held_out=held_out, on_progress=on_progress)
    with trainer.adapted():
        trainer.begin(resume=resume)
        with stopping() as stopped:
            trainer.run(stopped)
        return trainer.finish()


class _Trainer:
    def __init__(
        self,
        pages: Sequence[Page],
        out: Path,
        recipe: Recipe,
        backbone: Backbone,
        *,
        held_out: Sequence[Page],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.out, self.recipe, self.backbone = out, recipe, backbone
        self.pages = [prepared_by(page, recipe) for page in pages]
        self.held_out = [prepared_by(page, recipe) for page in held_out]
        if not self.pages or not all(page.is_answered for page in self.pages):
            raise TrainingError("training needs pages, and an answer in every slot of them.")
        self.accelerator = Accelerator(cpu=backbone.device.type == "cpu")
        self.folder = run_folder(out)
        # Before the adapter is there: it would change the names and the samples of the weights.
        self.cache = PageCache(backbone, self.folder / "cache")
        self.weights = backbone_weights(backbone) if recipe.decoder_weights else None
        self.identity = Identity(
            recipe=recipe.deciding(),
            pages={name: page_sha256(page) for name, page in zip(page_names(self.pages), self.pages, strict=True)},
            backbone=fingerprint(backbone),
            pages_per_step=recipe.batch * recipe.accumulation * self.accelerator.num_processes,
        )
        self.watcher = Watcher(self.folder, recipe, on_progress, is_main=self.accelerator.is_main_process)

    @contextmanager
    def adapted(self) -> Iterator[None]:
        """The backbone with the adapter in it, and afterwards as before."""
        recipe, transformer = self.recipe, self.backbone.transformer
        self.backbone.shared.release(self.backbone)
        was_training = transformer.training
        spec = AdapterSpec(
            rank=recipe.adapter.rank,
            alpha=recipe.adapter.alpha,
            rank_stabilised=recipe.adapter.rank_stabilised,
            dropout=recipe.adapter.dropout,
        )
        names = linear_names(transformer, recipe.adapter.targets)
        with ExitStack() as stack:
            stack.enter_context(self.backbone.shared.changing())
            stack.enter_context(ejecting(transformer))
            stack.callback(transformer.train, was_training)
            parameters = inject(transformer, names, spec, seed=recipe.seed)
            if recipe.frozen_conditions:
                stack.enter_context(unheard_by_conditions(self.backbone))
            if recipe.gradient_checkpointing:
                transformer.enable_gradient_checkpointing()  # pyright: ignore[reportCallIssue]
                stack.callback(transformer.disable_gradient_checkpointing)  # pyright: ignore[reportArgumentType]
            if recipe.sharded:
                shard_frozen(transformer, parameters.values())
            self.state = TrainingState(parameters, make_optimizer(parameters, recipe.optimizer), ema=recipe.ema)
            transformer.train()
            torch.manual_seed(recipe.seed)
            yield

    def begin(self, *, resume: bool) -> None:
        checkpoint, damaged = newest_checkpoint(self.folder / "checkpoints")
        if checkpoint is not None and not resume:
            raise TrainingError(
                f"{self.folder} has a run of {checkpoint.step} steps. Continue it with --resume, or remove the folder."
            )
        for path in damaged:
            self.watcher.note(f"checkpoint {path.name} is damaged; continuing from the one before it.")
        if checkpoint is None:
            self.watcher.begin()
            self._look(0)
        else:
            checkpoint.identity.refuse_changes(self.identity)
            self.state.resume(checkpoint)

    def run(self, stopped: Callable[[], bool]) -> None:
        bad, began, first = 0, time.monotonic(), self.state.step
        while self.state.step < self.recipe.steps:
            loss = self._step()
            bad = bad + 1 if loss is None else 0
            if bad > self.recipe.most_bad_steps:
                raise TrainingError(
                    f"{bad} steps in a row ended in NaN or infinity, the last at step {self.state.step}. "
                    "Lower the learning rate, then start from the beginning or resume an earlier checkpoint."
                )
            step = self.state.step
            if loss is not None:
                rate = self.recipe.optimizer.learning_rate * rate_share(
                    step - 1, self.recipe.steps, self.recipe.optimizer
                )
                pace = (time.monotonic() - began) / (step - first)
                self.watcher.step(step, loss, learning_rate=rate, seconds_per_step=pace)
            else:
                self.watcher.note(f"step {step}: not finite; left out.")
            self._at_intervals(step)
            if stopped():
                self._save()
                raise KeyboardInterrupt

    def finish(self) -> Skill:
        """Write the skill and the summary."""
        with self._evaluating():
            tensors = {name: value.detach().cpu().clone() for name, value in self.state.parameters.items()}
            skill = Skill(
                card=card_of(self.out.stem, self.pages, self.recipe, self.backbone.card, datetime.date.today()),
                tensors=tensors,
            )
            self._measure(self.state.step)
            self._sample(self.state.step)
        if self.accelerator.is_main_process:
            self._save()
            save_skill(skill, self.out)
            self.watcher.summarise(skill)
        self.accelerator.wait_for_everyone()
        return skill

    def _step(self) -> float | None:
        """One optimizer step and its loss; None where it was not finite, and all is as before but the count."""
        state, recipe = self.state, self.recipe
        before = state.snapshot()
        state.optimizer.zero_grad()
        total = torch.zeros((), device=self.backbone.device)
        for micro in range(recipe.accumulation):
            for group in group_items(self.backbone, self._items(micro)):
                with arithmetic(self.backbone.device, recipe.precision):
                    losses = group_losses(self.backbone, group, space=recipe.loss, channel_weights=self.weights)
                loss = losses.sum() / (recipe.batch * recipe.accumulation)
                self.accelerator.backward(loss)
                total += loss.detach()
        self._share_gradients()
        loss = float(cast(Tensor, self.accelerator.reduce(total, "mean")))
        norm = torch.nn.utils.clip_grad_norm_(list(state.parameters.values()), recipe.optimizer.clip)
        is_good = bool(torch.isfinite(norm)) and loss == loss and abs(loss) != float("inf")
        if is_good:
            share = rate_share(state.step, recipe.steps, recipe.optimizer)
            set_rate(state.optimizer, recipe.optimizer.learning_rate * share)
            state.optimizer.step()
            is_good = state.is_finite
        if is_good:
            state.follow()
        else:
            state.restore(before)
        state.step += 1
        return loss if is_good else None

    def _items(self, micro: int) -> list[Item]:
        """This process's part of a batch. Everything drawn depends on the place in the run only."""
        recipe, count = self.recipe, len(self.pages)
        batch = self.state.step * recipe.accumulation + micro
        first = (batch * self.accelerator.num_processes + self.accelerator.process_index) * recipe.batch
        items = []
        for place in range(first, first + recipe.batch):
            order = list(range(count))
            random.Random(item_seed(recipe.seed, "order", place // count)).shuffle(order)
            index = order[place % count]
            others = [page for number, page in enumerate(self.pages) if number != index]
            page = varied(self.pages[index], others, recipe.variety, item_seed(recipe.seed, "variety", place))
            prepared = self.cache.get(page, self._setting(place))
            seed = item_seed(recipe.seed, "noise", place)
            items.append(draw_item(prepared, draws=recipe.draws, levels=recipe.levels, seed=seed))
        return items

    def _setting(self, place: int) -> Setting:
        sides = self.recipe.sides_px
        side = random.Random(item_seed(self.recipe.seed, "side", place)).choice(sides) if sides else None
        return Setting(
            conditioning=self.recipe.conditioning or self.backbone.card.native,
            side_px=side,
            guidance=self.recipe.guidance,
            canvas_loss=self.recipe.canvas_loss,
            slot_weights=self.recipe.slot_weights,
            frozen_conditions=self.recipe.frozen_conditions,
        )

    def _share_gradients(self) -> None:
        """The mean over processes, in one message. The adapter is small: it needs no bucketing."""
        if self.accelerator.num_processes == 1:
            return
        gradients = [value.grad for value in self.state.parameters.values() if value.grad is not None]
        flat = self.accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
        assert isinstance(flat, Tensor), "a tensor is reduced to a tensor"
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def _at_intervals(self, step: int) -> None:
        if step < self.recipe.steps:
            self._look(step)
            if step % self.recipe.watch.save_every == 0:
                self._save()

    def _look(self, step: int) -> None:
        """Measure and sample where it is time for it."""
        watch = self.recipe.watch
        measures = bool(watch.held_out_every) and step % watch.held_out_every == 0
        samples = bool(watch.sample_every) and step % watch.sample_every == 0
        if measures or samples:
            with self._evaluating():
                if measures:
                    self._measure(step)
                if samples:
                    self._sample(step)

    def _measure(self, step: int) -> None:
        if self.held_out:
            with arithmetic(self.backbone.device, self.recipe.precision):
                loss = held_out_loss(
                    self.backbone,
                    self.held_out,
                    self.cache,
                    self._setting(0),
                    self.recipe,
                    channel_weights=self.weights,
                )
            self.watcher.held_out(step, loss)

    def _sample(self, step: int) -> None:
        if self.accelerator.is_main_process:
            self.watcher.sample(step, self.backbone, self.held_out or self.pages, self.pages)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        self.backbone.transformer.eval()
        try:
            with self.state.released(), torch.no_grad():
                yield
        finally:
            self.backbone.transformer.train()

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            checkpoint = self.state.checkpoint(self.identity)
            write_checkpoint(self.folder / "checkpoints", checkpoint, keep=self.recipe.watch.keep)
