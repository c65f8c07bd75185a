"""How a backbone is stored and placed: what cannot be, said before weights are read, and of the rest what fits."""

import importlib.util
from dataclasses import dataclass
from enum import StrEnum

import torch

from triptych.errors import BackboneError
from triptych.models.family import Shape
from triptych.models.memory import estimate
from triptych.models.options import LoadOptions, Offload, Quantise, Training

__all__ = ["Choice", "Stored", "choose", "refuse_placing"]

_GIB = 2**30
_AUTOMATIC = (Quantise.NONE, Quantise.INT8, Quantise.NF4)
"""The truest first. fp8 is as large as int8, and further from the truth."""


class Stored(StrEnum):
    """How the weights of the transformer lie on the disk."""

    FOLDER = "folder"
    """Under diffusers' names."""
    FILE = "file"
    """One safetensors file, or a folder's, under any names, perhaps with scales beside the weights."""
    GGUF = "gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How to load, and why: the reason is written for the user."""

    quantise: Quantise
    offload: Offload
    reason: str


def refuse_placing(name: str, stored: Stored, options: LoadOptions, device: str) -> None:
    """Raise BackboneError where what `options` fix cannot be."""
    if said := _hindrance(options.quantise or Quantise.NONE, options.offload or Offload.NONE, stored, options, device):
        raise BackboneError(f"{name}: {said}")


def choose(
    name: str,
    shape: Shape | None,
    options: LoadOptions,
    *,
    free: int,
    device: str,
    dtype: torch.dtype = torch.bfloat16,
    stored: Stored = Stored.FOLDER,
    packed_bytes: int | None = None,
    side_px: int = 1024,
) -> Choice:
    """The first of the ways to load that fits in `free` bytes of `device`, the truest and fastest first.

    It is chosen for `options.training`, or else for sampling. What the options fix stays fixed. Without a `shape`
    nothing is known to choose by, and what they leave open stays off. A GGUF file's transformer takes `packed_bytes`.
    Raises BackboneError for what cannot be, and with the least that would be needed where nothing fits.
    """
    refuse_placing(name, stored, options, device)
    if shape is None or None not in (options.quantise, options.offload):
        why = "as asked" if shape else "its sizes are not known, so nothing is chosen"
        return Choice(quantise=options.quantise or Quantise.NONE, offload=options.offload or Offload.NONE, reason=why)
    needs: list[tuple[float, str]] = []
    for kind, move in _ways(stored, options, device):
        need = estimate(
            shape,
            side_px=side_px,
            quantise=kind,
            offload=move,
            dtype=dtype,
            training=options.training,
            packed_bytes=packed_bytes,
        )
        as_is = "as in the file" if packed_bytes else str(dtype).removeprefix("torch.")
        label = f"weights {as_is if kind is Quantise.NONE else kind.value}, offload {move.value}"
        if need.peak <= free:
            passed = "".join(f"; {name} would need {gib:.1f} GiB" for gib, name in needs[:1])
            reason = f"{label}: needs {need.peak_gib:.1f} GiB of {free / _GIB:.1f} GiB free on {device}{passed}"
            return Choice(quantise=kind, offload=move, reason=reason)
        needs.append((need.peak_gib, label))
    least, label = min(needs)
    raise BackboneError(
        f"{free / _GIB:.1f} GiB are free on {device}; even the least ({label}) needs {least:.1f} GiB "
        f"{'to train' if options.training else f'at {side_px} px'}. Free memory, choose a smaller backbone or smaller "
        "panels, or another device."
    )


def _ways(stored: Stored, options: LoadOptions, device: str) -> list[tuple[Quantise, Offload]]:
    kinds = [options.quantise] if options.quantise else _AUTOMATIC
    moves = [options.offload] if options.offload else list(Offload)
    whole, lent = [move for move in moves if move is not Offload.LAYERS], [m for m in moves if m is Offload.LAYERS]
    # Taking turns changes no bit, so it comes before storing weights in fewer bits.
    tried = [(kind, move) for kind in kinds for move in whole] + [(kind, move) for kind in kinds for move in lent]
    return [
        (kind, move)
        for kind, move in tried
        if _hindrance(kind, move, stored, options, device) is None
        and not (move is Offload.LAYERS and options.offload is None and _keeps_blocks(options.training))
    ]


def _keeps_blocks(training: Training | None) -> bool:
    """Without recomputing, every block's copy would stay on the device for the gradients."""
    return training is not None and not training.recomputes


def _hindrance(quantise: Quantise, offload: Offload, stored: Stored, options: LoadOptions, device: str) -> str | None:
    """Why weights cannot be stored and placed like this, and what to do; None where they can."""
    on_cpu = torch.device(device).type == "cpu"
    match quantise, stored:
        case Quantise.NONE, _:
            pass
        case _, Stored.GGUF:
            return "a GGUF file holds quantised weights already. Leave `quantise` out."
        case Quantise.NF4, Stored.FILE:
            return "diffusers packs nf4 only of folders with its own names. Choose int8 or fp8, or such a folder."
        case Quantise.NF4, _ if not _packs_nf4(device):
            return f"nf4 weights need a CUDA device, and this is {device!r}. Choose int8, or none."
    package = {Quantise.INT8: "torchao", Quantise.FP8: "torchao", Quantise.NF4: "bitsandbytes"}.get(quantise)
    if package is not None and importlib.util.find_spec(package) is None:
        return f"weights in {quantise.value} need the package {package}: pip install {package}."
    match offload:
        case Offload.PARTS | Offload.LAYERS if on_cpu:
            return (
                f"offload {offload.value!r} moves weights to main memory, but the device is {device!r}. Leave it out."
            )
        case Offload.LAYERS if quantise is Quantise.NF4:
            # bitsandbytes' weights stay on the device that they were packed on.
            return "nf4 weights cannot come block by block. Choose offload 'parts', or int8."
        case Offload.LAYERS if options.compile:
            return "blocks that come one by one cannot be compiled. Leave `compile` out, or offload."
    return None


def _packs_nf4(device: str) -> bool:
    return torch.device(device).type == "cuda"
