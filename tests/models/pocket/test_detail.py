"""The detail head: silent when new, and then the references' own tokens where the stream asks for them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from triptych.models.backbone import Grid
from triptych.models.pocket import PocketBackbone, PocketConfig, PocketNetwork, save_pocket
from triptych.models.pocket.backbone import positions
from triptych.models.pocket.text import train_tokenizer
from triptych.training.pretrain.loop import pocket_to_begin_from

REFERENCES = [Grid(frame=10, rows=4, columns=4)]
TARGETS = [Grid(frame=0, rows=4, columns=4)]


def _network(*, detail: bool) -> PocketNetwork:
    torch.manual_seed(0)
    config = PocketConfig(channels=16, width=64, double_blocks=1, single_blocks=1, head_width=32, detail=detail)
    network = PocketNetwork(config).eval().requires_grad_(False)
    torch.nn.init.normal_(network.transformer.proj_out.weight, std=0.1)
    return network


def _predicted(network: PocketNetwork, tokens: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return network.transformer.predict(
        torch.randn(len(tokens), 16, 16, generator=generator),
        torch.ones(len(tokens)),
        text=torch.zeros(len(tokens), 0, network.config.text_width),
        text_positions=torch.zeros(0, 4),
        positions=positions(TARGETS),
        references=network.transformer.encode_references(tokens, positions(REFERENCES)),
    )


def test_new_detail_head_looks_at_the_same_place_and_its_gain_brings_that_token() -> None:
    network, tokens = _network(detail=True), torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(1))
    before = _predicted(network, tokens)
    assert network.transformer.detail is not None
    network.transformer.detail.gain.bias[:16] = 1.0
    brought = _predicted(network, tokens) - before
    assert (brought - tokens).square().mean() < 0.05 * tokens.square().mean()


def test_pocket_without_a_detail_head_begins_a_run_with_a_silent_one(tmp_path: Path) -> None:
    network, path = _network(detail=False), tmp_path / "pocket.safetensors"
    save_pocket(network, train_tokenizer(["mirror it"], size=400), path, dtype=torch.float32)
    begun = pocket_to_begin_from(path, detail=True).eval()
    assert begun.config == replace(network.config, detail=True)
    tokens = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(_predicted(begun, tokens), _predicted(network, tokens))


def test_detail_head_is_of_the_page_whose_references_it_reads(pocket: PocketBackbone) -> None:
    if pocket.transformer.detail is None:
        pytest.skip("this pocket has no detail head")
    places = positions([Grid(frame=10, rows=2, columns=3)])
    tokens = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(1))
    both = pocket.transformer.encode_references(tokens, places).blocks[-2]
    alone = pocket.transformer.encode_references(tokens[1:], places).blocks[-2]
    torch.testing.assert_close(both[0][1:], alone[0])
    torch.testing.assert_close(both[1][1:].flatten(2)[..., :16], tokens[1:])
