"""Training of the pocket's codec: from the linear transform on, against photographs, clip art and icons."""

import math
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor

from triptych.files import write_atomic
from triptych.models.hardware import bfloat16_is_fast
from triptych.models.pocket.klt import KltCodec
from triptych.training.pretrain.pictures import PictureSource, picture_batches
from triptych.training.pretrain.state import read_state, write_state

__all__ = ["codec_loss", "train_codec"]

_LEARNING_RATE = 2e-3
_SIDE_PX = 96
_PICTURES = 24
_START_PICTURES = 1440
"""Pictures that the linear transform is fitted on."""
_MAX_NOISE = 0.08
_NOISY_SHARE = 0.3
_EASY = 5e-4
"""Squared error, of pixels in [-1, 1], below which a picture counts for less (39 dB)."""


def codec_loss(
    codec: KltCodec, pictures: Float[Tensor, "batch 3 height width"], generator: torch.Generator
) -> tuple[Tensor, float]:
    """Mean logarithm of each picture's squared error, and the gain over the linear transform in dB without noise.

    The logarithm lets a decibel count alike on flat icons and on photographs. Three pictures in ten are decoded from
    tokens with noise of up to `_MAX_NOISE` in units of pixels, as a denoiser's tokens are.
    """
    count = len(pictures)
    tokens = codec.encode(pictures)
    level = _MAX_NOISE * torch.rand(count, 1, 1, generator=generator)
    noisy = torch.rand(count, 1, 1, generator=generator) < _NOISY_SHARE
    noise = level * noisy * torch.randn(tokens.shape, generator=generator) / codec.scale
    decoded = codec.decode(tokens + noise, rows=pictures.shape[2] // codec.factor).float()
    errors = (decoded - pictures).square().mean(dim=(1, 2, 3))
    errors = torch.log(errors + _EASY)
    with torch.no_grad():
        linear = codec.decode_linear(codec.encode_linear(pictures), rows=pictures.shape[2] // codec.factor)
        before = torch.log((linear - pictures).square().mean(dim=(1, 2, 3)) + _EASY)
        gain = (before - errors)[~noisy.flatten()].mean() * 10 / math.log(10)
    return errors.mean(), float(gain)


def _to_unit(pictures: Tensor) -> Tensor:
    return pictures.float() / 127.5 - 1


def _started(source: PictureSource, channels: int, pictures: int, seed: int) -> KltCodec:
    codec = KltCodec(channels=channels)
    stream = picture_batches(source, seed=seed + 1, first=0, count=1, pictures=pictures, side_px=_SIDE_PX, workers=0)
    codec.start(_to_unit(next(stream)))
    return codec


def train_codec(
    source: PictureSource,
    run: Path,
    *,
    steps: int,
    channels: int = 256,
    pictures: int = _PICTURES,
    start_pictures: int = _START_PICTURES,
    seed: int = 0,
    save_every: int = 250,
    workers: int = 1,
    on_progress: Callable[[int, float], None] = lambda _step, _gain: None,
) -> Path:
    """Train in `run` up to `steps`, resuming what is there; returns `codec.safetensors`, the moving average.

    `pictures` is their number a step, `start_pictures` that which the linear transform is fitted on. `on_progress` gets
    the step and its gain over the linear transform in dB.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    codec = _started(source, channels, start_pictures, seed)
    codec.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    average = deepcopy(codec).requires_grad_(False)
    optimizer = torch.optim.AdamW(codec.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    generator = torch.Generator().manual_seed(seed)
    optimizers: dict[str, torch.optim.Optimizer] = {"adamw": optimizer}
    first = read_state(run, weights=codec, average=average, optimizers=optimizers, generator=generator)
    stream = picture_batches(
        source, seed=seed, first=first, count=steps - first, pictures=pictures, side_px=_SIDE_PX, workers=workers
    )
    for step, batch in enumerate(stream, first):
        rate = min(1.0, (step + 1) / 100) * min(1.0, (1 - step / steps) / 0.6)
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * max(0.02, rate)
        seen = _to_unit(batch).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            loss, gain = codec_loss(codec, seen, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        decay = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), codec.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        on_progress(step + 1, gain)
        if (step + 1) % save_every == 0 or step + 1 == steps:
            write_state(
                run,
                step=step + 1,
                weights=codec.state_dict(),
                average=average.state_dict(),
                optimizers=optimizers,
                generator=generator,
                facts={"channels": channels},
            )
            tensors = {name: value.contiguous() for name, value in average.state_dict().items()}
            write_atomic(run / "codec.safetensors", save(tensors, metadata={"format": "pt", "step": str(step + 1)}))
    return run / "codec.safetensors"
