"""Data cards: the README of a page set, with the header that the Hugging Face Hub reads."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from triptych.data.sources import FolderSource, ShapeSource, Source, SpriteScenes
from triptych.page import Page

__all__ = ["DataCard", "PageCount", "provenance"]

_SET_LICENCES: Mapping[str, tuple[str, str]] = {
    "noto": ("Noto Emoji, Copyright Google LLC", "Apache-2.0"),
    "fluent-emoji": ("Fluent Emoji, Copyright Microsoft Corporation", "MIT"),
    "ph": ("Phosphor Icons, Copyright Phosphor Icons", "MIT"),
    "icon-park": ("IconPark, Copyright ByteDance", "Apache-2.0"),
    "twemoji": ("Twemoji, Copyright Twitter, Inc and other contributors", "CC-BY-4.0"),
    "tabler": ("Tabler Icons, Copyright Pawel Kuna", "MIT"),
}
"""Picture sets by the beginning of their styles' names."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**9, "100K<n<1M"))


@dataclass(slots=True)
class PageCount:
    """What a card says of its pages, counted as they go by."""

    pages: int = 0
    slots: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    sizes_px: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, page: Page) -> None:
        self.pages += 1
        self.slots += len(page.slots)
        self.rules[page.rule or "none"] += 1
        self.sizes_px.update(panel.picture.size for panel in page.panels if panel.picture is not None)

    @classmethod
    def of(cls, pages: Iterable[Page]) -> "PageCount":
        count = cls()
        for page in pages:
            count.add(page)
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """Where the pages come from: what a reader must know before using them."""

    title: str = "Pages for in-context image generation"
    license: str = "other"
    sources: Mapping[str, str] | None = None
    """Name (and version) of each picture source, and its licence."""
    rule: str | None = None
    seed: int | None = None
    versions: Mapping[str, str] | None = None
    """Programs that made the pages."""
    command: str | None = None
    """What makes the same bytes again."""

    def text(self, count: PageCount, *, data_files: str | None = None) -> str:
        """The README. `data_files` is the pattern of the Hub's viewer, None where it finds the files itself."""
        header: dict[str, Any] = {
            "license": self.license,
            "pretty_name": self.title,
            "task_categories": ["image-to-image"],
            "tags": ["in-context-learning", "image-generation", "triptych"],
            "size_categories": [next(words for most, words in _SIZES if count.pages < most)],
        }
        if data_files is not None:
            header["configs"] = [{"config_name": "default", "data_files": data_files}]
        facts = [("pages", str(count.pages)), ("pictures that are answers", str(count.slots))]
        facts += [("rule", f"{rule}, {pages} pages") for rule, pages in sorted(count.rules.items())]
        facts += [("panels", f"{w}x{h} px, {found} pictures") for (w, h), found in sorted(count.sizes_px.items())[:8]]
        facts += [("task", self.rule)] if self.rule else []
        facts += [("seed", str(self.seed))] if self.seed is not None else []
        facts += [("source", f"{name}, licence {licence}") for name, licence in (self.sources or {}).items()]
        facts += [("made with", f"{name} {version}") for name, version in (self.versions or {}).items()]
        lines = ["---", yaml.safe_dump(header, sort_keys=False).strip(), "---", "", f"# {self.title}", ""]
        lines += [
            "One row per page, its panels in reading order: pictures, roles and instructions. The pictures of slots"
        ]
        lines += ["are their answers.", "", *(f"- {name}: {value}" for name, value in facts)]
        lines += ["", "The same bytes again:", "", "```sh", self.command, "```"] if self.command else []
        return "\n".join(lines) + "\n"


def provenance(source: Source) -> Mapping[str, str]:
    """Names and licences of what a source draws from."""
    match source:
        case ShapeSource():
            return {"shapes drawn by triptych": "Apache-2.0"}
        case SpriteScenes():
            known = [(style, _set_of(style)) for style in source.styles]
            return {name: licence for style, (name, licence) in known if style}
        case FolderSource():
            return {f"pictures of the folder {source.folder.name!r}": "as their owner says"}
        case _:
            return {type(source).__name__: "as its owner says"}


def _set_of(style: str) -> tuple[str, str]:
    longest = max((name for name in _SET_LICENCES if style.startswith(name)), key=len, default=None)
    return _SET_LICENCES[longest] if longest else (style, "as its owner says")
