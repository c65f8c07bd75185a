"""The three ways for conditions to enter a backbone, by name; see DESIGN, section 3."""

from enum import StrEnum

__all__ = ["Conditioning"]


class Conditioning(StrEnum):
    """How conditions enter."""

    REPAINT = "repaint"
    FILL = "fill"
    REFERENCE = "reference"
