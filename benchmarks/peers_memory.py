"""Peak memory as computed by `triptych.models.memory` beside what is measured, on random weights of middle size.

    PYTHONPATH=src:tests python benchmarks/peers_memory.py [--page docs/backbones/memory.md]

prints a Markdown table, and with --page writes it into that page of the docs. Every part works in float32 on the CPU;
its own weights are not counted. Transformers are narrower and shallower than the real ones, which the formula takes
into account; codecs have their real sizes.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    AutoencoderKLQwenImage21,
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
)
from peers_measuring import machine, peak_bytes, write_page
from transformers import Qwen3Config, Qwen3ForCausalLM, T5Config, T5EncoderModel

from triptych.models.catalog import CHECKPOINTS
from triptych.models.memory import decode_bytes, page_tokens, read_bytes, step_bytes

WIDTH, HEADS, TEXT, SIZE, MIB = 1024, 8, 512, 4, 2**20
SHAPE = {"num_attention_heads": HEADS, "attention_head_dim": WIDTH // HEADS}
Work = Callable[[int], object]


def flux1() -> Work:
    net = FluxTransformer2DModel(
        num_layers=1, num_single_layers=1, joint_attention_dim=WIDTH, pooled_projection_dim=64, **SHAPE
    )

    def step(tokens: int) -> object:
        return net(
            hidden_states=torch.randn(1, tokens, 64),
            encoder_hidden_states=torch.randn(1, TEXT, WIDTH),
            pooled_projections=torch.randn(1, 64),
            timestep=torch.ones(1),
            img_ids=torch.zeros(tokens, 3),
            txt_ids=torch.zeros(TEXT, 3),
        )

    return step


def flux2() -> Work:
    net = Flux2Transformer2DModel(
        num_layers=1, num_single_layers=1, joint_attention_dim=WIDTH, guidance_embeds=False, **SHAPE
    )

    def step(tokens: int) -> object:
        return net(
            hidden_states=torch.randn(1, tokens, 128),
            encoder_hidden_states=torch.randn(1, TEXT, WIDTH),
            timestep=torch.ones(1),
            img_ids=torch.zeros(tokens, 4),
            txt_ids=torch.zeros(TEXT, 4),
        )

    return step


def qwen() -> Work:
    net = QwenImageTransformer2DModel(num_layers=2, joint_attention_dim=WIDTH, **SHAPE)

    def step(tokens: int) -> object:
        return net(
            hidden_states=torch.randn(1, tokens, 64),
            encoder_hidden_states=torch.randn(1, TEXT, WIDTH),
            timestep=torch.ones(1),
            img_shapes=[[(1, tokens // 32, 32)]],
        )

    return step


def sd3() -> Work:
    net = SD3Transformer2DModel(
        num_layers=2,
        caption_projection_dim=WIDTH,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=64,
        pos_embed_max_size=256,
        **SHAPE,
    )

    def step(tokens: int) -> object:
        return net(
            hidden_states=torch.randn(1, 16, 2 * tokens // 32, 64),
            encoder_hidden_states=torch.randn(1, TEXT, WIDTH),
            pooled_projections=torch.randn(1, 64),
            timestep=torch.ones(1),
        )

    return step


def qwen3() -> Work:
    sizes = {"hidden_size": WIDTH, "intermediate_size": 3 * WIDTH, "num_hidden_layers": 28, "vocab_size": 1000}
    net = Qwen3ForCausalLM(Qwen3Config(num_attention_heads=HEADS, num_key_value_heads=HEADS, **sizes)).model
    return lambda tokens: net(torch.zeros(1, tokens, dtype=torch.long), output_hidden_states=True, use_cache=False)


def t5() -> Work:
    sizes = {"d_model": WIDTH, "d_kv": WIDTH // HEADS, "d_ff": 3 * WIDTH, "num_layers": 12, "vocab_size": 1000}
    net = T5EncoderModel(T5Config(num_heads=HEADS, **sizes))
    return lambda tokens: net(torch.zeros(1, tokens, dtype=torch.long))


def codec(vae: Any, channels: int, factor: int, *, video: bool = False) -> Work:
    """Decodes a picture of a given side."""

    def decode(side_px: int) -> object:
        latents = torch.randn(1, channels, side_px // factor, side_px // factor)
        return vae.decode(latents[:, :, None] if video else latents)

    return decode


def kl_codec(kind: type, channels: int) -> Work:
    sizes = {"latent_channels": channels, "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    return codec(kind(**sizes, **blocks), channels, 8)


STEPS = {"FLUX.1": flux1, "FLUX.2": flux2, "Qwen-Image-Edit": qwen, "Stable Diffusion 3.5": sd3}
READERS = {"Qwen3, as klein reads": qwen3, "T5": t5}
CODECS: dict[str, tuple[str, Callable[[], Work]]] = {
    "FLUX.1, Stable Diffusion 3.5": ("flux1", lambda: kl_codec(AutoencoderKL, 16)),
    "FLUX.2": ("flux2", lambda: kl_codec(AutoencoderKLFlux2, 32)),
    "Qwen-Image-Edit": ("qwen", lambda: codec(AutoencoderKLQwenImage(), 16, 8, video=True)),
    "Qwen-Image 2.1": ("qwen21", lambda: codec(AutoencoderKLQwenImage21(), 64, 16, video=True)),
}


def row(part: str, case: str, computed: int, measured: int) -> str:
    return f"| {part} | {case} | {computed / MIB:.0f} | {measured / MIB:.0f} | {measured / computed:.2f} |"


def rows() -> Iterator[str]:
    yield "| part | work | computed, MiB | measured, MiB | measured / computed |"
    yield "|---|---|---|---|---|"
    for name, make in STEPS.items():
        step = make()
        step(256)
        for side, conditions, slots in ((512, 1, 1), (512, 3, 1), (512, 3, 3)):
            tokens = page_tokens(conditions, slots, side)
            measured = peak_bytes(lambda step=step, tokens=tokens: step(tokens))
            case = f"a step, {side} px, n = {conditions}, m = {slots}"
            yield row(name, case, step_bytes(WIDTH, tokens + TEXT, SIZE), measured)
        del step
    for name, make in READERS.items():
        read = make()
        read(16)
        measured = peak_bytes(lambda read=read: read(TEXT))
        yield row(name, f"{TEXT} tokens", read_bytes(WIDTH, TEXT, SIZE), measured)
        del read
    for name, (family, make) in CODECS.items():
        decode, numbers = make(), next(each.shape.decoding for each in CHECKPOINTS if each.card.family == family)
        decode(64)
        for side in (128, 256):
            measured = peak_bytes(lambda decode=decode, side=side: decode(side))
            yield row(name, f"decoding {side} px", decode_bytes(numbers, side**2, SIZE), measured)
        del decode


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--page", type=Path, help="a page of the docs with the marks of this script")
    asked = options.parse_args()
    lines = [f"On {machine()}; numbers of {SIZE} bytes; transformers of width {WIDTH}.", ""]
    with torch.no_grad():
        for line in rows():
            print(line, flush=True)
            lines.append(line)
    if asked.page:
        write_page(asked.page, Path(__file__).name, lines)


if __name__ == "__main__":
    main()
