"""Prepared pages on disk: each is found by the content of its page, its settings and the backbone that encoded it."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from triptych.errors import OutputError
from triptych.files import write_atomic
from triptych.models.backbone import Backbone, Conditions, Grid, Targets, Text
from triptych.models.sharing import Kept
from triptych.page import Page, condition, slot
from triptych.prompts import Prompt, PromptPart
from triptych.sampling.encode import encode_picture, encode_text
from triptych.skill import payload_sha256
from triptych.training.prepare import Prepared, Setting, prepare_page
from triptych.training.variants import page_sha256

__all__ = ["PageCache", "fingerprint"]

_log = logging.getLogger(__name__)
_MOST_BYTES = 2**30
_SAMPLED = 64


@torch.no_grad()
def fingerprint(backbone: Backbone) -> str:
    """Changes when the backbone's codec, text encoder or transformer changes.

    Codec and text encoder are known by what they make of a fixed page, the transformer by a sample of every weight.
    """
    digest = hashlib.sha256(backbone.card.name.encode())
    side = 4 * backbone.card.factor
    probe = Image.linear_gradient("L").resize((side, side)).convert("RGB")
    digest.update(_bytes(encode_picture(backbone, probe)))
    page = Page(panels=(condition(probe, "a red fox"), slot("in the snow")), overview="a picture")
    digest.update(_bytes(encode_text(backbone, [page]).embeds))
    for name, parameter in backbone.transformer.named_parameters():
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
        # Weights quantised by torchao are tensors of another kind, which cannot be sampled.
        if type(parameter.data) is Tensor:
            flat = parameter.detach().flatten()
            digest.update(_bytes(flat[:: max(1, flat.numel() // _SAMPLED)]))
    return digest.hexdigest()


class PageCache:
    """Makes each page ready once. What is on disk and damaged, or of other content, is made again."""

    def __init__(self, backbone: Backbone, folder: Path, *, most_bytes: int = _MOST_BYTES) -> None:
        """Of what is on disk, at most `most_bytes` stay on the backbone's device too."""
        self._backbone, self._folder = backbone, folder
        self._fingerprint = fingerprint(backbone)
        self._recent: Kept[Prepared] = Kept(_size, most_bytes=most_bytes)
        self._is_full = False
        self.made = 0
        """How many pages had to be encoded."""

    def get(self, page: Page, setting: Setting) -> Prepared:
        key = self._key(page, setting)
        return self._recent.get(
            key, lambda: self._read(key) or self._make(key, lambda: prepare_page(self._backbone, page, setting))
        )

    def _key(self, page: Page, setting: Setting) -> str:
        facts = json.dumps([self._fingerprint, page_sha256(page), asdict(setting)], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key[:40]}.safetensors"

    def _make(self, key: str, make: Callable[[], Prepared]) -> Prepared:
        prepared = make()
        self.made += 1
        tensors, facts = _flat(prepared)
        digest = payload_sha256(save(tensors))
        metadata = {"key": key, "sha256": digest, "facts": json.dumps(facts)}
        if not self._is_full:
            try:
                write_atomic(self._path(key), save(tensors, metadata=metadata))
            except OutputError as error:
                self._is_full = True
                _log.info("%s Pages are kept in memory only, and encoded again by the next run.", error)
        return prepared

    def _read(self, key: str) -> Prepared | None:
        path = self._path(key)
        try:
            # Not read to the device at once: safetensors does not know every device that torch has.
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name).to(self._backbone.device) for name in file.keys()}  # noqa: SIM118
            if metadata.get("key") != key or metadata.get("sha256") != payload_sha256(path.read_bytes()):
                return None
            return _unflat(tensors, json.loads(metadata["facts"]))
        except (OSError, SafetensorError):
            return None


def _size(prepared: Prepared) -> int:
    return sum(tensor.nbytes for tensor in _tensors(prepared).values())


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _tensors(prepared: Prepared) -> dict[str, Tensor]:
    conditions, text = prepared.conditions, prepared.text
    named = {
        "clean": prepared.clean,
        "weights": prepared.weights,
        "memory": prepared.memory,
        "known": prepared.known,
        "conditions": conditions.tokens if conditions else None,
        "extra": prepared.targets.extra,
        "text.embeds": text.embeds,
        "text.positions": text.positions,
        "text.pooled": text.pooled,
        "text.mask": text.mask,
        "text.seen": text.seen,
        "draft": prepared.draft,
    }
    return {name: tensor for name, tensor in named.items() if tensor is not None}


def _flat(prepared: Prepared) -> tuple[dict[str, Tensor], dict[str, object]]:
    conditions = prepared.conditions
    facts: dict[str, object] = {
        "targets": [asdict(grid) for grid in prepared.targets.grids],
        "conditions": [asdict(grid) for grid in conditions.grids] if conditions else [],
        "guidance": prepared.guidance,
        "prompt": asdict(prepared.prompt),
        "frames": prepared.frames,
    }
    # Cloned: safetensors refuses tensors that share memory, as expanded ones do.
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in _tensors(prepared).items()}, facts


def _unflat(tensors: dict[str, Tensor], facts: dict) -> Prepared:
    text = {name.removeprefix("text."): value for name, value in tensors.items() if name.startswith("text.")}
    conditions, prompt = None, facts["prompt"]
    if "conditions" in tensors:
        grids = tuple(Grid(**grid) for grid in facts["conditions"])
        conditions = Conditions(tokens=tensors["conditions"], grids=grids)
    return Prepared(
        text=Text(
            embeds=text["embeds"],
            positions=text["positions"],
            pooled=text.get("pooled"),
            mask=text.get("mask"),
            seen=text.get("seen"),
        ),
        conditions=conditions,
        guidance=facts["guidance"],
        targets=Targets(grids=tuple(Grid(**grid) for grid in facts["targets"]), extra=tensors.get("extra")),
        clean=tensors["clean"],
        weights=tensors["weights"],
        prompt=Prompt(text=prompt["text"], parts=tuple(PromptPart(**part) for part in prompt["parts"])),
        frames=tuple(facts["frames"]),
        memory=tensors.get("memory"),
        known=tensors.get("known"),
        draft=tensors.get("draft"),
    )
