"""The decoder's last training: it learns to read the tokens that the transformer predicts, not clean ones alone.

Errors of predicted tokens are independent from patch to patch, so a decoder trained on pictures alone shows them as
seams and grain. Trained on predictions it sees across patches and takes them away, as a deblocking filter does.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.data.mixture import Mixture
from triptych.errors import TrainingError
from triptych.events import CancelToken, Event
from triptych.models.pocket.backbone import PocketNetwork
from triptych.models.pocket.files import pocket_network, pocket_tokenizer, pocket_training, save_pocket
from triptych.models.pocket.klt import KltCodec
from triptych.skill import payload_sha256
from triptych.training.checkpoint import Identity
from triptych.training.claim import claimed_folder
from triptych.training.pretrain.batches import PageBatch, batches, on_device, to_unit
from triptych.training.pretrain.codec import EASY, codec_state
from triptych.training.pretrain.course import Course, pretraining_core
from triptych.training.pretrain.objective import mean_answers
from triptych.training.pretrain.recipe import PretrainRecipe
from triptych.training.recipe import Precision
from triptych.training.running import accelerator_on, arithmetic
from triptych.training.state import TrainingState
from triptych.training.variants import item_seed

__all__ = ["finish_decoder", "finish_loss"]

_LEARNING_RATE = 1e-3
_WARMUP = 30
_EMA = 0.99
_SEAMS = 4.0
"""Weight of errors in the steps from one patch to the next: a small share of squared error, and what the eye sees."""
_CLEAN_SHARE = 0.25
"""Of answers that are decoded from their own tokens: a decoder must go on reading pictures that are certain."""


def finish_loss(
    codec: KltCodec,
    tokens: Float[Tensor, "answers tokens channels"],
    pictures: Float[Tensor, "answers 3 height width"],
) -> tuple[Tensor, Tensor]:
    """Mean logarithm of each answer's squared error, as in `codec_loss`, seams beside it; and each answer's error."""
    decoded = codec.decode(tokens, rows=pictures.shape[2] // codec.factor).float()
    wrong = decoded - pictures
    errors = wrong.square().mean(dim=(1, 2, 3))
    return torch.log(errors + _SEAMS * _seams(wrong, codec.factor) + EASY).mean(), errors.detach()


def _seams(wrong: Float[Tensor, "answers 3 height width"], side_px: int) -> Float[Tensor, " answers"]:
    """Mean squared error of the steps across the borders of patches, a share of all pixels."""
    across = wrong.diff(dim=3)[..., side_px - 1 :: side_px].square().sum(dim=(1, 2, 3))
    down = wrong.diff(dim=2)[..., side_px - 1 :: side_px, :].square().sum(dim=(1, 2, 3))
    return (across + down) / wrong[0].numel()


def _answers(network: PocketNetwork, batch: PageBatch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of the batch's answers, the answers, and which tokens are predicted; the others are the answers' own."""
    tokens, own = mean_answers(network, batch, generator)
    predicted = (torch.rand(len(tokens), generator=generator) >= _CLEAN_SHARE).to(tokens.device)
    return torch.where(predicted[:, None, None], tokens, own), to_unit(batch.answers), predicted


def _started(start: Path) -> PocketNetwork:
    network = pocket_network(start)
    if not isinstance(network.codec, KltCodec):
        raise TrainingError(f"{start} has a codec of the first generation, which cannot be finished; name a newer one.")
    return network.eval().requires_grad_(False)


def _state(codec: KltCodec, steps: int) -> TrainingState:
    trained = {
        f"{part}.{name}": value
        for part in ("spread", "decoder")
        for name, value in getattr(codec, part).requires_grad_(True).named_parameters()
    }
    return codec_state(trained, steps=steps, rate=_LEARNING_RATE, ema=_EMA)


def _rate(step: int, steps: int) -> float:
    return _LEARNING_RATE * min(1.0, (step + 1) / _WARMUP) * max(0.02, 1 - step / steps)


def finish_decoder(
    recipe: PretrainRecipe,
    mixture: Mixture,
    start: Path,
    run: Path,
    *,
    steps: int,
    save_every: int = 100,
    workers: int = 1,
    device: str | None = None,
    precision: Precision = Precision.AUTO,
    on_event: Callable[[Event[Path]], None] = lambda _: None,
    cancel: CancelToken | None = None,
) -> Path:
    """Train the decoder of the pocket `start` in `run` up to `steps`; returns `pocket.safetensors`, a moving average.

    The pages are those of the recipe's mixture. Transformer, words and encoder stay as they are. `on_event` hears
    every step, with the mean squared error of the batch's predicted answers in pixels of [-1, 1]. The rest is as in
    `pretrain`; raises TrainingError for a pocket whose codec is not a linear transform with networks.
    """
    accelerator, here = accelerator_on(device)
    with claimed_folder(run) if accelerator.is_main_process else nullcontext():
        network, tokenizer = _started(start).to(here), pocket_tokenizer(start)
        codec = network.codec
        assert isinstance(codec, KltCodec), "checked in _started"
        share, state = accelerator.num_processes, _state(codec, steps)
        seen: list[float] = []

        @cache
        def stream() -> Iterator[PageBatch]:
            # From the far end of the mixture, where pretraining has not been.
            first = recipe.steps + state.step * share + accelerator.process_index
            left = steps - state.step
            return batches(
                mixture, tokenizer, factor=codec.factor, first=first, count=left, workers=workers, stride=share
            )

        def losses(step: int) -> Iterator[Tensor]:
            generator = torch.Generator().manual_seed(item_seed(recipe.seed, "finish", step, accelerator.process_index))
            batch = on_device(next(stream()), here)
            with arithmetic(here, precision):
                tokens, pictures, predicted = _answers(network, batch, generator)
                loss, errors = finish_loss(codec, tokens, pictures)
            seen[:] = errors[predicted].tolist()
            yield loss

        released = run / "pocket.safetensors"
        facts = {**pocket_training(start), "decoder_steps": steps}
        course = Course(
            folder=run,
            core=pretraining_core(
                state,
                losses,
                lambda step: _rate(step, steps),
                accelerator,
                Identity(
                    recipe=recipe.model_dump(mode="json") | {"decoder_steps": steps, "processes": share},
                    pages={},
                    backbone=payload_sha256(start.read_bytes()),
                    pages_per_step=1,
                ),
                run,
            ),
            released=released,
            release=lambda: save_pocket(network, tokenizer, released, training=facts),
            measures=lambda _: {"error": sum(seen) / max(1, len(seen))},
            save_every=save_every,
            on_event=on_event,
        )
        course.resume()
        return course.run(cancel)
