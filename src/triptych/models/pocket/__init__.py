"""The small backbone that ships inside the package."""

from triptych.models.pocket.backbone import PocketBackbone, PocketConfig, PocketNetwork, pocket_card
from triptych.models.pocket.files import load_pocket, pocket_training, save_pocket

__all__ = [
    "PocketBackbone",
    "PocketConfig",
    "PocketNetwork",
    "load_pocket",
    "pocket_card",
    "pocket_training",
    "save_pocket",
]
