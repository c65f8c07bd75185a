"""`--source`: what rules draw from, by name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli.options import sprite_folder
from triptych.errors import SourceError

if TYPE_CHECKING:
    from triptych.data.sources import Source

__all__ = ["SourceName", "find_source"]

SourceName = Annotated[
    str, typer.Option("--source", metavar="shapes|sprites|DIR", help="What rules draw from; DIR holds your pictures.")
]


def find_source(name: str) -> "Source":
    """Drawn shapes, rendered sprites, or a folder of the user's pictures (or of rendered sprites)."""
    from triptych.data.sources import FolderSource, ShapeSource, SpriteScenes
    from triptych.data.sprites import SpriteSource

    if name == "shapes":
        return ShapeSource()
    folder = sprite_folder(None) if name == "sprites" else Path(name)
    if not folder.is_dir():
        hint = "run `triptych pocket sprites` first" if name == "sprites" else "name shapes, sprites or a folder"
        raise SourceError(f"no pictures to draw from: {folder} is not a folder; {hint}.")
    if any(folder.glob("*.npy")):
        return SpriteScenes(SpriteSource(folder))
    return FolderSource(folder=folder)
