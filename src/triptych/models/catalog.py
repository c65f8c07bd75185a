"""The families of backbones, and the checkpoints known by name."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from triptych.errors import BackboneError
from triptych.files import read_json
from triptych.models.backbone import Card
from triptych.models.family import Checkpoint, Family, Shape
from triptych.models.flux1.family import FLUX1, FLUX1_FILL, KONTEXT
from triptych.models.flux2.family import FLUX2, FLUX2_KV
from triptych.models.flux3.family import FLUX3
from triptych.models.glm_image.family import GLM_IMAGE
from triptych.models.modular import INDEX, MODULAR_INDEX, plain_index
from triptych.models.pocket.backbone import pocket_card
from triptych.models.pocket.family import POCKET
from triptych.models.pocket.files import pocket_config
from triptych.models.qwen.family import QWEN
from triptych.models.qwen21.family import QWEN21
from triptych.models.qwen_layered.family import QWEN_LAYERED
from triptych.models.sd3.family import SD3_5
from triptych.models.z_image.family import Z_IMAGE_OMNI

__all__ = [
    "CHECKPOINTS",
    "FAMILIES",
    "SHIPPED",
    "Checkpoint",
    "Family",
    "Shape",
    "card_alike",
    "family_of_pipeline",
    "find_checkpoint",
    "find_family",
    "find_known",
    "find_shipped",
    "known_card",
    "read_index",
    "recognise",
    "split_file",
]

FAMILIES: tuple[Family, ...] = (
    POCKET,
    FLUX1,
    FLUX1_FILL,
    KONTEXT,
    FLUX2,
    FLUX2_KV,
    FLUX3,
    GLM_IMAGE,
    QWEN,
    QWEN21,
    QWEN_LAYERED,
    SD3_5,
    Z_IMAGE_OMNI,
)
"""A new family is one folder beside these, and one name here."""

CHECKPOINTS: tuple[Checkpoint, ...] = tuple(
    checkpoint for family in FAMILIES if family.pipelines for checkpoint in family.checkpoints
)
"""Those on the Hub."""
SHIPPED: tuple[Checkpoint, ...] = POCKET.checkpoints
"""Those inside the package."""


def find_family(name: str) -> Family | None:
    """By its name, as cards and skills have it."""
    return next((family for family in FAMILIES if family.name == name), None)


def family_of_pipeline(pipeline: str) -> Family | None:
    """By the class that `model_index.json` names."""
    return next((family for family in FAMILIES if pipeline in family.pipelines), None)


def find_checkpoint(name: str) -> Checkpoint | None:
    """By its name on the Hub, or the part of it after the slash; case-insensitive."""
    asked = name.lower().rstrip("/")
    for checkpoint in CHECKPOINTS:
        known = checkpoint.card.name.lower()
        if asked in (known, known.rpartition("/")[2]):
            return checkpoint
    return None


def find_known(name: str) -> Checkpoint | None:
    """What is loaded by `name`: one that ships inside the package, one on the Hub as in `find_checkpoint`, or what is
    recognised in a folder, its own or that of `FILE@BASE`."""
    _, base = split_file(name)
    folder = Path(base or name).expanduser()
    return find_shipped(name) or (recognise(folder) if folder.is_dir() else find_checkpoint(base or name))


def recognise(folder: Path) -> Checkpoint | None:
    """The known checkpoint in a folder, by its name or by that of the Hub's cache around it (`models--OWNER--NAME`)."""
    resolved = folder.resolve()
    names = [folder.name, *(part.rpartition("--")[2] for part in resolved.parts if part.startswith("models--"))]
    return next((known for name in names if (known := find_checkpoint(name)) is not None), None)


def split_file(name: str) -> tuple[Path, str | None]:
    """`FILE@BASE` as the file and its base; anything else is a path without one."""
    file, _, base = name.partition("@")
    path = Path(name).expanduser()
    if base and not path.exists() and Path(file).expanduser().is_file():
        return Path(file).expanduser(), base
    return path, None


def find_shipped(name: str) -> Checkpoint | None:
    """One that ships inside the package, by its name."""
    return next((each for each in SHIPPED if each.card.name == name), None)


def known_card(name: str) -> Card | None:
    """What is known of a backbone before its weights are read: of a checkpoint by name, of a pocket's file, or of a
    folder of one's own, or that of `FILE@BASE`."""
    path = Path(name).expanduser()
    if path.is_file():
        with suppress(BackboneError):
            return pocket_card(pocket_config(path))
        return None
    if (known := find_known(name)) is not None:
        return known.card
    folder = Path(split_file(name)[1] or name).expanduser()
    with suppress(BackboneError):
        return _card_in(folder) if folder.is_dir() else None
    return None


def _card_in(folder: Path) -> Card | None:
    index = read_index(folder)
    family = family_of_pipeline(index.get("_class_name", ""))
    if family is None:
        return None
    config = folder / "transformer" / "config.json"
    read = read_json(config, error=BackboneError) if config.is_file() else {}
    return card_alike(family, index, read, str(folder))


def read_index(folder: Path) -> Mapping[str, Any]:
    """What a folder says of its pipeline and parts. Raises BackboneError where it says nothing."""
    for name in (INDEX, MODULAR_INDEX):
        if (folder / name).is_file():
            return plain_index(read_json(folder / name, error=BackboneError))
    raise BackboneError(
        f"{folder} has no {INDEX} and no {MODULAR_INDEX}, so it is not a checkpoint of diffusers. Give its folder, or "
        "a single safetensors file with LoadOptions(base=...)."
    )


def card_alike(family: Family, index: Mapping[str, Any], transformer: Mapping[str, Any], name: str) -> Card:
    """The card of a checkpoint that is not in the catalogue: that of its kin, with its own name and no promises."""
    kin = [each.card for each in family.checkpoints if each.pipeline == index["_class_name"]]
    card = next((each for each in kin if family.resembles(each, index, transformer)), kin[0])
    return replace(card, name=name, licence="see the card of the checkpoint")
