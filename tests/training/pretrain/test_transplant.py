"""An earlier pocket on another codec: what it knows comes along."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from triptych.data.mixture import Entry, Mixture
from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource
from triptych.models.pocket import PocketConfig, PocketNetwork, load_pocket
from triptych.models.pocket.files import save_pocket
from triptych.models.pocket.klt import KltCodec
from triptych.models.pocket.text import train_tokenizer
from triptych.training.pretrain.loop import pretrain
from triptych.training.pretrain.recipe import EntryRecipe, PretrainRecipe
from triptych.training.pretrain.transplant import transplant


def _pictures() -> torch.Tensor:
    torch.manual_seed(2)
    coarse = torch.rand(40, 3, 6, 6) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=48, mode="bicubic").clamp(-1, 1)


def _linear(channels: int, turn: int) -> KltCodec:
    """A linear codec whose basis is turned within the space of its components."""
    codec = KltCodec(channels=channels).eval()
    codec.start(_pictures())
    torch.manual_seed(turn)
    codec.basis.copy_(codec.basis @ torch.linalg.qr(torch.randn(channels, channels))[0])
    codec.scale.fill_(0.3)
    return codec


def _network(codec: KltCodec) -> PocketNetwork:
    torch.manual_seed(0)
    config = PocketConfig(
        codec="klt", channels=codec.channels, width=64, double_blocks=1, single_blocks=1, vocabulary=40
    )
    network = PocketNetwork(config).eval()
    torch.nn.init.normal_(network.transformer.proj_out.weight, std=0.1)
    network.codec = codec
    return network


def test_transplant_between_codes_of_one_space_keeps_what_the_network_paints() -> None:
    old = _network(_linear(12, turn=1))
    new, explained = transplant(old, _linear(12, turn=2), _pictures())
    assert min(explained) > 0.98
    picture, places = _pictures()[:1], torch.zeros(9, 4)
    places[:, 1], places[:, 2] = torch.arange(9) // 3, torch.arange(9) % 3

    def paint(network: PocketNetwork) -> torch.Tensor:
        text = torch.zeros(1, 0, 256)
        clean = network.transformer.predict(
            network.codec.encode(picture),
            torch.ones(1),
            text=text,
            text_positions=torch.zeros(0, 4),
            positions=places,
        )
        return network.codec.decode_linear(clean, rows=3)

    before, after = paint(old), paint(new)
    assert (after - before).square().mean() < 0.02 * before.var()


def test_pretrain_onto_another_codec_starts_from_the_blocks_of_the_first(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["mirror it"], size=400)
    config = PocketConfig(
        channels=16, width=64, double_blocks=1, single_blocks=1, vocabulary=tokenizer.get_vocab_size()
    )
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    old = PocketNetwork(config)
    save_pocket(old, tokenizer, start, dtype=torch.float32)
    save_file(_linear(24, turn=3).state_dict(), tmp_path / "codec.safetensors")
    entry = EntryRecipe(name="words", rules=("mirror",), weight=1)
    recipe = PretrainRecipe(steps=1, warmup=1, corpus_pages=20, learning_rate=1e-6, mixture=(entry,))
    mixture = Mixture(entries=(Entry(name="words", rules=(RULES["mirror"],), large=0.3),), source=ShapeSource(), load=6)
    released = pretrain(
        recipe, mixture, {}, tmp_path / "run", codec=tmp_path / "codec.safetensors", start=start, workers=0,
        compiled=False,
    )  # fmt: skip
    backbone = load_pocket(released, dtype=torch.float32, packed=False)
    assert (backbone.network.config.codec, backbone.card.channels, backbone.card.fixed_side) == ("klt", 24, False)
    name = "transformer.single_transformer_blocks.0.attn.to_out.weight"
    torch.testing.assert_close(backbone.network.state_dict()[name], old.state_dict()[name], atol=1e-2, rtol=1e-2)
