"""The loss of pretraining: clean tokens of the slots at one noise level a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from triptych.canvas import Canvas
from triptych.flow import interpolate, logit_normal
from triptych.models.backbone import Grid
from triptych.models.pocket.backbone import PocketNetwork, positions
from triptych.models.pocket.transformer import ReferenceCache
from triptych.training.pretrain.batches import PageBatch, to_unit
from triptych.training.pretrain.recipe import PretrainRecipe

__all__ = ["Draw", "draw_levels", "mean_answers", "page_loss"]

_MAX_PAINTED = 4
"""Panels of a canvas that training paints; longer ones cost more than they teach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The loss of one batch; its plain mean error, and that at t = 1, where nothing but the conditions helps."""

    loss: Tensor
    error: float
    pure: float


def draw_levels(
    pages: int, recipe: PretrainRecipe, generator: torch.Generator, *, open_share: float | None = None
) -> Float[Tensor, " pages"]:
    """A noise level for each page: a share at exactly 1, the rest logit-normal, or even below `sample_from`.

    `open_share` is how many are not at 1; None: as many as the recipe's `pure_noise_share` leaves.
    """
    if recipe.sample_from is None:
        levels = logit_normal(pages, mean=recipe.noise_mean, std=recipe.noise_std, generator=generator)
    else:
        levels = recipe.sample_from * (1 - torch.rand(pages, generator=generator))
    share = recipe.pure_noise_share if open_share is None else 1 - open_share
    pure = torch.rand(pages, generator=generator) < share
    return torch.where(pure, torch.ones(()), levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """What one batch asks: clean target tokens, which of them the loss counts, and what is known of them."""

    clean: Float[Tensor, "batch targets channels"]
    positions: Float[Tensor, "targets 4"]
    counted: Bool[Tensor, " targets"]
    references: ReferenceCache | None = None

    def predict(
        self,
        network: PocketNetwork,
        batch: PageBatch,
        tokens: Tensor,
        levels: Tensor,
        pages: slice | Tensor = slice(None),
    ) -> Tensor:
        """Clean tokens of some of the pages."""
        references = self.references
        if references is not None:
            references = ReferenceCache(
                blocks=tuple((keys[pages], values[pages]) for keys, values in references.blocks)
            )
        return network.transformer.predict(
            tokens[pages],
            levels[pages],
            text=network.text(batch.text.ids[pages]),
            text_positions=batch.text.positions,
            positions=self.positions,
            references=references,
        )

    def noisy(
        self, network: PocketNetwork, batch: PageBatch, noise: Tensor, levels: Tensor, sample_from: float | None
    ) -> Tensor:
        """Tokens at their levels: on the line to noise, or below `sample_from` on that to what the first step gives.

        Posterior-mean rectified flow (Ohayon et al. 2024, arXiv:2410.00418): from t = 1 the network predicts the mean
        of all answers. One step of Euler from there to `sample_from` leaves that mean with part of the noise, and it
        is from such tokens that the flow to the answers is learnt. Where one answer is right there is nothing left
        to learn; where many are, the noise decides between them.
        """
        share, end = levels, noise
        if sample_from is not None and bool((levels < 1).any()):
            open_pages = levels < 1
            end, share = noise.clone(), torch.where(open_pages, levels / sample_from, levels)
            with torch.no_grad(), torch.compiler.set_stance("force_eager"):  # any number of pages: no new shapes
                mean = self.predict(network, batch, noise, torch.ones_like(levels), open_pages).float()
            end[open_pages] = interpolate(mean, noise[open_pages], sample_from)
        # What a canvas shows besides its slots stays clean (`Card.clean_canvas`).
        return torch.where(self.counted[:, None], interpolate(self.clean, end, share[:, None, None]), self.clean)


def _by_reference(network: PocketNetwork, batch: PageBatch) -> _Problem:
    pages, given = batch.given.shape[:2]
    with torch.no_grad():
        tokens = network.codec.encode(torch.cat((to_unit(batch.given), to_unit(batch.answers)))).float()
    known, clean = tokens[: pages * given], tokens[pages * given :]
    clean = rearrange(clean, "(b p) n c -> b (p n) c", b=pages)
    references = None
    if given:
        known = rearrange(known, "(b p) n c -> b (p n) c", b=pages)
        references = network.transformer.encode_references(known, positions(batch.given_grids))
    counted = torch.ones(clean.shape[1], dtype=torch.bool, device=clean.device)
    return _Problem(clean=clean, positions=positions(batch.slot_grids), counted=counted, references=references)


def _by_repaint(network: PocketNetwork, batch: PageBatch) -> _Problem:
    """All panels on one canvas, as sampling paints it: conditions are encoded beside white slots."""
    factor = network.codec.factor
    rows, columns = (side // factor for side in (batch.canvas.height_px, batch.canvas.width_px))
    shape = (len(batch.given), batch.canvas.height_px, batch.canvas.width_px, 3)
    asked = torch.full(shape, 255, dtype=torch.uint8, device=batch.given.device)
    given = [index for index in range(len(batch.canvas.boxes)) if index not in batch.slots]
    _paint(asked, batch.canvas, given, batch.given)
    answered = asked.clone()
    _paint(answered, batch.canvas, batch.slots, batch.answers)
    counted = torch.zeros(rows, columns, dtype=torch.bool)
    for index in batch.slots:
        left, top, right, bottom = (side // factor for side in batch.canvas.boxes[index].corners)
        counted[top:bottom, left:right] = True
    with torch.no_grad():
        both = network.codec.encode(to_unit(torch.stack((asked, answered)))).float()
    clean_asked, clean_answered = both.chunk(2)
    counted = counted.flatten().to(clean_asked.device)
    return _Problem(
        clean=torch.where(counted[:, None], clean_answered, clean_asked),
        positions=positions([Grid(frame=0, rows=rows, columns=columns)]),
        counted=counted,
    )


def _paint(
    canvases: UInt8[Tensor, "batch height width 3"],
    canvas: Canvas,
    panels: Sequence[int],
    pictures: UInt8[Tensor, "batch panels side side 3"],
) -> None:
    for number, index in enumerate(panels):
        left, top, right, bottom = canvas.boxes[index].corners
        canvases[:, top:bottom, left:right] = pictures[:, number]


def page_loss(
    network: PocketNetwork,
    batch: PageBatch,
    recipe: PretrainRecipe,
    weights: Float[Tensor, " channels"],
    generator: torch.Generator,
) -> Draw:
    """Mean squared error on the slots' clean tokens, channels weighted; conditions are never in the loss.

    With `relative_above` c a page of error e weighs 1 / (1 + e / c), as adaptive weighting does (Geng et al. 2025,
    arXiv:2505.13447): a small error halved counts as much as a large one halved. Without it, pages that are nearly a
    copy of their condition, such as a change of shading, are drowned by those that must be guessed.
    """
    panels = len(batch.canvas.boxes)
    repaint = panels <= _MAX_PAINTED and float(torch.rand((), generator=generator)) < recipe.repaint_share
    problem = _by_repaint(network, batch) if repaint else _by_reference(network, batch)
    clean = problem.clean
    # Drawn on the CPU: the same on every device.
    levels = draw_levels(len(clean), recipe, generator, open_share=batch.open_share).to(clean.device)
    noise = torch.randn(clean.shape, generator=generator).to(clean.device)
    noisy = problem.noisy(network, batch, noise, levels, recipe.sample_from)
    predicted = problem.predict(network, batch, noisy, levels)
    error = (predicted.float() - clean)[:, problem.counted].square() * weights
    each = error.mean(dim=(1, 2))
    errors = each.detach()
    if recipe.relative_above is not None:
        each = each / (1 + errors / recipe.relative_above)
    pure = errors[levels == 1]
    return Draw(loss=each.mean(), error=float(errors.mean()), pure=float(pure.mean()) if len(pure) else float("nan"))


@torch.no_grad()
def mean_answers(
    network: PocketNetwork, batch: PageBatch, generator: torch.Generator
) -> tuple[Float[Tensor, "answers tokens channels"], Float[Tensor, "answers tokens channels"]]:
    """Tokens that one step makes of every slot, the `mean` reading, and the answers' own; slots fold into the batch."""
    problem = _by_reference(network, batch)
    noise = torch.randn(problem.clean.shape, generator=generator).to(problem.clean.device)
    predicted = problem.predict(network, batch, noise, torch.ones(len(noise), device=noise.device)).float()
    folded = partial(rearrange, pattern="b (p n) c -> (b p) n c", p=batch.answers.shape[1])
    return folded(predicted), folded(problem.clean)
