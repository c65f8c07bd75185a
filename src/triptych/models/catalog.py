"""The checkpoints that are known by name: what they can do, what they cost, and under which licence they come."""

from dataclasses import dataclass, replace
from typing import Any

from triptych.models.backbone import Card, Conditioning

__all__ = ["CHECKPOINTS", "Checkpoint", "Shape", "find_checkpoint"]

_REPAINT = (Conditioning.REPAINT,)
_REFERENCE = (Conditioning.REFERENCE,)
_BOTH = (Conditioning.REFERENCE, Conditioning.REPAINT)
_DEV = "FLUX.1 [dev] Non-Commercial License"
_APACHE = "Apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes that memory and operations are computed from. Parameters in thousands of millions."""

    transformer: float
    text: float
    codec: float
    width: int
    double_blocks: int
    single_blocks: int
    decoding: int = 1400
    """Numbers alive at once for every pixel while a picture is decoded, as measured (docs/backbones/memory.md)."""

    @property
    def blocks(self) -> int:
        return self.double_blocks + self.single_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A card before it is loaded; `pipeline` is the class that diffusers' `model_index.json` names."""

    card: Card
    pipeline: str
    shape: Shape
    gated: bool
    """The licence must be accepted on the Hub before the weights can be fetched."""

    @property
    def cached(self) -> bool:
        """Conditions are read once, as the weights were trained, and their keys and values kept."""
        return self.card.family in ("flux2-kv", "qwen21")


def _known(
    name: str,
    family: str,
    pipeline: str,
    ways: tuple[Conditioning, ...],
    shape: Shape,
    *,
    gated: bool = True,
    **facts: Any,
) -> Checkpoint:
    first = Card(
        name=name,
        family=family,
        conditionings=ways,
        factor=16,
        channels=64,
        side_px=1024,
        steps=28,
        guidance=None,
        max_text_tokens=512,
        licence=_APACHE,
    )
    return Checkpoint(card=replace(first, **facts), pipeline=pipeline, shape=shape, gated=gated)


_FLUX1 = Shape(transformer=11.9, text=4.9, codec=0.084, width=3072, double_blocks=19, single_blocks=38)
_KLEIN4 = Shape(transformer=3.88, text=4.02, codec=0.084, width=3072, double_blocks=5, single_blocks=20)
_KLEIN9 = Shape(transformer=9.08, text=8.19, codec=0.084, width=4096, double_blocks=8, single_blocks=24)
_DEV2 = Shape(transformer=32.2, text=24.0, codec=0.084, width=6144, double_blocks=8, single_blocks=48)
_QWEN = Shape(transformer=20.4, text=8.29, codec=0.127, width=3072, double_blocks=60, single_blocks=0, decoding=2750)
_QWEN21 = Shape(transformer=7.12, text=8.77, codec=0.338, width=4096, double_blocks=0, single_blocks=32, decoding=4200)
_SD35L = Shape(transformer=8.06, text=5.58, codec=0.084, width=2432, double_blocks=38, single_blocks=0)
_SD35M = Shape(transformer=2.24, text=5.58, codec=0.084, width=1536, double_blocks=24, single_blocks=0)

_BFL = "black-forest-labs/"
_SAI = "stabilityai/stable-diffusion-3.5-"
_FLUX2: dict[str, Any] = {"channels": 128, "licence": "FLUX Non-Commercial License"}
_KLEIN: dict[str, Any] = {"channels": 128, "steps": 4}
_KLEIN_BASE: dict[str, Any] = {"channels": 128, "steps": 50, "guidance": 4.0, "negative": ""}
_EDIT: dict[str, Any] = {"steps": 40, "guidance": 4.0, "negative": " ", "max_text_tokens": 1024, "gated": False}
_SD3: dict[str, Any] = {"max_text_tokens": 256, "negative": "", "licence": "Stability AI Community License"}
_9B: dict[str, Any] = _FLUX2 | _KLEIN
_BASE_9B: dict[str, Any] = _FLUX2 | _KLEIN_BASE
# Guidance above 1 takes a second pass; the authors advise none.
_MADE_AND_EDITED: dict[str, Any] = _EDIT | {"guidance": 1.0}
_TURBO: dict[str, Any] = _SD3 | {"negative": None}

CHECKPOINTS: tuple[Checkpoint, ...] = (
    _known(_BFL + "FLUX.1-dev", "flux1", "FluxPipeline", _REPAINT, _FLUX1, guidance=3.5, licence=_DEV),
    _known(_BFL + "FLUX.1-schnell", "flux1", "FluxPipeline", _REPAINT, _FLUX1, steps=4, max_text_tokens=256),
    _known(
        _BFL + "FLUX.1-Fill-dev",
        "flux1-fill",
        "FluxFillPipeline",
        (Conditioning.FILL,),
        _FLUX1,
        steps=50,
        guidance=30.0,
        licence=_DEV,
    ),
    _known(
        _BFL + "FLUX.1-Kontext-dev", "kontext", "FluxKontextPipeline", _REFERENCE, _FLUX1, guidance=2.5, licence=_DEV
    ),
    _known(_BFL + "FLUX.2-dev", "flux2", "Flux2Pipeline", _BOTH, _DEV2, guidance=4.0, **_FLUX2),
    _known(_BFL + "FLUX.2-klein-4B", "flux2", "Flux2KleinPipeline", _BOTH, _KLEIN4, gated=False, **_KLEIN),
    _known(_BFL + "FLUX.2-klein-base-4B", "flux2", "Flux2KleinPipeline", _BOTH, _KLEIN4, gated=False, **_KLEIN_BASE),
    _known(_BFL + "FLUX.2-klein-9B", "flux2", "Flux2KleinPipeline", _BOTH, _KLEIN9, **_9B),
    _known(_BFL + "FLUX.2-klein-base-9B", "flux2", "Flux2KleinPipeline", _BOTH, _KLEIN9, **_BASE_9B),
    _known(_BFL + "FLUX.2-klein-9b-kv", "flux2-kv", "Flux2KleinKVPipeline", _BOTH, _KLEIN9, **_9B),
    _known("Qwen/Qwen-Image-Edit-2509", "qwen", "QwenImageEditPlusPipeline", _REFERENCE, _QWEN, **_EDIT),
    _known("Qwen/Qwen-Image-Edit-2511", "qwen", "QwenImageEditPlusPipeline", _REFERENCE, _QWEN, **_EDIT),
    _known(
        "Qwen/Qwen-Image-2.1",
        "qwen21",
        "QwenImage21Pipeline",
        _REFERENCE,
        _QWEN21,
        factor=32,
        channels=256,
        licence="Qwen Research License",
        **_MADE_AND_EDITED,
    ),
    _known(_SAI + "large", "sd3", "StableDiffusion3Pipeline", _REPAINT, _SD35L, guidance=3.5, **_SD3),
    _known(_SAI + "large-turbo", "sd3", "StableDiffusion3Pipeline", _REPAINT, _SD35L, steps=4, **_TURBO),
    _known(_SAI + "medium", "sd3", "StableDiffusion3Pipeline", _REPAINT, _SD35M, steps=40, guidance=4.5, **_SD3),
)


def find_checkpoint(name: str) -> Checkpoint | None:
    """By its name on the Hub, or the part of it after the slash; case-insensitive."""
    asked = name.lower().rstrip("/")
    for checkpoint in CHECKPOINTS:
        known = checkpoint.card.name.lower()
        if asked in (known, known.rpartition("/")[2]):
            return checkpoint
    return None
