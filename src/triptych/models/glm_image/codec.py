"""GLM-Image's codec: a mean and a deviation for each channel, and sixteen latents a token."""

from typing import Any

import torch
from diffusers import AutoencoderKL
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from triptych.models.backbone import Grid

__all__ = ["GlmCodec", "join_latents", "part_latents"]


def part_latents(latents: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch tokens packed"]:
    """Latents in patches of 4x4, one a token, in row order."""
    return rearrange(latents, "b c (h p) (w q) -> b (h w) (c p q)", p=4, q=4)


def join_latents(
    tokens: Float[Tensor, "batch tokens packed"], grid: Grid
) -> Float[Tensor, "batch channels height width"]:
    """Inverse of `part_latents`."""
    return rearrange(tokens, "b (h w) (c p q) -> b c (h p) (w q)", h=grid.rows, w=grid.columns, p=4, q=4)


class GlmCodec:
    """See `Codec`."""

    def __init__(self, vae: AutoencoderKL) -> None:
        self.vae: Any = vae
        self.factor = 2 * 2 ** len(self.vae.config.block_out_channels)
        self.channels = 16 * self.vae.config.latent_channels

    def encode(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        latents = self.vae.encode(images.to(self.vae.dtype)).latent_dist.mode()
        mean, std = self._statistics(latents)
        return part_latents((latents - mean) / std)

    def decode(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch 3 height width"]:
        latents = join_latents(tokens, grid).to(self.vae.dtype)
        mean, std = self._statistics(latents)
        return self.vae.decode(latents * std + mean).sample

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        config = self.vae.config
        mean, std = (
            torch.tensor(values).view(1, -1, 1, 1).to(like) for values in (config.latents_mean, config.latents_std)
        )
        return mean, std
