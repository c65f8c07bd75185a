"""Page sets to and from the formats of other trainers, each in a file of its own."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from PIL.Image import Image

from triptych.data.datacard import DataCard
from triptych.data.interchange import ai_toolkit, ic_lora, kohya, layers, parquet, tables
from triptych.data.interchange.losses import Holding, noting_losses
from triptych.data.lazy import LazyPages
from triptych.errors import OutputError, PageError, TriptychError
from triptych.images import opaque
from triptych.page import Page

__all__ = ["FORMATS", "Format", "Holding", "find_format", "read_back"]

_OF_A_SLOT = frozenset({Holding.SLOT_WORDS, Holding.ALPHA})
_OF_LAYERS = frozenset({Holding.SLOTS, Holding.ALPHA})
_OF_A_PAGE = frozenset(Holding) - {Holding.REJECTED, Holding.SIZES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write pages for another tool, and to read them back."""

    name: str
    description: str
    writer: Callable[..., None]
    """Of pages to a folder, and where `takes_card`, with a `card`."""
    read: Callable[..., LazyPages]
    """From a folder, and where `takes_wording`, a `Wording` or None."""
    keeps: frozenset[Holding] = _OF_A_SLOT
    """What comes back besides pictures, overview and the words of slots."""
    takes_wording: bool = False
    """Whether texts lie beside the pictures, so that they may be in any encoding, or missing."""
    takes_card: bool = False
    """Whether a data card is written."""

    @property
    def keeps_pages(self) -> bool:
        """True where whole pages come back; otherwise their conditions come as `edit`."""
        return Holding.ROLES in self.keeps

    def write(self, pages: Iterable[Page], folder: Path, *, card: DataCard | None = None) -> None:
        """Write the pages to a new folder; what they hold and the format does not keep is named in the log.

        Raises PageError for pages that the format cannot hold at all, and for a card where it takes none.
        """
        if card is not None and not self.takes_card:
            raise PageError(f"the format {self.name} has no data card. Leave the card out, or export to parquet.")
        noted = noting_losses(pages, self.keeps, folder, self.name)
        if self.takes_card:
            self.writer(noted, folder, card=card)
        else:
            self.writer(noted, folder)


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            name="ic-lora",
            description="stitched pictures with .txt prompts (IC-LoRA, any text-to-image trainer)",
            writer=ic_lora.write,
            read=ic_lora.read,
            keeps=_OF_A_PAGE - {Holding.ALPHA},
        ),
        Format(
            name="ai-toolkit",
            description="targets with .txt captions and a control folder for each condition",
            writer=ai_toolkit.write,
            read=ai_toolkit.read,
            takes_wording=True,
        ),
        Format(
            name="musubi",
            description="JSONL with image_path, caption, control_path_N",
            writer=tables.MUSUBI.write,
            read=tables.MUSUBI.read,
        ),
        Format(
            name="musubi-layers",
            description="the same with multiple_target: one condition, image_path_1... for the slots",
            writer=layers.write,
            read=layers.read,
            keeps=_OF_LAYERS,
            takes_wording=True,
        ),
        Format(
            name="kohya",
            description="folders like 10_name, or a dataset TOML, with .txt or .caption texts",
            writer=kohya.write,
            read=kohya.read,
            takes_wording=True,
        ),
        Format(
            name="diffusers",
            description="image folder with image, cond_image and text columns",
            writer=tables.DIFFUSERS.write,
            read=tables.DIFFUSERS.read,
        ),
        Format(
            name="omnigen2",
            description="JSONL with instruction, input_images, output_image",
            writer=tables.OMNIGEN2.write,
            read=tables.OMNIGEN2.read,
        ),
        Format(
            name="easycontrol",
            description="JSONL with source, caption, target (and source_2...)",
            writer=tables.EASYCONTROL.write,
            read=tables.EASYCONTROL.read,
        ),
        Format(
            name="diffsynth",
            description="JSONL with image, prompt, edit_image",
            writer=tables.DIFFSYNTH.write,
            read=tables.DIFFSYNTH.read,
        ),
        Format(
            name="diffsynth-kontext",
            description="the same with kontext_images",
            writer=tables.DIFFSYNTH_KONTEXT.write,
            read=tables.DIFFSYNTH_KONTEXT.read,
        ),
        Format(
            name="parquet",
            description="Hugging Face data set with a data card",
            writer=parquet.write,
            read=parquet.read,
            keeps=_OF_A_PAGE,
            takes_card=True,
        ),
    )
}


def find_format(name: str) -> Format:
    """A format by name. Raises PageError listing all."""
    if name not in FORMATS:
        raise PageError(f"no format {name!r}; choose one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def read_back(entry: Format, pages: Iterable[Page], folder: Path) -> None:
    """Read what was written to `folder` and compare it with `pages`, picture by picture, as far as the format can hold.

    Raises OutputError, and removes the folder, where something does not come back.
    """
    try:
        for number, (wrote, found) in enumerate(zip_longest(_answers(pages), _answers(entry.read(folder))), 1):
            if wrote is not None and Holding.ALPHA not in entry.keeps:
                wrote = opaque(wrote)
            if wrote is None or found is None or wrote.size != found.size or wrote.tobytes() != found.tobytes():
                raise OutputError(f"answer {number} does not come back as it was written.")
    except TriptychError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OutputError(f"{folder} in format {entry.name} cannot be read back, and was removed: {error}") from error


def _answers(pages: Iterable[Page]) -> Iterator[Image]:
    for page in pages:
        yield from (panel.answer for panel in page.slots if panel.answer is not None)
