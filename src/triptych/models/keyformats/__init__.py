"""LoRA keys of other programs: read and written, completely or not at all."""

from triptych.models.keyformats.reading import Report, inspect_lora, read_lora
from triptych.models.keyformats.writing import (
    KeyFormat,
    advice,
    check_kin,
    exported,
    exported_file,
    save_exported,
)

__all__ = [
    "KeyFormat",
    "Report",
    "advice",
    "check_kin",
    "exported",
    "exported_file",
    "inspect_lora",
    "read_lora",
    "save_exported",
]
