"""LoRA keys of other programs: read and written, completely or not at all."""

from triptych.models.keyformats.reading import Report, inspect_lora, read_lora
from triptych.models.keyformats.writing import KeyFormat, exported, save_exported

__all__ = ["KeyFormat", "Report", "exported", "inspect_lora", "read_lora", "save_exported"]
