"""The fit head: one example's filter done to the condition where it may be trusted, and nothing without an example."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from triptych.models.backbone import Grid
from triptych.models.pocket import PocketConfig, PocketNetwork, save_pocket
from triptych.models.pocket.backbone import positions
from triptych.models.pocket.fits import Pictures
from triptych.models.pocket.text import train_tokenizer
from triptych.sampling.encode import pixels
from triptych.training.pretrain.loop import pocket_to_begin_from

SIDE = 8


def _photograph(array: object) -> Tensor:
    return pixels(Image.fromarray(array).convert("RGB").resize((16 * SIDE, 16 * SIDE), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> PocketNetwork:
    """A pocket on a linear codec, of random weights, that begins a run with a new fit head."""
    torch.manual_seed(0)
    sizes = {"width": 256, "double_blocks": 1, "single_blocks": 1, "head_width": 32}
    network = PocketNetwork(PocketConfig(codec="klt", channels=256, **sizes)).eval()
    arrays = (skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut(), skimage.data.rocket())
    shown = torch.cat([_photograph(array) for array in arrays])
    network.codec.start(torch.cat((shown, shown.flip(3), shown.flip(2), shown.rot90(1, (2, 3)))))
    path = tmp_path_factory.mktemp("pocket") / "pocket.safetensors"
    save_pocket(network, train_tokenizer(["mirror it"], size=400), path, dtype=torch.float32)
    return pocket_to_begin_from(Path(path), fits=True).eval().requires_grad_(False)


def _painted(network: PocketNetwork, references: Sequence[Tensor], slots: int = 1) -> Tensor:
    """What one step makes of the slots, as pictures."""
    tokens = torch.cat([network.codec.encode_linear(picture) for picture in references], dim=1)
    given = [Grid(frame=10 * (k + 1), rows=SIDE, columns=SIDE) for k in range(len(references))]
    targets = [Grid(frame=k, rows=SIDE, columns=SIDE) for k in range(slots)]
    clean = network.transformer.predict(
        torch.randn(1, slots * SIDE**2, 256, generator=torch.Generator().manual_seed(3)),
        torch.ones(1),
        text=torch.zeros(1, 0, network.config.text_width),
        text_positions=torch.zeros(0, 4),
        positions=positions(targets),
        references=network.transformer.encode_references(tokens, positions(given)),
    )
    return network.codec.decode_linear(clean.unflatten(1, (slots, -1)).flatten(0, 1), rows=SIDE)


def _decibels(a: Tensor, b: Tensor) -> float:
    return float(-10 * ((a - b).square().mean() / 4).log10())


@pytest.mark.parametrize(
    "rule",
    [lambda x: -x, lambda x: x.flip(3), lambda x: 0.5 * x + 0.2, lambda x: x.mean(dim=1, keepdim=True).expand_as(x)],
    ids=["negative", "mirrored", "paler", "grey"],
)
def test_one_example_is_followed_before_anything_is_learnt(
    begun: PocketNetwork, rule: Callable[[Tensor], Tensor]
) -> None:
    example, other = _photograph(skimage.data.coffee()), _photograph(skimage.data.chelsea())
    painted = _painted(begun, (other, example, rule(example)))
    assert _decibels(painted, rule(other)) > 24
    assert _decibels(painted, other) < 20


def test_of_several_examples_those_that_agree_are_followed(begun: PocketNetwork) -> None:
    first, second, other = (
        _photograph(array) for array in (skimage.data.coffee(), skimage.data.astronaut(), skimage.data.chelsea())
    )
    painted = _painted(begun, (other, first, -first, second, -second), slots=2)
    for slot in painted.split(1):
        assert _decibels(slot, -other) > 24


def test_nothing_is_taken_from_conditions_that_are_no_example(begun: PocketNetwork) -> None:
    pictures = [_photograph(array) for array in (skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket())]
    head, begun.transformer.fits = begun.transformer.fits, None
    try:
        without = [_painted(begun, pictures[:count]) for count in (1, 2, 3)]
    finally:
        begun.transformer.fits = head
    for count, expected in zip((1, 2, 3), without, strict=True):
        assert _decibels(_painted(begun, pictures[:count]), expected) > 30


def test_pictures_are_told_from_places() -> None:
    grids = [Grid(frame=0, rows=3, columns=2), Grid(frame=10, rows=2, columns=5)]
    assert Pictures.at(positions(grids)).parts == ((slice(0, 6), 3, 2), (slice(6, 16), 2, 5))
