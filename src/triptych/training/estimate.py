"""What a training run will need, computed from sizes before any model is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

from triptych.models.catalog import find_known
from triptych.models.options import Quantise, Training
from triptych.page import Page
from triptych.training.recipe import OptimizerKind, Recipe

__all__ = ["Need", "need_of"]

_ACTIVATIONS = 20
"""Rows of the network's width that a block keeps for its gradient, for every token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Of one process: peak memory in bytes, and floating-point operations of a step."""

    memory: int
    training: Training
    """What of the memory is neither weights nor codec."""
    operations: float
    steps: int

    def seconds(self, speed: float) -> float:
        """Time of the whole run at `speed` operations a second."""
        return self.operations * self.steps / speed

    def text(self, speed: float) -> str:
        """For a person."""
        minutes = self.seconds(speed) / 60
        time = f"{minutes / 60:.0f} hours" if minutes > 180 else f"{minutes:.0f} minutes" if minutes > 1 else "a minute"
        return f"about {self.memory / 2**30:.1f} GiB and {time} at the speed measured on this machine"


def need_of(recipe: Recipe, pages: Sequence[Page]) -> Need | None:
    """Estimated from the catalogue's sizes; None for a backbone that is not in it.

    Operations per weight and token: two forwards, two backwards (frozen weights have no gradient of their own), two
    more where activations are recomputed, and two where pages are also read without their words. Memory, where all
    parts stay on the device: the weights, the adapter with its optimizer, and activations of one draw of one page, or
    of the whole batch on the pocket, which takes it at once.
    """
    known = find_known(recipe.backbone)
    if known is None:
        return None
    small, shape = not known.pipeline, known.shape
    side = max(recipe.sides_px) if recipe.sides_px else known.card.side_px
    shots = recipe.variety.shots
    panels = max(len(page.panels) for page in pages) * (1 + sum(shots) / len(shots))
    slots = max(len(page.slots) for page in pages)
    a_panel = (side // 16) ** 2
    text = 16 if small else known.card.max_text_tokens
    given = 0 if recipe.frozen_conditions else (panels - slots) * a_panel
    drawn = slots * a_panel + text
    seen = recipe.batch * recipe.accumulation
    tokens = seen * (given + drawn * recipe.draws) if small else seen * recipe.draws * (given + drawn)
    passes = (6 if recipe.gradient_checkpointing else 4) + (2 if recipe.guided else 0)
    weights = shape.transformer * 1e9
    bits = Quantise(recipe.quantised.value).bits if recipe.quantised else (32.0 if small else 16.0)
    adapter = 1.6 * recipe.adapter.rank * weights / shape.width
    # Weight, gradient and average, and what the optimizer keeps of each.
    copies = 3 + (4 if recipe.optimizer.kind is OptimizerKind.PRODIGY else 2)
    alive = tokens if small else given + drawn
    blocks = 1 if recipe.gradient_checkpointing else shape.blocks
    kept = (_ACTIVATIONS * blocks + shape.blocks) * shape.width * alive * 2
    step = Training(step_bytes=int(4 * copies * adapter + kept), recomputes=recipe.gradient_checkpointing)
    memory = (weights + 1e9 * shape.text) * bits / 8 + step.step_bytes + 2e9 * shape.codec
    return Need(memory=int(memory), training=step, operations=passes * weights * tokens, steps=recipe.steps)
