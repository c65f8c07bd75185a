"""A small pocket with random weights, made in seconds."""

import pytest
import torch

from triptych.models.pocket import PocketBackbone, PocketConfig, PocketNetwork
from triptych.models.pocket.text import train_tokenizer

WORDS = ["mirror it", "the same in flat style", "a red fox on a blue background", "wide shot, on a beach at dusk"]


@pytest.fixture(params=[False, True], ids=["plain", "detail"])
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
        )
    )
    torch.nn.init.normal_(network.transformer.proj_out.weight, std=0.2)
    if network.transformer.detail is not None:
        torch.nn.init.normal_(network.transformer.detail.gain.weight, std=0.05)
    return PocketBackbone(network.eval().requires_grad_(False), tokenizer)
