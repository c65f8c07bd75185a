"""Page sets to and from the formats of other trainers, each in a file of its own."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from PIL.Image import Image

from triptych.data.interchange import ai_toolkit, ic_lora, kohya, layers, parquet, tables
from triptych.data.lazy import LazyPages
from triptych.errors import OutputError, PageError, TriptychError
from triptych.page import Page

__all__ = ["FORMATS", "Format", "find_format", "read_back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write pages for another tool, and to read them back."""

    name: str
    description: str
    write: Callable[[Iterable[Page], Path], None]
    read: Callable[..., LazyPages]
    """From a folder, and where `takes_wording`, a `Wording` or None."""
    keeps_pages: bool = False
    """True where whole pages come back; otherwise one page a slot, its conditions as `edit`."""
    takes_wording: bool = False
    """Whether texts lie beside the pictures, so that they may be in any encoding, or missing."""


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
            takes_wording=True,
        ),
        Format(
            name="musubi",
            description="JSONL with image_path, caption, control_path_N",
            write=tables.MUSUBI.write,
            read=tables.MUSUBI.read,
        ),
        Format(
            name="musubi-layers",
            description="the same with multiple_target: one condition, image_path_1... for the slots",
            write=layers.write,
            read=layers.read,
            takes_wording=True,
        ),
        Format(
            name="kohya",
            description="folders like 10_name, or a dataset TOML, with .txt or .caption texts",
            write=kohya.write,
            read=kohya.read,
            takes_wording=True,
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


def read_back(entry: Format, pages: Iterable[Page], folder: Path) -> None:
    """Read what was written to `folder` and compare it with `pages`, picture by picture.

    Raises OutputError, and removes the folder, where something does not come back.
    """
    try:
        for number, (wrote, found) in enumerate(zip_longest(_answers(pages), _answers(entry.read(folder))), 1):
            if wrote is None or found is None or wrote.size != found.size or wrote.tobytes() != found.tobytes():
                raise OutputError(f"answer {number} does not come back as it was written.")
    except TriptychError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OutputError(f"{folder} in format {entry.name} cannot be read back, and was removed: {error}") from error


def _answers(pages: Iterable[Page]) -> Iterator[Image]:
    for page in pages:
        yield from (panel.answer for panel in page.slots if panel.answer is not None)
