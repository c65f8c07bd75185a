"""Training of the pocket's codec on the pictures of pretraining pages: reconstruction from noisy latents."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor

from triptych.data.mixture import Mixture
from triptych.files import write_atomic
from triptych.models.hardware import bfloat16_is_fast
from triptych.models.pocket.codec import PocketCodec
from triptych.training.pretrain.batches import batches, to_unit
from triptych.training.pretrain.state import read_state, write_state

__all__ = ["codec_loss", "train_codec"]

_LEARNING_RATE = 1.5e-3
_MAX_NOISE = 0.2
_NOISY_SHARE = 0.6


def codec_loss(
    codec: PocketCodec, pictures: Float[Tensor, "batch 3 height width"], generator: torch.Generator
) -> Tensor:
    """Charbonnier and squared error of the pixels, and absolute error of their gradients, which keeps edges.

    Six pictures in ten are decoded from latents with Gaussian noise of up to a fifth of their own deviation.
    """
    tokens = codec.encode(pictures)
    count = len(pictures)
    level = _MAX_NOISE * torch.rand(count, 1, 1, generator=generator)
    level = level * (torch.rand(count, 1, 1, generator=generator) < _NOISY_SHARE)
    decoded = codec.decode(tokens + level * torch.randn(tokens.shape, generator=generator)).float()
    error = decoded - pictures
    pixels = torch.sqrt(error.square() + 1e-4).mean() + 2 * error.square().mean()
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return pixels + 0.7 * edges


def _pictures(mixture: Mixture, *, first: int, count: int) -> Iterator[Tensor]:
    # The codec reads no words; an empty vocabulary keeps the batches the same value everywhere.
    stream = batches(mixture, _no_words(), factor=PocketCodec.factor, first=first, count=count)
    for batch in stream:
        yield torch.cat((to_unit(batch.given), to_unit(batch.answers)))[:24]


def _no_words() -> Tokenizer:
    from triptych.models.pocket.text import train_tokenizer

    return train_tokenizer([], size=300)


def train_codec(
    mixture: Mixture,
    run: Path,
    *,
    steps: int,
    channels: int = 128,
    save_every: int = 500,
    on_progress: Callable[[int, float], None] = lambda _step, _loss: None,
) -> Path:
    """Train in `run` up to `steps`, resuming what is there; returns `codec.safetensors`, the moving average."""
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(mixture.seed)
    codec = PocketCodec(channels=channels)
    codec.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    average = deepcopy(codec).requires_grad_(False)
    optimizer = torch.optim.AdamW(codec.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    generator = torch.Generator().manual_seed(mixture.seed)
    optimizers: dict[str, torch.optim.Optimizer] = {"adamw": optimizer}
    first = read_state(run, weights=codec, average=average, optimizers=optimizers, generator=generator)
    for step, pictures in enumerate(_pictures(mixture, first=first, count=steps - first), first):
        share = step / steps
        rate = min(1.0, (step + 1) / 200) * (1.0 if share < 0.35 else (1 - share) / 0.65)
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * max(0.02, rate)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            loss = codec_loss(codec, pictures.contiguous(memory_format=torch.channels_last), generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        decay = min(0.999, (step + 1) / (step + 20))
        with torch.no_grad():
            for mean, value in zip(average.state_dict().values(), codec.state_dict().values(), strict=True):
                mean.lerp_(value, 1 - decay) if mean.is_floating_point() else mean.copy_(value)
        on_progress(step + 1, loss.item())
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
