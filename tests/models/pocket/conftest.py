"""A small pocket with random weights, made in seconds."""

import pytest
import torch

from triptych.models.pocket import PocketBackbone, PocketConfig, PocketNetwork
from triptych.models.pocket.text import train_tokenizer

WORDS = ["mirror it", "the same in flat style", "a red fox on a blue background", "wide shot, on a beach at dusk"]


@pytest.fixture(params=[False, True], ids=["plain", "heads"])
def pocket(request: pytest.FixtureRequest) -> PocketBackbone:
    """Width 64, one double and two single blocks, every weight random (the output layers too)."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(WORDS, size=400)
    network = PocketNetwork(
        PocketConfig(
            channels=16,
            width=64,
            double_blocks=1,
            single_blocks=2,
            head_width=32,
            text_width=24,
            vocabulary=tokenizer.get_vocab_size(),
            detail=request.param,
            moves=3 if request.param else 0,
            fits=request.param,
        )
    )
    torch.nn.init.normal_(network.transformer.proj_out.weight, std=0.2)
    for head in (network.transformer.detail, network.transformer.moves):
        if head is not None:
            torch.nn.init.normal_(head.gain.weight, std=0.05)
    if network.transformer.moves is not None:
        torch.nn.init.normal_(network.transformer.moves.move.weight, std=0.1)
    if network.transformer.fits is not None:
        torch.nn.init.orthogonal_(network.transformer.fits.basis)
        torch.nn.init.normal_(network.transformer.fits.trusts.weight, std=0.1)
    return PocketBackbone(network.eval().requires_grad_(False), tokenizer)
