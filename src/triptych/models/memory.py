"""What a page costs in memory, computed from sizes; and the choice that fits, with its reason."""

import importlib.util
from dataclasses import dataclass

import psutil
import torch

from triptych.errors import BackboneError
from triptych.models.catalog import Shape
from triptych.models.options import Offload, Quantise, Training

__all__ = [
    "Choice",
    "Estimate",
    "choose",
    "decode_bytes",
    "estimate",
    "free_bytes",
    "installed_kinds",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How to load, and why: the reason is written for the user."""

    quantise: Quantise
    offload: Offload
    reason: str


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
) -> Estimate:
    """Peak memory of one page of square panels, or of a step of `training`.

    Weights: parameters x bits / 8 for transformer and text encoder, and the codec at `dtype`. A step: 28 x width x
    tokens values, and where the conditions are `cached` 2 x width x blocks x condition tokens more, while a step then
    has only the slots' tokens. Decoding: `shape.decoding` values per pixel of one panel.
    """
    size = dtype.itemsize
    scale = quantise.bits / 16 * size / 2 if quantise is Quantise.NONE else quantise.bits / 16
    transformer, text = (int(1e9 * billions * 2 * scale) for billions in (shape.transformer, shape.text))
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


def choose(
    shape: Shape,
    *,
    free: int,
    device: str,
    side_px: int = 1024,
    dtype: torch.dtype = torch.bfloat16,
    quantise: Quantise | None = None,
    offload: Offload | None = None,
    training: Training | None = None,
) -> Choice:
    """The first of the ways to load that fits in `free` bytes, the truest and fastest first.

    It is chosen for `training`, or else for sampling. What the user fixed stays fixed. Raises BackboneError with the
    least that would be needed where nothing fits.
    """
    gpu = torch.device(device).type != "cpu"
    kinds = [quantise] if quantise else installed_kinds(device)
    moves = [offload] if offload else [Offload.NONE, *([Offload.PARTS, Offload.LAYERS] if gpu else [])]
    # Taking turns changes no bit, so it comes before storing weights in fewer bits.
    tried = [(kind, move) for move in moves[:2] for kind in kinds[:1]]
    tried += [(kind, move) for kind in kinds[1:] for move in moves[:2]]
    tried += [(kind, move) for kind in kinds for move in moves[2:]]
    # bitsandbytes' weights stay on the device that they were packed on.
    tried = [(kind, move) for kind, move in tried if (kind, move) != (Quantise.NF4, Offload.LAYERS)]
    if training is not None and not training.recomputes and offload is None:
        # Without recomputing, every block's copy would stay on the device for the gradients.
        tried = [(kind, move) for kind, move in tried if move is not Offload.LAYERS]
    needs: list[tuple[float, str]] = []
    for kind, move in tried:
        need = estimate(shape, side_px=side_px, quantise=kind, offload=move, dtype=dtype, training=training)
        stored = str(dtype).removeprefix("torch.") if kind is Quantise.NONE else kind.value
        label = f"weights {stored}, offload {move.value}"
        if need.peak <= free:
            passed = "".join(f"; {name} would need {gib:.1f} GiB" for gib, name in needs[:1])
            reason = f"{label}: needs {need.peak_gib:.1f} GiB of {free / _GIB:.1f} GiB free on {device}{passed}"
            return Choice(quantise=kind, offload=move, reason=reason)
        needs.append((need.peak_gib, label))
    least, label = min(needs)
    raise BackboneError(
        f"{free / _GIB:.1f} GiB are free on {device}; even the least ({label}) needs {least:.1f} GiB "
        f"{'to train' if training else f'at {side_px} px'}. Free memory, choose a smaller backbone or smaller panels, "
        "or another device."
    )


def installed_kinds(device: str) -> list[Quantise]:
    """How weights can be stored here, the truest first: what needs a package counts where it is installed."""
    kinds = [Quantise.NONE]
    if importlib.util.find_spec("torchao") is not None:
        kinds.append(Quantise.INT8)
    if torch.device(device).type == "cuda" and importlib.util.find_spec("bitsandbytes") is not None:
        kinds.append(Quantise.NF4)
    return kinds


def free_bytes(device: str) -> int:
    """Memory that can be used now on 'cpu', 'cuda' or 'mps'."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(torch.device(device))[0]
    return psutil.virtual_memory().available
