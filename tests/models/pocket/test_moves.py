"""The move head: silent when new, and then the references' own patches from mirrored and turned places, of any size."""

from collections.abc import Callable
from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from triptych.models.backbone import Grid
from triptych.models.pocket import PocketConfig, PocketNetwork, save_pocket
from triptych.models.pocket.backbone import positions
from triptych.models.pocket.moves import shares
from triptych.models.pocket.text import train_tokenizer
from triptych.sampling.encode import pixels
from triptych.training.pretrain.loop import pocket_to_begin_from

TURNS = [
    pytest.param(0, lambda x: x.flip(-1), id="mirrored"),
    pytest.param(1, lambda x: x.rot90(1, (-2, -1)), id="to the left"),
    pytest.param(2, lambda x: x.rot90(-1, (-2, -1)), id="to the right"),
    pytest.param(3, lambda x: x.rot90(2, (-2, -1)), id="by half"),
]


def _photograph(columns: int, rows: int) -> Tensor:
    picture = Image.fromarray(skimage.data.chelsea()).resize((16 * columns, 16 * rows))
    return pixels(picture)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> PocketNetwork:
    """A pocket on a linear codec that begins a run with a new move head."""
    torch.manual_seed(0)
    sizes = {"width": 192, "double_blocks": 1, "single_blocks": 1, "head_width": 32}
    network = PocketNetwork(PocketConfig(codec="klt", channels=192, **sizes)).eval()
    picture = _photograph(24, 16)
    network.codec.start(torch.cat([f(picture) for f in (lambda x: x, lambda x: x.flip(-1), lambda x: x.flip(-2))]))
    path = tmp_path_factory.mktemp("pocket") / "pocket.safetensors"
    save_pocket(network, train_tokenizer(["mirror it"], size=400), path, dtype=torch.float32)
    return pocket_to_begin_from(Path(path), moves=5).eval().requires_grad_(False)


def _predicted(network: PocketNetwork, tokens: Tensor, reference: Grid, target: Grid) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return network.transformer.predict(
        torch.randn(1, target.rows * target.columns, 192, generator=generator),
        torch.ones(1),
        text=torch.zeros(1, 0, network.config.text_width),
        text_positions=torch.zeros(0, 4),
        positions=positions([target]),
        references=network.transformer.encode_references(tokens, positions([reference])),
    )


@pytest.mark.parametrize(("columns", "rows"), [(8, 8), (12, 8)])
@pytest.mark.parametrize(("head", "turn"), TURNS)
def test_head_of_a_symmetry_brings_the_photograph_so_turned(
    begun: PocketNetwork, head: int, turn: Callable[[Tensor], Tensor], columns: int, rows: int
) -> None:
    photograph = _photograph(columns, rows)
    answer = turn(photograph)
    reference = Grid(frame=10, rows=rows, columns=columns)
    target = Grid(frame=0, rows=answer.shape[2] // 16, columns=answer.shape[3] // 16)
    tokens = begun.codec.encode_linear(photograph)
    silent = _predicted(begun, tokens, reference, target)
    moves = begun.transformer.moves
    assert moves is not None
    moves.gain.bias[head * 192 : (head + 1) * 192] = 1.0
    brought = _predicted(begun, tokens, reference, target) - silent
    moves.gain.bias.zero_()
    error = (begun.codec.decode_linear(brought, rows=target.rows) - answer).square().mean()
    ceiling = (begun.codec.decode_linear(tokens, rows=rows) - photograph).square().mean()
    assert error < 2 * ceiling
    others = (begun.codec.decode_linear(brought, rows=target.rows) - photograph.reshape(answer.shape)).square().mean()
    assert others > 20 * error


def test_pocket_without_a_move_head_begins_a_run_with_a_silent_one(begun: PocketNetwork) -> None:
    grid, tokens = Grid(frame=10, rows=2, columns=2), torch.randn(1, 4, 192)
    with_head = _predicted(begun, tokens, grid, Grid(frame=0, rows=2, columns=2))
    begun.transformer.moves, kept = None, begun.transformer.moves
    without = _predicted(begun, tokens, grid, Grid(frame=0, rows=2, columns=2))
    begun.transformer.moves = kept
    torch.testing.assert_close(with_head, without)


def test_shares_are_of_each_pictures_own_sides() -> None:
    grids = [Grid(frame=0, rows=3, columns=2), Grid(frame=10, rows=8, columns=8)]
    both = shares(positions(grids))
    torch.testing.assert_close(both[:6], shares(positions(grids[:1])))
    torch.testing.assert_close(both[6:], shares(positions(grids[1:])))
