"""Image codecs of the families: pictures in [-1, 1] to tokens and back. They take the mode: nothing is drawn."""

from typing import Any, Protocol, runtime_checkable

import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, AutoencoderKLQwenImage, AutoencoderKLQwenImage21
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from triptych.models.backbone import Grid

__all__ = ["Codec", "Flux2Codec", "KLCodec", "Qwen21Codec", "QwenCodec", "QwenLayersCodec", "pack", "unpack"]


@runtime_checkable
class Codec(Protocol):
    """Pictures to tokens and back; differentiable."""

    @property
    def factor(self) -> int: ...

    @property
    def channels(self) -> int: ...

    def encode(self, images: Float[Tensor, "batch colours height width"]) -> Float[Tensor, "batch tokens channels"]: ...

    def decode(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch colours height width"]: ...


def pack(latents: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch tokens packed"]:
    """Latents in patches of 2x2, one a token, in row order; channels before patch rows before patch columns."""
    return rearrange(latents, "b c (h p) (w q) -> b (h w) (c p q)", p=2, q=2)


def unpack(tokens: Float[Tensor, "batch tokens packed"], grid: Grid) -> Float[Tensor, "batch channels height width"]:
    """Inverse of `pack`."""
    return rearrange(tokens, "b (h w) (c p q) -> b c (h p) (w q)", h=grid.rows, w=grid.columns, p=2, q=2)


class KLCodec:
    """FLUX.1 and Stable Diffusion 3: one scale and one shift for all channels."""

    def __init__(self, vae: AutoencoderKL) -> None:
        self.vae: Any = vae
        self.factor = 2 ** len(self.vae.config.block_out_channels)
        self.channels = 4 * self.vae.config.latent_channels

    def encode(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        config = self.vae.config
        latents = self.vae.encode(images.to(self.vae.dtype)).latent_dist.mode()
        return pack((latents - config.shift_factor) * config.scaling_factor)

    def decode(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch 3 height width"]:
        config = self.vae.config
        latents = unpack(tokens, grid).to(self.vae.dtype) / config.scaling_factor + config.shift_factor
        return self.vae.decode(latents).sample


class Flux2Codec:
    """FLUX.2: packed latents whitened by the running statistics of a batch norm."""

    def __init__(self, vae: AutoencoderKLFlux2) -> None:
        self.vae: Any = vae
        self.factor = 2 ** len(self.vae.config.block_out_channels)
        self.channels = 4 * self.vae.config.latent_channels

    def encode(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        tokens = pack(self.vae.encode(images.to(self.vae.dtype)).latent_dist.mode())
        mean, std = self._statistics(tokens)
        return (tokens - mean) / std

    def decode(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch 3 height width"]:
        mean, std = self._statistics(tokens)
        return self.vae.decode(unpack(tokens * std + mean, grid).to(self.vae.dtype)).sample

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        variance = self.vae.bn.running_var + self.vae.config.batch_norm_eps
        return self.vae.bn.running_mean.to(like), variance.sqrt().to(like)


class QwenCodec:
    """Qwen-Image: a video codec on single frames, with a mean and a deviation for each channel."""

    def __init__(self, vae: AutoencoderKLQwenImage | AutoencoderKLQwenImage21) -> None:
        self.vae: Any = vae
        self.factor = 2 * 2 ** len(vae.temperal_downsample)
        self.channels = 4 * self.vae.config.z_dim

    def encode(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        return self._latents(images)

    def decode(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch 3 height width"]:
        return self._pictures(tokens, grid)

    def _latents(self, images: Float[Tensor, "batch colours height width"]) -> Float[Tensor, "batch tokens channels"]:
        latents = self.vae.encode(images[:, :, None].to(self.vae.dtype)).latent_dist.mode()[:, :, 0]
        mean, std = self._statistics(latents)
        return pack((latents - mean) / std)

    def _pictures(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch colours height width"]:
        latents = unpack(tokens, grid)
        mean, std = self._statistics(latents)
        return self.vae.decode((latents * std + mean)[:, :, None].to(self.vae.dtype)).sample[:, :, 0]

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        config = self.vae.config
        mean, std = (
            torch.tensor(values).view(1, -1, 1, 1).to(like) for values in (config.latents_mean, config.latents_std)
        )
        return mean, std


class Qwen21Codec(QwenCodec):
    """Qwen-Image 2.1: four latents of 16 px a token, and a fourth colour for what is transparent."""

    def encode(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        """Pictures enter as wholly opaque."""
        return self._latents(_opaque(images))

    def decode(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch 3 height width"]:
        """What came out transparent lies on white: panels are opaque."""
        picture = self._pictures(tokens, grid)
        opaque = picture[:, 3:] / 2 + 0.5
        return picture[:, :3] * opaque + (1 - opaque)


class QwenLayersCodec(QwenCodec):
    """Qwen-Image-Layered: pictures of four colours, of which the last says how opaque each pixel is."""

    def encode(self, images: Float[Tensor, "batch colours height width"]) -> Float[Tensor, "batch tokens channels"]:
        """Pictures of three colours are wholly opaque."""
        return self._latents(images if images.shape[1] == 4 else _opaque(images))

    def decode(
        self, tokens: Float[Tensor, "batch tokens channels"], grid: Grid
    ) -> Float[Tensor, "batch 4 height width"]:
        return self._pictures(tokens, grid)


def _opaque(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 4 height width"]:
    return torch.cat((images, torch.ones_like(images[:, :1])), dim=1)
