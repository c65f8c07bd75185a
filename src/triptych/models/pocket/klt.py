"""The pocket image codec of the second generation: a linear transform of 16x16 patches, and what a network adds to it.

The Karhunen-Loève transform (PCA of patches) is the best linear code for squared error. Its basis is orthonormal, so a
squared error of tokens is a squared error of pixels once each channel counts by its own variance. A small network adds
a residual to the tokens, and another takes away the seams between patches and restores what a linear code loses.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FACTOR", "KltCodec", "cut_patches", "fit_klt", "join_patches"]

FACTOR = 16
"""Pixels a token side."""
_PATCH = FACTOR * FACTOR * 3
_CELL = 4
"""Pixels a side of the cells that the networks work on."""
_GAIN = 0.02
"""Of what the networks say: corrections are that small, and an optimizer's steps are the size of the weights'."""
_SCALE_FLOOR = 0.05
"""Added to each channel's deviation, so that faint channels are not blown up to the size of strong ones."""


def cut_patches(pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens patch"]:
    """Pictures as patches of 16x16 pixels, in row order."""
    return rearrange(pictures, "b c (h p) (w q) -> b (h w) (p q c)", p=FACTOR, q=FACTOR)


def join_patches(patches: Float[Tensor, "batch tokens patch"], rows: int) -> Float[Tensor, "batch 3 height width"]:
    """What `cut_patches` cut; `rows` of them lie above each other."""
    return rearrange(patches, "b (h w) (p q c) -> b c (h p) (w q)", h=rows, p=FACTOR, q=FACTOR)


def fit_klt(
    pictures: Float[Tensor, "batch 3 height width"], channels: int
) -> tuple[Float[Tensor, "patch channels"], Float[Tensor, " patch"], Float[Tensor, " channels"]]:
    """Basis, mean and deviation of the strongest `channels` components of 16x16 patches of pictures in [-1, 1]."""
    samples = cut_patches(pictures).flatten(0, 1).double()
    mean = samples.mean(0)
    centred = samples - mean
    variances, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    basis = vectors.flip(1)[:, :channels]
    deviations = variances.flip(0)[:channels].clamp_min(0).sqrt()
    return basis.float(), mean.float(), deviations.float()


def _silent(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights of zero: a network that ends in it begins by adding nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class _Residual(nn.Module):
    """Two convolutions without a norm (Lim et al. 2017, arXiv:1707.02921): a norm would hide the picture's contrast."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(width, width, 3, padding=1)
        self.conv_out = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.conv_out.weight.mul_(0.3)  # not zero: the last layer learns at once from features that differ

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_out(functional.relu(self.conv_in(x)))


class KltCodec(nn.Module):
    """Pictures in [-1, 1] of any size in multiples of 16 to tokens of about unit variance, and back."""

    factor = FACTOR
    basis: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(
        self, *, channels: int = 256, width: int = 64, encoder_blocks: int = 2, decoder_blocks: int = 5
    ) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("basis", torch.zeros(_PATCH, channels))
        self.register_buffer("mean", torch.zeros(_PATCH))
        self.register_buffer("scale", torch.ones(channels))
        cells = 3 * _CELL**2
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(_CELL),
            nn.Conv2d(cells, width, 3, padding=1),
            *(_Residual(width) for _ in range(encoder_blocks)),
            nn.PixelUnshuffle(FACTOR // _CELL),
            _silent(nn.Conv2d(width * (FACTOR // _CELL) ** 2, channels, 1)),
        )
        self.spread = nn.Sequential(
            nn.Conv2d(channels, 16 * (FACTOR // _CELL) ** 2, 3, padding=1), nn.PixelShuffle(FACTOR // _CELL)
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(cells + 16, width, 3, padding=1),
            *(_Residual(width) for _ in range(decoder_blocks)),
            _silent(nn.Conv2d(width, cells, 3, padding=1)),
        )

    def start(self, pictures: Float[Tensor, "batch 3 height width"]) -> None:
        """Take the linear transform of `pictures`; the networks begin by adding nothing to it."""
        basis, mean, deviations = fit_klt(pictures, self.channels)
        self.basis.copy_(basis)
        self.mean.copy_(mean)
        self.scale.copy_(deviations + _SCALE_FLOOR)

    def linear(self) -> "KltCodec":
        """The linear transform of this codec, whose networks add nothing."""
        plain = KltCodec(channels=self.channels, width=_CELL, encoder_blocks=0, decoder_blocks=0)
        for name in ("basis", "mean", "scale"):
            setattr(plain, name, getattr(self, name))
        return plain.to(self.basis).eval().requires_grad_(False)

    @property
    def channel_weights(self) -> Float[Tensor, " channels"]:
        """How much a squared error of each channel counts in pixels, mean 1: the basis is orthonormal."""
        return self.scale.square() / self.scale.square().mean()

    def encode(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        """Tokens in row order; height and width must be multiples of 16."""
        residual = _GAIN * rearrange(self.encoder(pictures), "b c h w -> b (h w) c")
        return self.encode_linear(pictures) + residual / self.scale

    def encode_linear(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        """The linear transform alone."""
        return (cut_patches(pictures) - self.mean) @ self.basis / self.scale

    def decode(
        self, tokens: Float[Tensor, "batch tokens channels"], *, rows: int
    ) -> Float[Tensor, "batch 3 height width"]:
        """Pictures, not clamped; `rows` is the number of token rows."""
        linear = self.decode_linear(tokens, rows=rows)
        cells = functional.pixel_unshuffle(linear, _CELL)
        spread = self.spread(rearrange(tokens, "b (h w) c -> b c h w", h=rows))
        return linear + _GAIN * functional.pixel_shuffle(self.decoder(torch.cat((cells, spread), dim=1)), _CELL)

    def decode_linear(
        self, tokens: Float[Tensor, "batch tokens channels"], *, rows: int
    ) -> Float[Tensor, "batch 3 height width"]:
        """What the linear transform alone makes of the tokens."""
        return join_patches((tokens * self.scale) @ self.basis.T + self.mean, rows)
