"""FLUX.1-Kontext-dev: conditions by reference, each in a time step of its own."""

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.models.backbone import Conditions, Targets
from triptych.models.flux1.backbone import Flux1
from triptych.models.latent import positions

__all__ = ["Kontext"]


class Kontext(Flux1):
    """FLUX.1 that reads references beside its targets, at the targets' noise level, as it was trained."""

    def places(
        self, targets: Targets, conditions: Conditions | None
    ) -> tuple[Float[Tensor, "target 3"], Float[Tensor, "reference 3"]]:
        """Targets at frame 0, side by side; the i-th reference at frame i, from 1.

        Black Forest Labs 2025 (arXiv:2506.15742, section 3) places the i-th context picture at (i, h, w). Its frames
        belong to references, so several slots share frame 0 as if they were one wide picture.
        """
        column, slots = 0, []
        for grid in targets.grids:
            slots.append(positions(grid, frame=0, axes=3, column=column))
            column += grid.columns
        grids = conditions.grids if conditions else ()
        references = [positions(grid, frame=number, axes=3) for number, grid in enumerate(grids, 1)]
        return torch.cat(slots), torch.cat(references) if references else torch.zeros(0, 3)
