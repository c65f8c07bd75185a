"""Page sets to and from the formats of other trainers, each in a file of its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from triptych.data.interchange import ai_toolkit, ic_lora, parquet, tables
from triptych.errors import PageError
from triptych.page import Page

__all__ = ["FORMATS", "Format", "find_format"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write pages for another tool, and to read them back."""

    name: str
    description: str
    write: Callable[[Iterable[Page], Path], None]
    read: Callable[[Path], list[Page]]
    keeps_pages: bool = False
    """True where whole pages come back; otherwise one page a slot, its conditions as `edit`."""


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            name="ic-lora",
            description="stitched pictures with .txt prompts (IC-LoRA, any text-to-image trainer)",
            write=ic_lora.write,
            read=ic_lora.read,
            keeps_pages=True,
        ),
        Format(
            name="ai-toolkit",
            description="targets with .txt captions and a control folder for each condition",
            write=ai_toolkit.write,
            read=ai_toolkit.read,
        ),
        Format(
            name="musubi",
            description="JSONL with image_path, caption, control_path_N",
            write=tables.MUSUBI.write,
            read=tables.MUSUBI.read,
        ),
        Format(
            name="diffusers",
            description="image folder with image, cond_image and text columns",
            write=tables.DIFFUSERS.write,
            read=tables.DIFFUSERS.read,
        ),
        Format(
            name="omnigen2",
            description="JSONL with instruction, input_images, output_image",
            write=tables.OMNIGEN2.write,
            read=tables.OMNIGEN2.read,
        ),
        Format(
            name="easycontrol",
            description="JSONL with source, caption, target (and source_2...)",
            write=tables.EASYCONTROL.write,
            read=tables.EASYCONTROL.read,
        ),
        Format(
            name="diffsynth",
            description="JSONL with image, prompt, edit_image",
            write=tables.DIFFSYNTH.write,
            read=tables.DIFFSYNTH.read,
        ),
        Format(
            name="diffsynth-kontext",
            description="the same with kontext_images",
            write=tables.DIFFSYNTH_KONTEXT.write,
            read=tables.DIFFSYNTH_KONTEXT.read,
        ),
        Format(
            name="parquet",
            description="Hugging Face data set with a data card",
            write=parquet.write,
            read=parquet.read,
            keeps_pages=True,
        ),
    )
}


def find_format(name: str) -> Format:
    """A format by name. Raises PageError listing all."""
    if name not in FORMATS:
        raise PageError(f"no format {name!r}; choose one of {', '.join(FORMATS)}.")
    return FORMATS[name]
