"""Shapes and scale of the codec's latents."""

import torch

from triptych.models.pocket.codec import PocketCodec


def test_encode_then_decode_keeps_the_size_of_pictures_that_are_not_square() -> None:
    codec = PocketCodec(channels=16).eval()
    tokens = codec.encode(torch.rand(2, 3, 32, 64) * 2 - 1)
    assert tokens.shape == (2, 2 * 4, 16)
    assert codec.decode(tokens, rows=2).shape == (2, 3, 32, 64)


def test_encode_while_training_gives_latents_of_unit_variance() -> None:
    torch.manual_seed(0)
    codec = PocketCodec(channels=16)
    tokens = codec.encode(torch.rand(8, 3, 64, 64) * 2 - 1)
    torch.testing.assert_close(tokens.var(dim=(0, 1)), torch.ones(16), atol=0.05, rtol=0.05)


def test_encode_takes_the_same_place_of_a_picture_to_the_same_token() -> None:
    torch.manual_seed(0)
    codec = PocketCodec(channels=16).eval()
    picture = torch.zeros(1, 3, 128, 128)
    marked = picture.clone()
    marked[..., 70:75, 100:105] = 1.0
    moved = (codec.encode(marked) - codec.encode(picture)).square().sum(-1).view(8, 8)
    row, column = divmod(int(moved.argmax()), 8)
    assert (row, column) == (70 // 16, 100 // 16)
