"""Picture sets the pocket backbone is trained and measured on: memory-mapped arrays of objects by style.

A sprite is one object drawn in one style: 128x128 RGBA, straight alpha. Objects join across styles by their Unicode
or icon name.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from triptych.errors import SourceError

__all__ = ["EVALUATION_STYLES", "SPRITE_PX", "STYLES", "SpriteSource", "Style", "is_held_out"]

SPRITE_PX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One way of drawing: `words` name it in instructions; `family` groups styles that share objects."""

    name: str
    family: str
    hand: str
    """Styles of one hand draw an object with the same outlines, so that one can be told from the other."""
    package: str
    """The npm package it is drawn from."""
    words: tuple[str, ...]
    suffix: str = ""
    """The end of the names in the package that are of this style."""
    ink: bool = False
    """True for single-colour drawings, which may be recoloured."""


def _styles() -> dict[str, Style]:
    table = yaml.safe_load((files("triptych.data") / "styles.yaml").read_text(encoding="utf-8"))
    return {row["name"]: Style(**row | {"words": tuple(row["words"])}) for row in table}


STYLES = _styles()

EVALUATION_STYLES = frozenset({"twemoji", "tabler"})
"""Never trained on: the whole families that measure how far a style carries to sets never seen."""


@cache
def is_held_out(name: str) -> bool:
    """True for the tenth of all object names kept for evaluation; the same in every set and style."""
    return hashlib.sha256(f"triptych:{name}".encode()).digest()[0] < 26


@dataclass(frozen=True)
class SpriteSource:
    """Rendered sprites in a folder of `<style>.npy` and `<style>.json`; arrays stay on disk."""

    folder: Path

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Object names of each style, sorted."""
        files = sorted(self.folder.glob("*.json"))
        found = {path.stem: tuple(json.loads(path.read_text(encoding="utf-8"))) for path in files}
        if not found:
            raise SourceError(f"no sprites in {self.folder}; run `triptych pocket sprites --out {self.folder}` first.")
        return {name: found[name] for name in STYLES if name in found}

    @cached_property
    def _rows(self) -> dict[str, dict[str, int]]:
        return {style: {name: row for row, name in enumerate(names)} for style, names in self.names.items()}

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {style: np.load(self.folder / f"{style}.npy", mmap_mode="r") for style in self.names}

    def has(self, style: str, name: str) -> bool:
        return name in self._rows.get(style, {})

    def sprite(self, style: str, name: str) -> Image.Image:
        """One object in one style: 128x128 RGBA."""
        try:
            row = self._rows[style][name]
        except KeyError:
            raise SourceError(
                f"no sprite of {name!r} in style {style!r}; styles here: {', '.join(self.names)}."
            ) from None
        return Image.fromarray(np.asarray(self._arrays[style][row]), "RGBA")
