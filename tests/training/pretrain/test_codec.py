"""The codec's training: what it draws, that it learns, and that a stopped run goes on to the same weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from triptych.data.sprites import STYLES, is_held_out
from triptych.errors import SourceError, TrainingError
from triptych.events import CancelToken, Step
from triptych.models.pocket.klt import KltCodec
from triptych.training.pretrain.codec import codec_loss, train_codec
from triptych.training.pretrain.pictures import PictureSource
from triptych.training.running import Stopped


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Arrays as `triptych pocket sprites` and `triptych pocket pictures` write them: held-out pictures are all red."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    names = [f"picture-{number}" for number in range(60)]
    held = np.array([is_held_out(name) for name in names])
    assert 0 < held.sum() < 60

    def write(name: str, shape: tuple[int, ...], rows: list[object]) -> None:
        # Blurred noise without red: what a crop has of red, it has from a held-out picture or from a ground.
        array = rng.integers(0, 256, (60, *shape), dtype=np.uint8)
        array[..., 0] = 0
        array[held] = 0
        array[held, ..., 0] = 255
        if shape[-1] == 4:
            array[..., 3] = 255
        np.save(root / f"{name}.npy", array)
        (root / f"{name}.json").write_text(json.dumps(rows))

    for table in ("photos", "photos-wide", "photos-tall"):
        write(table, (128, 128, 3), [{"picture": name} for name in names])
    write("clipart", (128, 128, 4), [{"group": name} for name in names])
    for style in STYLES:
        write(style, (128, 128, 4), list(names))
    return root


def test_picture_source_never_draws_a_held_out_picture(folder: Path) -> None:
    source = PictureSource(folder)
    rng = np.random.default_rng(1)
    assert all(np.asarray(source.photo(rng))[..., 0].max() == 0 for _ in range(60))
    assert np.asarray(PictureSource(folder, held_out=True).photo(rng))[..., 0].min() == 255


def test_picture_source_without_photographs_says_which_command_makes_them(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="triptych pocket pictures"):
        PictureSource(tmp_path).photo(np.random.default_rng(0))


def test_crop_is_a_function_of_its_generator(folder: Path) -> None:
    source = PictureSource(folder)
    first, second = (source.crop(np.random.default_rng(7), 48) for _ in range(2))
    assert first.shape == (48, 48, 3)
    assert np.array_equal(first, second)


def test_codec_loss_falls_in_a_few_steps() -> None:
    torch.manual_seed(0)
    pictures = torch.nn.functional.interpolate(torch.rand(8, 3, 8, 8) * 2 - 1, size=48, mode="bicubic").clamp(-1, 1)
    codec = KltCodec(channels=16, width=16, encoder_blocks=1, decoder_blocks=1)
    codec.start(pictures)
    optimizer = torch.optim.AdamW(codec.parameters(), lr=2e-3)
    before, _ = codec_loss(codec, pictures, torch.Generator().manual_seed(0))
    for step in range(30):
        loss, _ = codec_loss(codec, pictures, torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after, gain = codec_loss(codec, pictures, torch.Generator().manual_seed(0))
    assert after < before
    assert gain > 0.5


def test_train_codec_stopped_and_resumed_ends_in_the_same_weights(folder: Path, tmp_path: Path) -> None:
    source = PictureSource(folder)
    small: dict[str, Any] = {"steps": 4, "channels": 16, "pictures": 3, "start_pictures": 40, "device": "cpu"}
    whole = train_codec(source, tmp_path / "whole", **small)

    def stop(event: object) -> None:
        if isinstance(event, Step) and event.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_codec(source, tmp_path / "halves", save_every=2, on_event=stop, **small)
    halves = train_codec(source, tmp_path / "halves", **small)
    for name, value in load_file(whole).items():
        assert torch.equal(value, load_file(halves)[name]), name


def test_train_codec_cancelled_saves_and_goes_on(folder: Path, tmp_path: Path) -> None:
    source, token = PictureSource(folder), CancelToken()
    small: dict[str, Any] = {"steps": 4, "channels": 16, "pictures": 3, "start_pictures": 40, "device": "cpu"}
    whole = train_codec(source, tmp_path / "whole", **small)

    def hear(event: object) -> None:
        if isinstance(event, Step) and event.step == 2:
            token.cancel()

    with pytest.raises(Stopped) as stopped:
        train_codec(source, tmp_path / "halves", on_event=hear, cancel=token, **small)
    assert stopped.value.checkpoint is not None and stopped.value.checkpoint.name == "step-00000002.safetensors"
    halves = train_codec(source, tmp_path / "halves", **small)
    assert all(torch.equal(value, load_file(halves)[name]) for name, value in load_file(whole).items())
    with pytest.raises(TrainingError, match=r"pictures \(3 then, 4 now\)"):
        train_codec(source, tmp_path / "halves", **small | {"pictures": 4})


def _old_state(run: Path, checkpoint: Path) -> None:
    """The run's checkpoint as states were written before there were checkpoints."""
    tensors = load_file(checkpoint)
    fixed = {name.removeprefix("fixed."): value for name, value in tensors.items() if name.startswith("fixed.")}
    old = {name: value for name, value in tensors.items() if name.split(".")[0] in ("weights", "average", "adamw")}
    old |= {f"{prefix}.{name}": value.clone() for name, value in fixed.items() for prefix in ("weights", "average")}
    old["generator"] = torch.Generator().manual_seed(0).get_state()
    run.mkdir()
    metadata = {"step": "2", "facts": '{"channels": 16}'}
    save_file(old, run / "state-00000002.safetensors", metadata=metadata)


def test_train_codec_goes_on_from_a_state_of_the_old_format(folder: Path, tmp_path: Path) -> None:
    source = PictureSource(folder)
    small: dict[str, Any] = {"steps": 4, "channels": 16, "pictures": 3, "start_pictures": 40, "device": "cpu"}
    whole = train_codec(source, tmp_path / "whole", save_every=2, **small)
    first, _ = sorted((tmp_path / "whole" / "checkpoints").glob("*.safetensors"))
    _old_state(tmp_path / "old", first)
    # The linear transform is the run's, whatever it would be fitted to today.
    again = train_codec(source, tmp_path / "old", **small | {"start_pictures": 30})
    assert all(torch.equal(value, load_file(again)[name]) for name, value in load_file(whole).items())
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "state-00000002.safetensors").write_bytes(b"half")
    with pytest.raises(TrainingError, match="none of the 1 states"):
        train_codec(source, tmp_path / "bad", **small)
