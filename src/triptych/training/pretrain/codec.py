"""Training of the pocket's codec: from the linear transform on, against photographs, clip art and icons."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor, nn

from triptych.events import CancelToken, Event
from triptych.files import write_atomic
from triptych.models.pocket.klt import KltCodec
from triptych.training.checkpoint import Identity
from triptych.training.claim import claimed_folder
from triptych.training.pretrain.course import Course, pretraining_core
from triptych.training.pretrain.pictures import PictureSource, picture_batches
from triptych.training.recipe import Precision
from triptych.training.running import accelerator_on, arithmetic
from triptych.training.state import TrainingState
from triptych.training.variants import item_seed

__all__ = ["EASY", "codec_loss", "codec_state", "train_codec"]

_LEARNING_RATE = 2e-3
_WARMUP = 100
_EMA = 0.998
_SIDE_PX = 96
_PICTURES = 24
_START_PICTURES = 1440
"""Pictures that the linear transform is fitted on."""
_MAX_NOISE = 0.08
_NOISY_SHARE = 0.3
EASY = 5e-4
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
    # Drawn on the CPU: the same on every device.
    level = _MAX_NOISE * torch.rand(count, 1, 1, generator=generator)
    noisy = torch.rand(count, 1, 1, generator=generator) < _NOISY_SHARE
    noise = (level * noisy * torch.randn(tokens.shape, generator=generator)).to(tokens.device) / codec.scale
    decoded = codec.decode(tokens + noise, rows=pictures.shape[2] // codec.factor).float()
    errors = (decoded - pictures).square().mean(dim=(1, 2, 3))
    errors = torch.log(errors + EASY)
    with torch.no_grad():
        linear = codec.decode_linear(codec.encode_linear(pictures), rows=pictures.shape[2] // codec.factor)
        before = torch.log((linear - pictures).square().mean(dim=(1, 2, 3)) + EASY)
        gain = (before - errors)[~noisy.flatten().to(errors.device)].mean() * 10 / math.log(10)
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
    device: str | None = None,
    precision: Precision = Precision.AUTO,
    on_event: Callable[[Event[Path]], None] = lambda _: None,
    cancel: CancelToken | None = None,
) -> Path:
    """Train in `run` up to `steps`, resuming what is there; returns `codec.safetensors`, the moving average.

    `pictures` is their number a step, `start_pictures` that which the linear transform is fitted on. `on_event` hears
    every step, with `gain_db` over the linear transform. The rest is as in `pretrain`; `steps` decides the learning
    rate of every step, so a run that is made longer is another run than one that was as long from the beginning.
    """
    accelerator, here = accelerator_on(device)
    with claimed_folder(run) if accelerator.is_main_process else nullcontext():
        torch.manual_seed(seed)
        codec = _started(source, channels, start_pictures, seed).to(here)
        codec.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        share = accelerator.num_processes
        # The linear transform is fitted once: pictures that were added since do not change it.
        state = codec_state(
            dict(codec.named_parameters()),
            steps=steps,
            rate=_LEARNING_RATE,
            ema=_EMA,
            fixed=dict(codec.named_buffers()),
        )
        gains: list[float] = []

        @cache
        def stream() -> Iterator[Tensor]:
            first, left = state.step * share + accelerator.process_index, steps - state.step
            return picture_batches(
                source, seed=seed, first=first, count=left, pictures=pictures, side_px=_SIDE_PX, workers=workers,
                stride=share,
            )  # fmt: skip

        def losses(step: int) -> Iterator[Tensor]:
            generator = torch.Generator().manual_seed(item_seed(seed, "noise", step, accelerator.process_index))
            seen = _to_unit(next(stream()).to(here)).contiguous(memory_format=torch.channels_last)
            with arithmetic(here, precision):
                loss, gain = codec_loss(codec, seen, generator)
            gains[:] = [gain]
            yield loss

        course = Course(
            folder=run,
            core=pretraining_core(
                state,
                losses,
                lambda step: _rate(step, steps),
                accelerator,
                _identity(channels, pictures, seed, share),
                run,
            ),
            released=run / "codec.safetensors",
            release=lambda: _release(codec, run / "codec.safetensors", step=state.step),
            measures=lambda taken: {"loss": taken.loss, "gain_db": gains[0]} if taken.loss is not None else None,
            save_every=save_every,
            on_event=on_event,
        )
        course.resume()
        return course.run(cancel)


def _rate(step: int, steps: int) -> float:
    share = min(1.0, (step + 1) / _WARMUP) * min(1.0, (1 - step / steps) / 0.6)
    return _LEARNING_RATE * max(0.02, share)


def codec_state(
    trained: dict[str, nn.Parameter], *, steps: int, rate: float, ema: float, fixed: dict[str, Tensor] | None = None
) -> TrainingState:
    """The state of a codec's training, or of parts of it, at `rate` for `steps`; `fixed` is saved beside, as it is."""
    optimizer = torch.optim.AdamW(
        [{"params": list(trained.values()), "ratio": 1.0}], lr=rate, betas=(0.9, 0.98), weight_decay=0.0
    )
    state = TrainingState(trained, {"adamw": optimizer}, ema=ema, fixed=fixed or {})
    state.spans = [steps]
    return state


def _identity(channels: int, pictures: int, seed: int, processes: int) -> Identity:
    facts = {"channels": channels, "pictures": pictures, "seed": seed, "processes": processes}
    return Identity(recipe=facts, pages={}, backbone="", pages_per_step=1)


def _release(codec: KltCodec, path: Path, *, step: int) -> None:
    tensors = {name: value.detach().cpu().contiguous() for name, value in codec.state_dict().items()}
    write_atomic(path, save(tensors, metadata={"format": "pt", "step": str(step)}))
