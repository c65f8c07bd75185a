"""What a page costs in memory, computed from sizes."""

from dataclasses import dataclass

import psutil
import torch

from triptych.models.catalog import Shape
from triptych.models.options import Offload, Quantise, Training

__all__ = [
    "Estimate",
    "decode_bytes",
    "estimate",
    "free_bytes",
    "page_tokens",
    "read_bytes",
    "step_bytes",
]

_GIB = 2**30
_ACTIVATIONS = 28
"""Rows of the network's width alive at once for every token. By its operations a single-stream block needs 20: the
residual and its norm (2), queries, keys and values with their rotated copies (6), the gated feed-forward's two halves
and product (9), and the concatenation that is projected back (4), of which one is reused. Measured are 12 to 33
(docs/backbones/memory.md): the allocator holds some back between operations."""
_TEXT_ROWS = 40
"""Rows of the text encoder's width alive at once for every token: about one a layer, since several layers are read."""
_TEXT_WIDTH = 4096
_SPARE = 1.1
"""Fragmentation and the libraries' own buffers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes on the device, by stage; the stages follow each other."""

    text: int
    steps: int
    decode: int

    @property
    def peak(self) -> int:
        return max(self.text, self.steps, self.decode)

    @property
    def peak_gib(self) -> float:
        return self.peak / _GIB


def page_tokens(conditions: int, slots: int, side_px: int, factor: int = 16) -> int:
    """Picture tokens of a page of square panels."""
    return (conditions + slots) * (side_px // factor) ** 2


def step_bytes(width: int, tokens: int, size: int) -> int:
    """What a step of the transformer adds to its weights, for values of `size` bytes."""
    return _ACTIVATIONS * width * tokens * size


def read_bytes(width: int, tokens: int, size: int) -> int:
    """What reading a prompt adds to the text encoder's weights."""
    return _TEXT_ROWS * width * tokens * size


def decode_bytes(numbers: int, pixels: int, size: int) -> int:
    """What decoding one picture adds to the codec's weights, with `numbers` values alive for every pixel."""
    return numbers * pixels * size


def estimate(
    shape: Shape,
    *,
    conditions: int = 1,
    slots: int = 1,
    side_px: int = 1024,
    text_tokens: int = 512,
    quantise: Quantise = Quantise.NONE,
    offload: Offload = Offload.NONE,
    dtype: torch.dtype = torch.bfloat16,
    cached: bool = False,
    training: Training | None = None,
    packed_bytes: int | None = None,
) -> Estimate:
    """Peak memory of one page of square panels, or of a step of `training`.

    Weights: parameters x bits / 8 for transformer and text encoder, and the codec at `dtype`. A step: 28 x width x
    tokens values, and where the conditions are `cached` 2 x width x blocks x condition tokens more, while a step then
    has only the slots' tokens. Decoding: `shape.decoding` values per pixel of one panel. A transformer that stays as it
    is packed in its file takes `packed_bytes`.
    """
    size = dtype.itemsize
    scale = quantise.bits / 16 * size / 2 if quantise is Quantise.NONE else quantise.bits / 16
    transformer, text = (int(1e9 * billions * 2 * scale) for billions in (shape.transformer, shape.text))
    transformer = transformer if packed_bytes is None else packed_bytes
    codec = int(1e9 * shape.codec * size)
    given, made = page_tokens(conditions, 0, side_px), page_tokens(0, slots, side_px)
    moving = made + text_tokens + given
    step = step_bytes(shape.width, moving, size)
    if cached:
        step += 2 * shape.width * shape.blocks * given * size
    if training is not None:
        step = training.step_bytes
    reading = read_bytes(_TEXT_WIDTH, text_tokens, size)
    decoding = decode_bytes(shape.decoding, side_px**2, size)
    match offload:
        case Offload.NONE:
            rest = transformer + text + codec
            stages = (rest + reading, rest + step, rest + decoding)
        case Offload.PARTS:
            stages = (text + reading, transformer + step, codec + decoding)
        case Offload.LAYERS:
            # Two layers at a time: one computes while the next arrives.
            stages = (2 * text // 32 + reading, 2 * transformer // shape.blocks + step, codec + decoding)
    text_stage, step_stage, decode_stage = (int(stage * _SPARE) for stage in stages)
    return Estimate(text=text_stage, steps=step_stage, decode=decode_stage)


def free_bytes(device: str) -> int:
    """Memory that can be used now on 'cpu', 'cuda' or 'mps'."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(torch.device(device))[0]
    return psutil.virtual_memory().available
