"""The loss of pretraining: clean tokens of the slots, several noise levels a page, conditions encoded once."""

from dataclasses import dataclass

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from triptych.flow import interpolate, logit_normal
from triptych.models.backbone import Grid
from triptych.models.pocket.backbone import PocketNetwork, positions
from triptych.models.pocket.transformer import repeat_references
from triptych.training.pretrain.batches import PageBatch, to_unit
from triptych.training.pretrain.recipe import PretrainRecipe

__all__ = ["Draw", "draw_levels", "page_loss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The loss of one batch, and the part of it at t = 1, where nothing but the conditions helps."""

    loss: Tensor
    pure: float


def draw_levels(count: int, recipe: PretrainRecipe, generator: torch.Generator) -> Float[Tensor, " count"]:
    """Noise levels: a share at exactly 1, the rest logit-normal."""
    levels = logit_normal(count, mean=recipe.noise_mean, std=recipe.noise_std, generator=generator)
    pure = torch.rand(count, generator=generator) < recipe.pure_noise_share
    return torch.where(pure, torch.ones(()), levels)


def _canvas(grids: tuple[Grid, ...]) -> tuple[Tensor, ...]:
    """Positions on one canvas at frame 0, a row of panels (two rows from four panels on)."""
    columns = len(grids) if len(grids) < 4 else -(-len(grids) // 2)
    places = []
    for number, grid in enumerate(grids):
        place = positions([Grid(frame=0, rows=grid.rows, columns=grid.columns)])
        place[:, 1] += grid.rows * (number // columns)
        place[:, 2] += grid.columns * (number % columns)
        places.append(place)
    return tuple(places)


def page_loss(
    network: PocketNetwork,
    batch: PageBatch,
    recipe: PretrainRecipe,
    weights: Float[Tensor, " channels"],
    generator: torch.Generator,
) -> Draw:
    """Mean squared error on the slots' clean tokens, channels weighted; conditions are never in the loss."""
    pages = batch.answers.shape[0]
    given = batch.given.shape[1]
    with torch.no_grad():
        pictures = torch.cat((to_unit(batch.given), to_unit(batch.answers)))
        tokens = network.codec.encode(pictures).float()
    clean_given = tokens[: pages * given].reshape(pages, -1, tokens.shape[-1])
    clean = tokens[pages * given :].reshape(pages, -1, tokens.shape[-1])
    text = network.text(batch.text.ids)
    repaint = 0 < given <= 4 and float(torch.rand((), generator=generator)) < recipe.repaint_share
    draws = 1 if repaint else batch.draws
    levels = draw_levels(pages * draws, recipe, generator)
    clean = repeat(clean, "b n c -> (b k) n c", k=draws)
    t = levels[:, None, None]
    noisy = interpolate(clean, torch.randn(clean.shape, generator=generator), t)
    text = repeat(text, "b l c -> (b k) l c", k=draws)
    places = positions(batch.slot_grids)
    references = None
    if repaint:
        # As in sampling: the conditions stand on the same canvas at the same noise level.
        own = _canvas(batch.given_grids + batch.slot_grids)
        places = torch.cat(own)
        noisy = torch.cat((interpolate(clean_given, torch.randn(clean_given.shape, generator=generator), t), noisy), 1)
    elif given:
        references = repeat_references(
            network.transformer.encode_references(clean_given, positions(batch.given_grids)), draws
        )
    predicted = network.transformer.predict(
        noisy, levels, text=text, text_positions=batch.text.positions, positions=places, references=references
    )
    error = (predicted[:, -clean.shape[1] :].float() - clean).square() * weights
    each = error.mean(dim=(1, 2))
    pure = each.detach()[levels == 1]
    return Draw(loss=each.mean(), pure=float(pure.mean()) if len(pure) else float("nan"))
