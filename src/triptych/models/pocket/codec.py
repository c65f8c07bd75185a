"""The pocket image codec: 128x128 pictures to 8x8 tokens of `channels` numbers and back.

A convolutional autoencoder whose latents are held at unit variance by a batch norm without affine terms. While
it trains, Gaussian noise is added to the latents, so that the decoder draws clean edges from latents that are
slightly off, as a denoiser's are.
"""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PocketCodec"]


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.conv_in = nn.Conv2d(width, width, 3, padding=1)
        self.conv_out = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_out(functional.silu(self.conv_in(functional.silu(self.norm(x)))))


class _Upsample(nn.Module):
    """Nearest neighbour, then a convolution: no checkerboard."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class PocketCodec(nn.Module):
    """Pictures in [-1, 1] to tokens of unit variance, and back; downsamples by 16 a side."""

    factor = 16

    def __init__(self, *, channels: int = 64, widths: tuple[int, int, int] = (64, 128, 192)) -> None:
        super().__init__()
        self.channels = channels
        w0, w1, w2 = widths
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, w0, 3, padding=1),
            _Residual(w0),
            nn.Conv2d(w0, w1, 4, stride=2, padding=1),
            _Residual(w1),
            nn.Conv2d(w1, w2, 4, stride=2, padding=1),
            _Residual(w2),
            _Residual(w2),
            nn.GroupNorm(8, w2),
            nn.SiLU(),
            nn.Conv2d(w2, channels, 1),
        )
        self.norm = nn.BatchNorm2d(channels, affine=False, momentum=0.02)
        self.decoder = nn.Sequential(
            nn.Conv2d(channels, w2, 3, padding=1),
            _Residual(w2),
            _Residual(w2),
            _Upsample(w2, w1),
            _Residual(w1),
            _Residual(w1),
            _Upsample(w1, w0),
            _Residual(w0),
            _Residual(w0),
            nn.Conv2d(w0, 128, 3, padding=1),
            nn.PixelShuffle(2),
            nn.SiLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(32, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def encode(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        """Tokens in row order; `height` and `width` must be multiples of 16."""
        return rearrange(self.norm(self.encoder(pictures)), "b c h w -> b (h w) c")

    def decode(
        self, tokens: Float[Tensor, "batch tokens channels"], *, rows: int = 8
    ) -> Float[Tensor, "batch 3 height width"]:
        """Pictures, not clamped; `rows` is the number of token rows."""
        return self.decoder(rearrange(tokens, "b (h w) c -> b c h w", h=rows))
