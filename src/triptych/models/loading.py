"""From a name, a folder or a file to a backbone. A family's code is imported when one of its checkpoints is loaded."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from triptych.addresses import is_address, read_address
from triptych.errors import BackboneError
from triptych.files import read_json, why_unread
from triptych.models.backbone import Backbone
from triptych.models.catalog import (
    CHECKPOINTS,
    SHIPPED,
    Checkpoint,
    find_checkpoint,
    find_shipped,
    read_index,
    recognise,
    split_file,
)
from triptych.models.choosing import Stored, choose, refuse_placing
from triptych.models.fingerprints import file_fingerprint
from triptych.models.hardware import best_device, native_dtype
from triptych.models.memory import free_bytes
from triptych.models.modular import INDEX, MODULAR_INDEX, plain_index
from triptych.models.options import LoadOptions
from triptych.models.pocket.files import load_pocket, shipped_pocket

__all__ = ["load"]

_log = logging.getLogger(__name__)
_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_PICKLED = {".ckpt", ".pt", ".pth", ".bin", ".pkl"}


def load(source: str | Path = "pocket", options: LoadOptions | None = None) -> Backbone:
    """A backbone: `pocket`, `pocket-2`, a name on the Hub, a diffusers folder, or one safetensors or GGUF file.

    A file that holds a transformer alone is named with the checkpoint of its other parts, `FILE@BASE`, or in `options`.

    The network is used only for a name that is neither a folder nor a file here. What `options` leave open is chosen
    from the device's free memory, and the reason is logged. Raises BackboneError for what is unknown, incomplete,
    not safetensors, or too large.
    """
    options = options or LoadOptions()
    device = options.device or best_device()
    _refuse_device(device)
    name = str(source)
    if isinstance(source, str) and is_address(source):
        raise BackboneError(
            f"{read_address(source)} is a server: it makes pictures from requests (triptych.open_engine, and "
            "`--backbone` of generate, batch, replay, evaluate and studio), and no weights can be loaded from it. Name "
            "a backbone on this machine or the Hub."
        )
    if find_shipped(name) is not None:
        return _pocket(shipped_pocket(name), options, device)
    path, base = split_file(name)
    options = replace(options, base=base) if base else options
    if path.is_file():
        return _from_file(path, options, device)
    if path.is_dir():
        return _from_index(str(path), read_index(path), recognise(path), options, device)
    checkpoint = find_checkpoint(name)
    if checkpoint is None and not _HUB_NAME.fullmatch(name):
        raise BackboneError(_unknown(name, path))
    hub_name = checkpoint.card.name if checkpoint else name
    refuse_placing(hub_name, Stored.FOLDER, options, device)
    return _from_index(hub_name, _fetch_index(hub_name, checkpoint), checkpoint, options, device)


def _unknown(name: str, path: Path) -> str:
    if path.is_absolute() or len(path.parts) > 1:
        return f"there is no folder or file {name!r}."
    names = {each.card.name.rpartition("/")[2].lower(): each.card.name for each in CHECKPOINTS}
    shipped = [each.card.name for each in SHIPPED]
    near = get_close_matches(name.lower(), [*shipped, *names], n=1)
    meant = f"Did you mean {names.get(near[0], near[0])}? " if near else ""
    known = ", ".join([*shipped, *names.values()])
    return f"{name!r} is not a folder, a file or a known backbone. {meant}Known: {known}."


def _refuse_device(device: str) -> None:
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise BackboneError(f"{device!r} is not a device; give cpu, cuda, cuda:1 or mps.") from error
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if kind in there and not there[kind]():
        raise BackboneError(
            f"device {device!r} was asked for, but this torch ({torch.__version__}) finds no {kind} device. Install a "
            "build of torch for it, or leave `device` out."
        )


def _pocket(path: Path, options: LoadOptions, device: str) -> Backbone:
    for name in ("quantise", "offload", "references", "step_cache"):
        value = getattr(options, name)
        if value is not None and value.value != "none":
            raise BackboneError(
                f"{name} {value.value!r} is for large backbones; the pocket does without. Leave it out."
            )
    backbone = load_pocket(path, dtype=options.dtype, device=device)
    backbone.card = replace(backbone.card, weights=_own_weights(path, backbone.card.name))
    if options.compile:
        backbone.transformer.compile_repeated_blocks()
    return backbone


def _own_weights(path: Path, name: str) -> str | None:
    """The fingerprint of a pocket's file, unless `name` finds the same bytes inside the package."""
    shipped = shipped_pocket(name)
    if path == shipped:
        return None
    found = file_fingerprint(path)
    is_shipped = find_shipped(name) is not None and found == file_fingerprint(shipped)
    return None if is_shipped else found


