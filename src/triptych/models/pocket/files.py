"""A pocket's file: weights, sizes, vocabulary and how they came, in one safetensors file."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from tokenizers import Tokenizer
from torch import Tensor

from triptych.errors import BackboneError
from triptych.files import why_unread, write_atomic
from triptych.models.hardware import native_dtype
from triptych.models.packed_linear import pack_linears
from triptych.models.pocket.backbone import PocketBackbone, PocketConfig, PocketNetwork
from triptych.models.pocket.eight_bits import from_eight_bits, to_eight_bits

__all__ = [
    "load_pocket",
    "pocket_config",
    "pocket_network",
    "pocket_tokenizer",
    "pocket_training",
    "pocket_weights",
    "save_pocket",
    "shipped_pocket",
]


def save_pocket(
    network: PocketNetwork,
    tokenizer: Tokenizer,
    path: Path,
    *,
    dtype: torch.dtype = torch.bfloat16,
    eight_bits: bool = False,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write weights, sizes and vocabulary as one safetensors file; `training` tells, in JSON values, how they came.

    `eight_bits` keeps matrices and kernels in eight bits and the rest in `dtype`: half the size of bfloat16.
    """
    weights = to_eight_bits(network.state_dict()) if eight_bits else network.state_dict()
    tensors = {
        name: tensor.detach().to(dtype).contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }
    config = {field: getattr(network.config, field) for field in PocketConfig.__dataclass_fields__}
    metadata = {"format": "pt", "config": json.dumps(config), "tokenizer": tokenizer.to_str()}
    if training is not None:
        metadata["training"] = json.dumps(training)
    write_atomic(path, save(tensors, metadata=metadata))


def _fact(path: Path, name: str) -> str:
    if not path.is_file():
        raise BackboneError(f"no pocket weights at {path}; name a file written by `triptych pocket pretrain`.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise BackboneError(f"{path} is not a readable safetensors file: {why_unread(path, error)}.") from error
    if name not in metadata:
        raise BackboneError(f"{path} is not a pocket: its metadata has no {name}.")
    return metadata[name]


def pocket_config(path: Path) -> PocketConfig:
    """The sizes in a pocket file; raises BackboneError where there are none."""
    return PocketConfig(**json.loads(_fact(path, "config")))


def pocket_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a pocket file, whichever way they are kept there."""
    return from_eight_bits(load_file(path))


def pocket_tokenizer(path: Path) -> Tokenizer:
    """The vocabulary in a pocket file; raises BackboneError where there is none."""
    return Tokenizer.from_str(_fact(path, "tokenizer"))


def pocket_training(path: Path | None = None) -> dict[str, Any]:
    """`recipe` and `steps` of the released pocket, or of that in `path`; raises BackboneError where it has none."""
    return json.loads(_fact(path or shipped_pocket(), "training"))


def pocket_network(path: Path) -> PocketNetwork:
    """The network in a pocket file, in float32; raises BackboneError where there is none."""
    network = PocketNetwork(pocket_config(path))
    network.load_state_dict(pocket_weights(path))
    return network


def shipped_pocket(name: str = "pocket") -> Path:
    """The file of a pocket that ships inside the package."""
    return Path(str(files("triptych.models.pocket") / "weights" / f"{name}.safetensors"))


def load_pocket(
    path: Path | None = None, *, dtype: torch.dtype | None = None, device: str = "cpu", packed: bool = True
) -> PocketBackbone:
    """The released pocket, or the one in `path`; `dtype` None takes bfloat16 where the processor has it.

    `packed` lays the weights out for this processor once more, beside themselves (`PackedLinear`).
    """
    source = path or shipped_pocket()
    network, tokenizer = pocket_network(source), pocket_tokenizer(source)
    network.to(device=device, dtype=dtype or native_dtype(device)).eval().requires_grad_(False)
    if packed:
        pack_linears(network.transformer)
    return PocketBackbone(network, tokenizer)
