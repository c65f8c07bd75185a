"""The decoder's last training: only the decoder moves, it reads predictions better, and a stopped run goes on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from triptych.data.mixture import Entry, Mixture
from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource
from triptych.errors import TrainingError
from triptych.events import CancelToken, Event, Step
from triptych.models.pocket import PocketConfig, PocketNetwork, pocket_training, save_pocket
from triptych.models.pocket.files import pocket_weights
from triptych.models.pocket.klt import KltCodec
from triptych.models.pocket.text import train_tokenizer
from triptych.training.pretrain.batches import to_unit
from triptych.training.pretrain.finish import finish_decoder, finish_loss
from triptych.training.pretrain.recipe import EntryRecipe, PretrainRecipe, Sizes
from triptych.training.running import Stopped

TOKENIZER = train_tokenizer(["the same", "a blue silhouette on white"], size=400)
RECIPE = PretrainRecipe(
    steps=100,
    sizes=Sizes(width=64, double_blocks=1, single_blocks=1, vocabulary=400),
    mixture=(EntryRecipe(name="words", rules=("same",), weight=1),),
)


def _mixture() -> Mixture:
    return Mixture(entries=(Entry(name="words", rules=(RULES["same"],)),), source=ShapeSource(), seed=4, load=8)


def _pictures() -> torch.Tensor:
    pages = [page for index in range(4) for page in _mixture().batch(index)]
    arrays = [np.asarray(panel.picture) for page in pages for panel in page.panels if panel.picture is not None]
    return to_unit(torch.from_numpy(np.stack(arrays))[None])


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """A pocket that copies each patch of the condition, with noise that depends on the place: seams."""
    torch.manual_seed(0)
    network = PocketNetwork(
        PocketConfig(
            codec="klt", channels=32, width=64, double_blocks=1, single_blocks=1, head_width=32,
            vocabulary=TOKENIZER.get_vocab_size(), detail=True,
        )
    )  # fmt: skip
    assert isinstance(network.codec, KltCodec)
    network.codec.start(_pictures())
    assert network.transformer.detail is not None
    torch.nn.init.ones_(network.transformer.detail.gain.bias[:32])
    torch.nn.init.normal_(network.transformer.proj_out.weight, std=0.02)
    path = tmp_path / "pocket.safetensors"
    save_pocket(network, TOKENIZER, path, dtype=torch.float32, training={"steps": 7})
    return path


def _finish(start: Path, run: Path, *, steps: int, cancel_at: int | None = None) -> list[float]:
    errors, token = [], CancelToken()

    def hear(event: Event[Path]) -> None:
        if isinstance(event, Step):
            errors.append(event.measures["error"])
            if event.step == cancel_at:
                token.cancel()

    finish_decoder(RECIPE, _mixture(), start, run, steps=steps, workers=0, on_event=hear, cancel=token)
    return errors


def test_decoder_learns_to_take_away_errors_that_change_from_patch_to_patch() -> None:
    torch.manual_seed(0)
    pictures = torch.nn.functional.interpolate(torch.rand(16, 3, 4, 4) * 2 - 1, size=64, mode="bicubic").clamp(-1, 1)
    codec = KltCodec(channels=32, width=16, encoder_blocks=1, decoder_blocks=2)
    codec.start(pictures)
    optimizer = torch.optim.AdamW([*codec.spread.parameters(), *codec.decoder.parameters()], lr=3e-3)
    noise = torch.Generator().manual_seed(1)

    def predicted() -> torch.Tensor:
        clean = codec.encode(pictures).detach()
        return clean + 0.3 * torch.randn(clean.shape, generator=noise)

    _, before = finish_loss(codec, predicted(), pictures)
    for _ in range(60):
        loss, _ = finish_loss(codec, predicted(), pictures)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _, after = finish_loss(codec, predicted(), pictures)
    assert after.mean() < 0.7 * before.mean()


def test_error_that_steps_between_patches_counts_more_than_one_that_is_even() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(1, 3, 64, 64) - 0.5
    codec = KltCodec(channels=768, width=16, encoder_blocks=0, decoder_blocks=0)
    codec.start(torch.rand(16, 3, 64, 64))
    signs = torch.tensor([1.0, -1.0]).repeat(2)
    board = torch.outer(signs, signs).repeat_interleave(16, 0).repeat_interleave(16, 1)
    (even, even_error), (stepping, stepping_error) = (
        finish_loss(codec, codec.encode(pictures + 0.1 * wrong), pictures) for wrong in (torch.ones(64, 64), board)
    )
    torch.testing.assert_close(even_error, stepping_error, atol=1e-5, rtol=1e-3)
    assert stepping > even + 0.5


def test_finish_trains_the_decoder_alone(start: Path, tmp_path: Path) -> None:
    _finish(start, tmp_path / "run", steps=4)
    before, after = pocket_weights(start), pocket_weights(tmp_path / "run" / "pocket.safetensors")
    moved = [name for name, value in before.items() if not torch.equal(value.bfloat16(), after[name].bfloat16())]
    assert moved
    assert all(name.startswith(("codec.decoder", "codec.spread")) for name in moved)
    assert pocket_training(tmp_path / "run" / "pocket.safetensors") == {"steps": 7, "decoder_steps": 4}


def test_finish_stopped_and_resumed_ends_in_the_same_weights(start: Path, tmp_path: Path) -> None:
    _finish(start, tmp_path / "whole", steps=6)
    with pytest.raises(Stopped):
        _finish(start, tmp_path / "parts", steps=6, cancel_at=3)
    _finish(start, tmp_path / "parts", steps=6)
    whole, parts = (pocket_weights(tmp_path / run / "pocket.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_finish_refuses_a_pocket_of_the_first_generation(tmp_path: Path) -> None:
    network, path = PocketNetwork(PocketConfig(channels=16, width=64, double_blocks=1, single_blocks=1)), tmp_path / "p"
    save_pocket(network, TOKENIZER, path)
    with pytest.raises(TrainingError, match="first generation"):
        finish_decoder(RECIPE, _mixture(), path, tmp_path / "run", steps=2)
