"""The second codec: the linear transform it begins with, any size, and what its weights of channels promise."""

import pytest
import torch

from triptych.models.pocket.klt import KltCodec, fit_klt


def _pictures(count: int = 24, side_px: int = 48) -> torch.Tensor:
    """Smooth random pictures in [-1, 1]: neighbouring pixels agree, so that few components say most."""
    torch.manual_seed(1)
    coarse = torch.rand(count, 3, 6, 6) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=side_px, mode="bicubic").clamp(-1, 1)


def _started(channels: int) -> KltCodec:
    codec = KltCodec(channels=channels, width=8, encoder_blocks=1, decoder_blocks=1).eval()
    codec.start(_pictures())
    return codec


def test_fit_klt_basis_is_orthonormal_and_its_strongest_component_comes_first() -> None:
    basis, _, deviations = fit_klt(_pictures(), 40)
    torch.testing.assert_close(basis.T @ basis, torch.eye(40), atol=1e-5, rtol=0)
    assert (deviations.diff() <= 1e-6).all()


@pytest.mark.parametrize("size", [(16, 16), (32, 80), (48, 32)])
def test_decode_of_encode_keeps_any_size_in_multiples_of_16(size: tuple[int, int]) -> None:
    codec = _started(32)
    pictures = torch.rand(2, 3, *size) * 2 - 1
    tokens = codec.encode(pictures)
    assert tokens.shape == (2, size[0] * size[1] // 256, 32)
    assert codec.decode(tokens, rows=size[0] // 16).shape == pictures.shape


def test_started_codec_with_all_components_gives_pictures_back() -> None:
    codec, pictures = _started(768), _pictures(4)
    torch.testing.assert_close(codec.decode(codec.encode(pictures), rows=3), pictures, atol=1e-3, rtol=0)


def test_started_codec_errs_by_the_components_it_leaves_out() -> None:
    pictures = _pictures()
    codec = _started(20)
    error = (codec.decode(codec.encode(pictures), rows=3) - pictures).square().sum() / (24 * 9)
    _, _, deviations = fit_klt(pictures, 768)
    torch.testing.assert_close(error, deviations[20:].square().sum(), atol=1e-3, rtol=1e-3)


def test_channel_weights_turn_an_error_of_tokens_into_that_of_pixels() -> None:
    codec, pictures = _started(24), _pictures(3)
    tokens = codec.encode(pictures)
    other = tokens + 0.1 * torch.randn(tokens.shape)
    of_pixels = (codec.decode_linear(other, rows=3) - codec.decode_linear(tokens, rows=3)).square().sum()
    of_tokens = ((other - tokens).square() * codec.channel_weights).sum() * codec.scale.square().mean()
    torch.testing.assert_close(of_pixels, of_tokens, rtol=1e-4, atol=1e-4)


def test_linear_part_of_a_trained_codec_is_its_transform_alone() -> None:
    codec, pictures = _started(24), _pictures(3)
    for part in (codec.encoder, codec.decoder):
        torch.nn.init.normal_(part[-1].weight)
    plain = codec.linear()
    torch.testing.assert_close(plain.encode(pictures), codec.encode_linear(pictures))
    torch.testing.assert_close(
        plain.decode(plain.encode(pictures), rows=3), codec.decode_linear(codec.encode_linear(pictures), rows=3)
    )
    assert not torch.allclose(plain.encode(pictures), codec.encode(pictures), atol=1e-2)
