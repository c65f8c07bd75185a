"""The small backbone that ships inside the package."""

from triptych.models.pocket.backbone import (
    PocketBackbone,
    PocketConfig,
    PocketNetwork,
    load_pocket,
    pocket_card,
    save_pocket,
)

__all__ = ["PocketBackbone", "PocketConfig", "PocketNetwork", "load_pocket", "pocket_card", "save_pocket"]
