"""Where the words of the user's own pictures come from: text files beside them, a template, a captioner."""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from triptych.data.captioning import Captioner
from triptych.data.folders import SUFFIXES, is_of_the_system, some, spellings
from triptych.errors import SourceError
from triptych.files import read_text

__all__ = ["CAPTIONS", "Labels", "Wording"]

CAPTIONS = (".txt", ".caption")
"""Endings of caption files."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Where instructions come from, in this order: text files, `template`, `captioner`; empty without any.

    In the template `{name}` stands for the file's name in words: `"the same {name} at night"`. Text files are read in
    `encoding`, or else as what they seem to be.
    """

    template: str = ""
    captioner: Captioner | None = None
    encoding: str | None = None
    endings: tuple[str, ...] = CAPTIONS

    def read(self, path: Path) -> str:
        """The words of a text file in one line."""
        text = read_text(path, encoding=self.encoding, any_encoding=True, error=SourceError)
        return " ".join(text.split())

    def beside(self, picture: Path) -> Path | None:
        """The text file of a picture, with its name and one of the endings."""
        return self.named(picture.parent, picture.stem)

    def named(self, folder: Path, stem: str) -> Path | None:
        """The text file `stem` and an ending."""
        endings = (spelt for ending in self.endings for spelt in (ending, ending.upper()))
        files = (folder / f"{name}{ending}" for ending in endings for name in spellings(stem))
        return next((file for file in files if file.is_file()), None)


class Labels:
    """The words of one import: which files were read for them, and which pages have none."""

    def __init__(self, wording: Wording) -> None:
        self.wording = wording
        self.used: set[Path] = set()
        self.unlabelled: list[str] = []

    def of_file(self, path: Path | None) -> str:
        """What a text file says; empty without one."""
        if path is None:
            return ""
        self.used.add(path)
        return self.wording.read(path)

    def of(
        self, paths: Iterable[Path | None], stem: str, pictures: Callable[[], tuple[Image.Image, ...]]
    ) -> Callable[[], str]:
        """The words of one slot: of the first file that has any, or the template's, or later the captioner's."""
        wording = self.wording
        if words := next(filter(None, map(self.of_file, paths)), ""):
            return lambda: words
        if wording.template:
            words = wording.template.replace("{name}", re.sub(r"[-_]+", " ", stem).strip())
            return lambda: words
        if (captioner := wording.captioner) is not None:
            # A page may be asked for more than once, and a captioner costs time or money.
            return cache(lambda: captioner(pictures()))
        self.unlabelled.append(stem)
        return lambda: ""

    def note(self, *folders: Path) -> None:
        """Log what has no words, and the texts in `folders` that nothing was read from."""
        if self.unlabelled:
            _log.warning(
                "no words for %d of the slots: %s. Write them into %s, or give a template or a captioner.",
                len(self.unlabelled),
                some(self.unlabelled),
                f"{self.unlabelled[0]}{self.wording.endings[0]}",
            )
        for folder in folders:
            if left := self._left(folder):
                endings = ", ".join(self.wording.endings)
                _log.warning("%s: not read as captions (those end in %s): %s.", folder, endings, some(left))

    def _left(self, folder: Path) -> list[str]:
        """Files named as captions are, or as pictures of the folder are, that nothing was read from."""
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and not is_of_the_system(path)]
        stems = {path.stem for path in files if path.suffix.lower() in SUFFIXES}
        stems |= {stem.rpartition("_")[0] for stem in stems}
        others = [path for path in files if path.suffix.lower() not in SUFFIXES and path not in self.used]
        endings = self.wording.endings
        return [path.name for path in others if path.stem in stems or path.suffix.lower() in endings]
