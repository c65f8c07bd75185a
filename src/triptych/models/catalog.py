"""The checkpoints that are known by name: what they can do, what they cost, and under which licence they come."""

from dataclasses import dataclass, replace

from triptych.models.backbone import Card, Conditioning

__all__ = ["CHECKPOINTS", "Checkpoint", "Shape", "find_checkpoint"]

_REPAINT = (Conditioning.REPAINT,)
_REFERENCE = (Conditioning.REFERENCE,)
_BOTH = (Conditioning.REFERENCE, Conditioning.REPAINT)
_DEV = "FLUX.1 [dev] Non-Commercial License"
_FLUX2 = "FLUX Non-Commercial License"
_APACHE = "Apache-2.0"
_QWEN_RESEARCH = "Qwen Research License"
_STABILITY = "Stability AI Community License"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes that memory and operations are computed from. Parameters in thousands of millions."""

    transformer: float
    text: float
    codec: float
    width: int
    double_blocks: int
    single_blocks: int

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


def _card(name: str, family: str, ways: tuple[Conditioning, ...], **facts: object) -> Card:
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
    return replace(first, **facts)


_FLUX1 = Shape(transformer=11.9, text=4.9, codec=0.084, width=3072, double_blocks=19, single_blocks=38)
_KLEIN4 = Shape(transformer=3.88, text=4.02, codec=0.084, width=3072, double_blocks=5, single_blocks=20)
_KLEIN9 = Shape(transformer=9.08, text=8.19, codec=0.084, width=4096, double_blocks=8, single_blocks=24)
_DEV2 = Shape(transformer=32.2, text=24.0, codec=0.084, width=6144, double_blocks=8, single_blocks=48)
_QWEN = Shape(transformer=20.4, text=8.29, codec=0.127, width=3072, double_blocks=60, single_blocks=0)
_QWEN21 = Shape(transformer=7.12, text=8.77, codec=0.338, width=4096, double_blocks=0, single_blocks=32)
_SD35L = Shape(transformer=8.06, text=5.58, codec=0.084, width=2432, double_blocks=38, single_blocks=0)
_SD35M = Shape(transformer=2.24, text=5.58, codec=0.084, width=1536, double_blocks=24, single_blocks=0)

_BFL = "black-forest-labs/"
_GUIDED2 = {"channels": 128, "steps": 50, "guidance": 4.0, "negative": ""}

CHECKPOINTS: tuple[Checkpoint, ...] = (
    Checkpoint(
        card=_card(_BFL + "FLUX.1-dev", "flux1", _REPAINT, guidance=3.5, licence=_DEV),
        pipeline="FluxPipeline",
        shape=_FLUX1,
        gated=True,
    ),
    Checkpoint(
        card=_card(_BFL + "FLUX.1-schnell", "flux1", _REPAINT, steps=4, max_text_tokens=256),
        pipeline="FluxPipeline",
        shape=_FLUX1,
        gated=True,
    ),
    Checkpoint(
        card=_card(_BFL + "FLUX.1-Fill-dev", "flux1-fill", (Conditioning.FILL,), steps=50, guidance=30.0, licence=_DEV),
        pipeline="FluxFillPipeline",
        shape=_FLUX1,
        gated=True,
    ),
    Checkpoint(
        card=_card(_BFL + "FLUX.1-Kontext-dev", "kontext", _REFERENCE, guidance=2.5, licence=_DEV),
        pipeline="FluxKontextPipeline",
        shape=_FLUX1,
        gated=True,
    ),
    Checkpoint(
        card=_card(_BFL + "FLUX.2-dev", "flux2", _BOTH, channels=128, guidance=4.0, licence=_FLUX2),
        pipeline="Flux2Pipeline",
        shape=_DEV2,
        gated=True,
    ),
    Checkpoint(
        card=_card(_BFL + "FLUX.2-klein-4B", "flux2", _BOTH, channels=128, steps=4),
        pipeline="Flux2KleinPipeline",
        shape=_KLEIN4,
        gated=False,
    ),
    Checkpoint(
        card=_card(_BFL + "FLUX.2-klein-base-4B", "flux2", _BOTH, **_GUIDED2),
        pipeline="Flux2KleinPipeline",
        shape=_KLEIN4,
        gated=False,
    ),
    Checkpoint(
        card=_card(_BFL + "FLUX.2-klein-9B", "flux2", _BOTH, channels=128, steps=4, licence=_FLUX2),
        pipeline="Flux2KleinPipeline",
        shape=_KLEIN9,
        gated=True,
    ),
    Checkpoint(
        card=_card(_BFL + "FLUX.2-klein-base-9B", "flux2", _BOTH, licence=_FLUX2, **_GUIDED2),
        pipeline="Flux2KleinPipeline",
        shape=_KLEIN9,
        gated=True,
    ),
    Checkpoint(
        card=_card(_BFL + "FLUX.2-klein-9b-kv", "flux2-kv", _BOTH, channels=128, steps=4, licence=_FLUX2),
        pipeline="Flux2KleinKVPipeline",
        shape=_KLEIN9,
        gated=True,
    ),
    Checkpoint(
        card=_card(
            "Qwen/Qwen-Image-Edit-2509", "qwen", _REFERENCE, steps=40, guidance=4.0, negative=" ", max_text_tokens=1024
        ),
        pipeline="QwenImageEditPlusPipeline",
        shape=_QWEN,
        gated=False,
    ),
    Checkpoint(
        card=_card(
            "Qwen/Qwen-Image-Edit-2511", "qwen", _REFERENCE, steps=40, guidance=4.0, negative=" ", max_text_tokens=1024
        ),
        pipeline="QwenImageEditPlusPipeline",
        shape=_QWEN,
        gated=False,
    ),
    Checkpoint(
        card=_card(
            "Qwen/Qwen-Image-2.1",
            "qwen21",
            _REFERENCE,
            factor=32,
            channels=256,
            steps=40,
            guidance=1.0,
            negative=" ",
            max_text_tokens=1024,
            licence=_QWEN_RESEARCH,
        ),
        pipeline="QwenImage21Pipeline",
        shape=_QWEN21,
        gated=False,
    ),
    Checkpoint(
        card=_card(
            "stabilityai/stable-diffusion-3.5-large",
            "sd3",
            _REPAINT,
            guidance=3.5,
            negative="",
            max_text_tokens=256,
            licence=_STABILITY,
        ),
        pipeline="StableDiffusion3Pipeline",
        shape=_SD35L,
        gated=True,
    ),
    Checkpoint(
        card=_card(
            "stabilityai/stable-diffusion-3.5-large-turbo",
            "sd3",
            _REPAINT,
            steps=4,
            max_text_tokens=256,
            licence=_STABILITY,
        ),
        pipeline="StableDiffusion3Pipeline",
        shape=_SD35L,
        gated=True,
    ),
    Checkpoint(
        card=_card(
            "stabilityai/stable-diffusion-3.5-medium",
            "sd3",
            _REPAINT,
            steps=40,
            guidance=4.5,
            negative="",
            max_text_tokens=256,
            licence=_STABILITY,
        ),
        pipeline="StableDiffusion3Pipeline",
        shape=_SD35M,
        gated=True,
    ),
)


def find_checkpoint(name: str) -> Checkpoint | None:
    """By its name on the Hub, or the part of it after the slash; case is not minded."""
    asked = name.lower().rstrip("/")
    for checkpoint in CHECKPOINTS:
        known = checkpoint.card.name.lower()
        if asked in (known, known.rpartition("/")[2]):
            return checkpoint
    return None
