"""FLUX.1-Fill-dev: conditions enter as channels, the masked canvas and its mask."""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from triptych.models.flux1.backbone import Flux1

__all__ = ["Flux1Fill"]


class Flux1Fill(Flux1):
    """FLUX.1 with the channels of a masked canvas; it fills."""

    def encode_masks(self, masks: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch tokens channels"]:
        """Every pixel of the mask as a channel: first by its place in a latent, then by the latent's in its token."""
        pixels = self.card.factor // 2
        return rearrange(masks, "b 1 (h p y) (w q x) -> b (h w) (y x p q)", p=2, q=2, y=pixels, x=pixels)
