"""Which files ComfyUI loads for a backbone: the names under which their makers publish them."""

from dataclasses import dataclass

from triptych.errors import BackboneError
from triptych.models.backbone import Card
from triptych.models.catalog import CHECKPOINTS, find_known

__all__ = ["FAMILIES", "Files", "card_for", "files_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """File names in ComfyUI's folders `diffusion_models`, `text_encoders` and `vae`."""

    transformer: str
    encoders: tuple[str, ...]
    kind: str
    """What the node that loads text encoders calls their kind."""
    codec: str


def _flux1(transformer: str) -> Files:
    encoders = ("clip_l.safetensors", "t5xxl_fp16.safetensors")
    return Files(transformer=transformer, encoders=encoders, kind="flux", codec="ae.safetensors")


def _flux2(transformer: str, encoder: str) -> Files:
    return Files(transformer=transformer, encoders=(encoder,), kind="flux2", codec="flux2-vae.safetensors")


_QWEN4, _QWEN8 = "qwen_3_4b.safetensors", "qwen_3_8b.safetensors"
_BY_NAME = {
    "flux.1-dev": _flux1("flux1-dev.safetensors"),
    "flux.1-schnell": _flux1("flux1-schnell.safetensors"),
    "flux.1-fill-dev": _flux1("flux1-fill-dev.safetensors"),
    "flux.1-kontext-dev": _flux1("flux1-kontext-dev.safetensors"),
    "flux.2-dev": _flux2("flux2-dev.safetensors", "mistral_3_small_flux2_bf16.safetensors"),
    "flux.2-klein-4b": _flux2("flux-2-klein-4b.safetensors", _QWEN4),
    "flux.2-klein-base-4b": _flux2("flux-2-klein-base-4b.safetensors", _QWEN4),
    "flux.2-klein-9b": _flux2("flux-2-klein-9b.safetensors", _QWEN8),
    "flux.2-klein-base-9b": _flux2("flux-2-klein-base-9b.safetensors", _QWEN8),
}
_BY_FAMILY = {
    "flux1": "flux.1-dev",
    "flux1-fill": "flux.1-fill-dev",
    "kontext": "flux.1-kontext-dev",
    "flux2": "flux.2-dev",
}


FAMILIES = tuple(_BY_FAMILY)
"""Families of backbones for which there are workflows."""


def files_of(card: Card) -> Files:
    """The files of a backbone, or of its family where the name is not known. Raises BackboneError for others."""
    if card.family not in _BY_FAMILY:
        raise BackboneError(
            f"{card.name} is of the family {card.family}, for which there is no workflow of ComfyUI. "
            f"There are workflows for {', '.join(FAMILIES)}; name a backbone of these with --backbone."
        )
    return _BY_NAME.get(card.name.lower().rpartition("/")[2]) or _BY_NAME[_BY_FAMILY[card.family]]


def card_for(backbone: str, family: str = "") -> Card:
    """What is known of a backbone by its name, or else, for a folder or file of one's own, of its family.

    Raises BackboneError for one of which nothing is known.
    """
    if (known := find_known(backbone)) is not None:
        return known.card
    kin = next((checkpoint.card for checkpoint in CHECKPOINTS if checkpoint.card.family == family), None)
    if kin is None:
        raise BackboneError(
            f"{backbone!r} is not known by name, so no workflow can be written for it. Name a model that ComfyUI loads "
            "with --backbone, such as FLUX.2-klein-4B; `triptych models` lists what is known."
        )
    return kin
