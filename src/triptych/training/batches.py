"""Which pages a step sees, how they are changed, and with what noise: all of it drawn from the place in the run."""

import random
from collections.abc import Sequence

from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.training.objective import Item, Objective
from triptych.training.prepare import Setting
from triptych.training.recipe import Recipe
from triptych.training.variants import item_seed, varied

__all__ = ["Batches"]


class Batches:
    """The batches of a run; the same in every process and after every resumption."""

    def __init__(self, pages: Sequence[Page], recipe: Recipe, backbone: Backbone, objective: Objective) -> None:
        self._pages, self.recipe, self._backbone, self._objective = pages, recipe, backbone, objective

    def items(self, batch: int, *, process: int = 0, processes: int = 1) -> list[Item]:
        """One process's part of the batch of that number."""
        first = (batch * processes + process) * self.recipe.batch
        return [self.item(place) for place in range(first, first + self.recipe.batch)]

    def item(self, place: int) -> Item:
        """The page at that place of the run."""
        recipe, count = self.recipe, len(self._pages)
        order = list(range(count))
        random.Random(item_seed(recipe.seed, "order", place // count)).shuffle(order)
        index = order[place % count]
        others = [page for number, page in enumerate(self._pages) if number != index]
        page = varied(self._pages[index], others, recipe.variety, item_seed(recipe.seed, "variety", place))
        return self._objective.prepare(page, self.setting(place), item_seed(recipe.seed, "noise", place))

    def setting(self, place: int) -> Setting:
        """How the page at that place of the run is made ready."""
        recipe, sides = self.recipe, self.recipe.sides_px
        side = random.Random(item_seed(recipe.seed, "side", place)).choice(sides) if sides else None
        return Setting(
            conditioning=recipe.conditioning or self._backbone.card.native,
            side_px=side,
            guidance=recipe.guidance,
            canvas_loss=recipe.canvas_loss,
            slot_weights=recipe.slot_weights,
            frozen_conditions=recipe.frozen_conditions,
        )