def _from_file(path: Path, options: LoadOptions, device: str) -> Backbone:
    if path.suffix.lower() in _PICKLED:
        raise BackboneError(
            f"{path.name} may run code when it is opened. Only safetensors files are loaded; convert it, on a machine "
            "you can spare, with `safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'out.safetensors')`."
        )
    if path.suffix.lower() != ".gguf" and {"config", "tokenizer"} <= _metadata(path).keys():
        return _pocket(path, options, device)
    if options.base is None:
        raise BackboneError(
            f"{path.name} holds a transformer alone. Name the checkpoint that it belongs to, for its text encoder and "
            f"codec: `--backbone {path.name} --base black-forest-labs/FLUX.2-klein-4B`, or anywhere "
            f"`{path.name}@black-forest-labs/FLUX.2-klein-4B`. Or put a safetensors file into a copy of that "
            "checkpoint's folder, as transformer/diffusion_pytorch_model.safetensors."
        )
    stored = _stored(path)
    refuse_placing(path.name, stored, options, device)
    if stored is Stored.GGUF:
        # Takes seconds, which the pocket does without.
        from triptych.models.singlefile import refuse_unread_gguf

        refuse_unread_gguf(path)
    folder = Path(options.base).expanduser()
    checkpoint = recognise(folder) if folder.is_dir() else find_checkpoint(options.base)
    if checkpoint is None and not folder.is_dir() and not _HUB_NAME.fullmatch(options.base):
        raise BackboneError(f"the base of {path.name}: {_unknown(options.base, folder)}")
    if folder.is_dir():
        return _from_index(str(folder), read_index(folder), checkpoint, options, device, transformer_file=path)
    name = checkpoint.card.name if checkpoint else options.base
    return _from_index(name, _fetch_index(name, checkpoint), checkpoint, options, device, transformer_file=path)


def _stored(transformer_file: Path | None) -> Stored:
    if transformer_file is None:
        return Stored.FOLDER
    return Stored.GGUF if transformer_file.suffix.lower() == ".gguf" else Stored.FILE


def _metadata(path: Path) -> Mapping[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise BackboneError(f"{path} is not a readable safetensors file: {why_unread(path, error)}.") from error


def _fetch_index(name: str, checkpoint: Checkpoint | None) -> Mapping[str, Any]:
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        # The Hub is waited for only where nothing is kept here.
        kept = [each for each in (INDEX, MODULAR_INDEX) if isinstance(try_to_load_from_cache(name, each), str)]
        try:
            file = hf_hub_download(name, kept[0] if kept else INDEX)
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            file = hf_hub_download(name, MODULAR_INDEX)
        return plain_index(read_json(file, error=BackboneError))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        licence = (
            "" if checkpoint is None or checkpoint.public else " Its weights were not public when this was written."
        )
        if constants.HF_HUB_OFFLINE:
            raise BackboneError(
                f"{name} is not in the cache of the Hugging Face Hub, and HF_HUB_OFFLINE says not to ask it. Give the "
                "folder of a copy, or unset HF_HUB_OFFLINE."
            ) from error
        if checkpoint is not None and checkpoint.gated:
            licence = (
                f" Its licence ({checkpoint.card.licence}) must be accepted there first, then run `hf auth login`."
            )
        raise BackboneError(
            f"{name} cannot be fetched from the Hugging Face Hub ({type(error).__name__}).{licence} Or fetch it "
            "elsewhere and give its folder."
        ) from error


def _from_index(
    source: str,
    index: Mapping[str, Any],
    checkpoint: Checkpoint | None,
    options: LoadOptions,
    device: str,
    *,
    transformer_file: Path | None = None,
) -> Backbone:
    # Takes seconds, which the pocket does without.
    from triptych.models.assembly import assemble, foreign_file, load_parts, refuse_index

    refuse_index(source, index, options)
    held = transformer_file or foreign_file(source, index)
    stored = _stored(held)
    dtype = options.dtype or native_dtype(device)
    choice = choose(
        source,
        checkpoint.shape if checkpoint else None,
        options,
        free=free_bytes(device),
        device=device,
        dtype=dtype,
        stored=stored,
        packed_bytes=held.stat().st_size if held and stored is Stored.GGUF else None,
    )
    _log.info("%s: %s", source, choice.reason)
    options = replace(options, device=device, dtype=dtype, quantise=choice.quantise, offload=choice.offload)
    parts = load_parts(source, index, options, transformer_file=held)
    backbone = assemble(parts, index, checkpoint, options, name=source)
    if transformer_file is not None:
        backbone.card = replace(backbone.card, weights=file_fingerprint(transformer_file))
    return backbone
