"""A small U-Net trained on the same pages for the same time: what ten pages give without a pretrained model."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from diffusers import UNet2DModel
from PIL import Image

from triptych.page import Page

__all__ = ["SmallUNet"]


class SmallUNet:
    """Conditions side by side in the channels, answers out; trained with L1, as pix2pix without its critic.

    (Isola et al. 2017, arXiv:1611.07004.) The blocks are diffusers' own; the noise level is always 0.
    """

    def __init__(self, page: Page) -> None:
        torch.manual_seed(0)
        self.net = UNet2DModel(
            in_channels=3 * len(page.conditions),
            out_channels=3 * len(page.slots),
            block_out_channels=(32, 64, 96, 128),
            down_block_types=("DownBlock2D",) * 4,
            up_block_types=("UpBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=8,
        )

    def train(self, pages: Sequence[Page], seconds: float) -> None:
        """As many steps of all pages as the time is enough for."""
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3)
        given = self._given(pages)
        answers = torch.stack([torch.cat([_numbers(panel.answer) for panel in page.slots]) for page in pages])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            optimizer.zero_grad()
            (self.net(given, 0).sample - answers).abs().mean().backward()
            optimizer.step()

    @torch.no_grad()
    def fill(self, pages: Sequence[Page]) -> list[tuple[Image.Image, ...]]:
        """The slots' pictures of each page."""
        made = self.net(self._given(pages), 0).sample.clamp(-1, 1)
        bytes_ = ((made + 1) * 127.5).round().to(torch.uint8).unflatten(1, (-1, 3)).permute(0, 1, 3, 4, 2).numpy()
        return [tuple(Image.fromarray(slot) for slot in page) for page in bytes_]

    @staticmethod
    def _given(pages: Sequence[Page]) -> torch.Tensor:
        return torch.stack([torch.cat([_numbers(panel.image) for panel in page.conditions]) for page in pages])


def _numbers(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)
